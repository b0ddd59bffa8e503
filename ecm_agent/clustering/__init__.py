"""Topics among vectors: embeddings in, clusters out. Nothing here knows where either is kept.

numpy and hdbscan are an extra of this package, and slow to load: they are imported where they are used.
"""

from ecm_agent.clustering.extra import require
from ecm_agent.clustering.gathering import Gathering, Space
from ecm_agent.clustering.lineage import Old, heirs
from ecm_agent.clustering.topics import EXEMPLARS, Topic, membership_hash, topics_of

__all__ = ["EXEMPLARS", "Gathering", "Old", "Space", "Topic", "heirs", "membership_hash", "require", "topics_of"]
