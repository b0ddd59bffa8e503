"""The agent's own journal: what has been proved, what is still to be sent, how runs ended. Losing it loses no backup.

It lies in the state directory as a small SQLite database. Archives are known by the label of their destination and
their name, so that a destination moved to another place does not inherit what was proved of the old one.
"""

from ecm_agent.history.journal import ForgivingHistory, History

__all__ = ["ForgivingHistory", "History"]
