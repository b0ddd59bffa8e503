"""The generations of the memory's schema that a new store can be made of: ECM's last and Causantic's last.

They follow the stores that ECM 0.1.0 and Causantic 0.10.2 wrote: each accepts such a store as one of its own. The SQL
is ours. An archive that describes no store, or none that can hold a memory, chooses between the two (`store.founding`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecm_agent.model.manifest import ECM_SCHEMA

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Generation:
    """The schema of an empty store. `ddl` makes it in an empty database, `vectors` only the table of vectors.

    The memory program makes that table when it stores its first vector, so a store may lack it.
    """

    name: str
    version: int
    vectors: str
    ddl: str


_CHUNKS_OF_BOTH = """
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL,
  session_slug TEXT NOT NULL,
  turn_indices TEXT NOT NULL,
  start_time TEXT NOT NULL,
  end_time TEXT NOT NULL,
  content TEXT NOT NULL,
  code_block_count INTEGER DEFAULT 0,
  tool_use_count INTEGER DEFAULT 0,
  approx_tokens INTEGER DEFAULT 0,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  agent_id TEXT"""

_EDGES_OF_BOTH = """
  id TEXT PRIMARY KEY,
  source_chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  target_chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  edge_type TEXT NOT NULL,
  reference_type TEXT,
  initial_weight REAL NOT NULL DEFAULT 1.0,
  created_at TEXT NOT NULL"""

_THE_SAME_IN_BOTH = """
CREATE TABLE clusters (
  id TEXT PRIMARY KEY,
  name TEXT,
  description TEXT,
  centroid BLOB,
  exemplar_ids TEXT,
  membership_hash TEXT,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  refreshed_at TEXT
);
CREATE TABLE chunk_clusters (
  chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  cluster_id TEXT NOT NULL REFERENCES clusters(id) ON DELETE CASCADE,
  distance REAL NOT NULL,
  PRIMARY KEY (chunk_id, cluster_id)
);
CREATE TABLE schema_version (
  version INTEGER PRIMARY KEY,
  applied_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_chunks_session ON chunks(session_id);
CREATE INDEX idx_chunks_session_slug ON chunks(session_slug);
CREATE INDEX idx_chunks_start_time ON chunks(start_time);
CREATE INDEX idx_edges_source ON edges(source_chunk_id);
CREATE INDEX idx_edges_target ON edges(target_chunk_id);
CREATE INDEX idx_edges_type ON edges(edge_type);
CREATE INDEX idx_chunk_clusters_cluster ON chunk_clusters(cluster_id);
"""

_ECM_VECTORS = "CREATE TABLE vectors (id TEXT PRIMARY KEY, embedding BLOB NOT NULL);"

_ECM_TABLES = f"""
CREATE TABLE chunks ({_CHUNKS_OF_BOTH},
  vector_clock TEXT,
  spawn_depth INTEGER DEFAULT 0
);
CREATE TABLE edges ({_EDGES_OF_BOTH},
  vector_clock TEXT,
  link_count INTEGER DEFAULT 1
);
CREATE TABLE vector_clocks (
  id TEXT PRIMARY KEY,
  project_slug TEXT NOT NULL,
  clock_data TEXT NOT NULL,
  updated_at TEXT DEFAULT CURRENT_TIMESTAMP
);
{_THE_SAME_IN_BOTH}
CREATE INDEX idx_vector_clocks_project ON vector_clocks(project_slug);
"""


def _vector_table(name: str) -> str:
    return f"""
CREATE TABLE {name} (
  id TEXT PRIMARY KEY,
  embedding BLOB NOT NULL,
  orphaned_at TEXT DEFAULT NULL,
  last_accessed TEXT DEFAULT CURRENT_TIMESTAMP,
  model_id TEXT DEFAULT 'jina-small'
);
"""


def _full_text(table: str, column: str, triggers: tuple[str, str, str]) -> str:
    """Give a full-text index of a column that keeps no copy of it, and what keeps the two in step.

    `triggers` names those after an INSERT, a DELETE and an UPDATE.
    """
    index, (inserted, deleted, updated) = f"{table}_fts", triggers
    enter = f"INSERT INTO {index} (rowid, {column}) VALUES (new.rowid, new.{column});"  # noqa: S608 (ours)
    strike = f"INSERT INTO {index} ({index}, rowid, {column}) VALUES ('delete', old.rowid, old.{column});"  # noqa: S608 (ours)
    options = f"content='{table}', content_rowid='rowid', tokenize='porter unicode61'"
    return f"""
CREATE VIRTUAL TABLE {index} USING fts5({column}, {options});
CREATE TRIGGER {inserted} AFTER INSERT ON {table} BEGIN {enter} END;
CREATE TRIGGER {deleted} AFTER DELETE ON {table} BEGIN {strike} END;
CREATE TRIGGER {updated} AFTER UPDATE OF {column} ON {table} BEGIN {strike} {enter} END;
"""


_CAUSANTIC_VECTORS = _vector_table("vectors")

_CAUSANTIC_TABLES = f"""
CREATE TABLE chunks ({_CHUNKS_OF_BOTH},
  spawn_depth INTEGER DEFAULT 0,
  project_path TEXT,
  team_name TEXT
);
CREATE TABLE edges ({_EDGES_OF_BOTH},
  link_count INTEGER DEFAULT 1
);
{_THE_SAME_IN_BOTH}
CREATE INDEX idx_chunks_slug_start_time ON chunks(session_slug, start_time);
CREATE INDEX idx_chunks_agent_id ON chunks(agent_id);
CREATE INDEX idx_chunks_team_name ON chunks(team_name);
CREATE INDEX idx_chunks_agent_start ON chunks(agent_id, start_time);
CREATE INDEX idx_chunks_team_start ON chunks(team_name, start_time);
CREATE INDEX idx_edges_source_type ON edges(source_chunk_id, edge_type);
CREATE INDEX idx_edges_target_type ON edges(target_chunk_id, edge_type);
{_full_text("chunks", "content", ("chunks_fts_insert", "chunks_fts_delete", "chunks_fts_update"))}
CREATE TABLE ingestion_checkpoints (
  session_id TEXT PRIMARY KEY,
  project_slug TEXT NOT NULL,
  last_turn_index INTEGER NOT NULL,
  last_chunk_id TEXT,
  file_mtime TEXT,
  updated_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_ingestion_checkpoints_project ON ingestion_checkpoints(project_slug);
CREATE TABLE session_states (
  session_id TEXT PRIMARY KEY,
  session_slug TEXT NOT NULL,
  project_path TEXT,
  ended_at TEXT NOT NULL,
  files_touched TEXT NOT NULL,
  errors TEXT NOT NULL,
  outcomes TEXT NOT NULL,
  tasks TEXT NOT NULL,
  summary TEXT,
  created_at TEXT DEFAULT (datetime('now'))
);
CREATE INDEX idx_session_states_slug ON session_states(session_slug);
CREATE INDEX idx_session_states_ended ON session_states(ended_at);
CREATE INDEX idx_session_states_slug_ended ON session_states(session_slug, ended_at);
CREATE TABLE index_entries (
  id TEXT PRIMARY KEY,
  chunk_ids TEXT NOT NULL,
  session_slug TEXT NOT NULL,
  start_time TEXT NOT NULL,
  description TEXT NOT NULL,
  approx_tokens INTEGER DEFAULT 0,
  agent_id TEXT,
  team_name TEXT,
  generation_method TEXT NOT NULL DEFAULT 'heuristic',
  created_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_index_entries_slug ON index_entries(session_slug);
CREATE INDEX idx_index_entries_method ON index_entries(generation_method);
{_full_text("index_entries", "description", ("index_entries_ai", "index_entries_ad", "index_entries_au"))}
CREATE TABLE index_entry_chunks (
  index_entry_id TEXT NOT NULL,
  chunk_id TEXT NOT NULL,
  PRIMARY KEY (index_entry_id, chunk_id)
);
CREATE INDEX idx_iec_chunk ON index_entry_chunks(chunk_id);
{_vector_table("index_vectors")}
CREATE TABLE entities (
  id TEXT PRIMARY KEY,
  entity_type TEXT NOT NULL,
  canonical_name TEXT NOT NULL,
  project_slug TEXT NOT NULL,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  updated_at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_entities_project ON entities(project_slug);
CREATE INDEX idx_entities_type_project ON entities(entity_type, project_slug);
CREATE TABLE entity_aliases (
  alias TEXT NOT NULL,
  entity_id TEXT NOT NULL REFERENCES entities(id) ON DELETE CASCADE,
  entity_type TEXT NOT NULL,
  project_slug TEXT NOT NULL,
  PRIMARY KEY (alias, entity_type, project_slug)
);
CREATE INDEX idx_entity_aliases_entity ON entity_aliases(entity_id);
CREATE TABLE entity_mentions (
  chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  entity_id TEXT NOT NULL REFERENCES entities(id) ON DELETE CASCADE,
  mention_form TEXT NOT NULL,
  confidence REAL NOT NULL DEFAULT 1.0,
  PRIMARY KEY (chunk_id, entity_id, mention_form)
);
CREATE INDEX idx_entity_mentions_entity ON entity_mentions(entity_id);
CREATE INDEX idx_entity_mentions_chunk ON entity_mentions(chunk_id);
CREATE TABLE embedding_cache (
  content_hash TEXT NOT NULL,
  model_id TEXT NOT NULL,
  embedding BLOB NOT NULL,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  hit_count INTEGER DEFAULT 0,
  PRIMARY KEY (content_hash, model_id)
);
CREATE INDEX idx_embedding_cache_model ON embedding_cache(model_id);
CREATE TABLE hdbscan_models (
  project_id TEXT NOT NULL,
  embedding_model TEXT NOT NULL,
  model_blob BLOB NOT NULL,
  created_at TEXT DEFAULT CURRENT_TIMESTAMP,
  chunk_count INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (project_id, embedding_model)
);
CREATE TABLE retrieval_feedback (
  chunk_id TEXT NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
  query_hash TEXT NOT NULL,
  returned_at TEXT DEFAULT CURRENT_TIMESTAMP,
  tool_name TEXT NOT NULL
);
CREATE INDEX idx_retrieval_feedback_chunk ON retrieval_feedback(chunk_id);
CREATE INDEX idx_retrieval_feedback_returned ON retrieval_feedback(returned_at);
"""


def _generation(name: str, version: int, vectors: str, tables: str) -> Generation:
    stamp = f"INSERT INTO schema_version (version) VALUES ({version});"  # noqa: S608 (ours)
    return Generation(name, version, vectors, f"{tables}{vectors}{stamp}\n")


ECM = _generation("ecm", ECM_SCHEMA, _ECM_VECTORS, _ECM_TABLES)
CAUSANTIC = _generation("causantic", 16, _CAUSANTIC_VECTORS, _CAUSANTIC_TABLES)
GENERATIONS = {generation.name: generation for generation in (ECM, CAUSANTIC)}
"""By name."""


def generation_for(manifest: Manifest) -> Generation:
    """Choose of which generation a store is made that an archive is the first to fill."""
    return CAUSANTIC if manifest.later_generation else ECM


def generation_of(version: int | None) -> Generation:
    """Choose the generation nearest to a store of this schema version; `None` where it does not say its version."""
    return CAUSANTIC if version is not None and version > ECM.version else ECM
