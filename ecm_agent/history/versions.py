"""The tables of the journal, version by version."""

VERSIONS = (
    """
CREATE TABLE IF NOT EXISTS proofs (
  destination TEXT NOT NULL, name TEXT NOT NULL, checked_at TEXT NOT NULL, fault TEXT NOT NULL,
  bytes INTEGER NOT NULL, kin TEXT NOT NULL, key TEXT NOT NULL,
  PRIMARY KEY (destination, name)
);
CREATE TABLE IF NOT EXISTS salt (salt BLOB NOT NULL);
INSERT INTO salt VALUES (randomblob(16));
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, job TEXT NOT NULL, verb TEXT NOT NULL,
  started_at TEXT NOT NULL, finished_at TEXT NOT NULL, exit_code INTEGER NOT NULL, message TEXT NOT NULL,
  archive TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job, verb, id);
CREATE TABLE IF NOT EXISTS pending (
  job TEXT NOT NULL, archive TEXT NOT NULL, destination TEXT NOT NULL,
  since TEXT NOT NULL, attempts INTEGER NOT NULL, last_attempt TEXT NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (job, archive, destination)
);
PRAGMA user_version = 1;
""",
    """
CREATE TABLE IF NOT EXISTS restores (
  id INTEGER PRIMARY KEY, store TEXT NOT NULL, what TEXT NOT NULL, safety_archive TEXT NOT NULL,
  started_at TEXT NOT NULL, finished_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS restores_by_store ON restores (store, id);
PRAGMA user_version = 2;
""",
    """
CREATE TABLE IF NOT EXISTS tries (
  destination TEXT NOT NULL, name TEXT NOT NULL, tried_at TEXT NOT NULL,
  PRIMARY KEY (destination, name)
);
CREATE TABLE IF NOT EXISTS staged (
  archive TEXT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL,
  bytes INTEGER NOT NULL, kin TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS begun (
  job TEXT NOT NULL, verb TEXT NOT NULL, started_at TEXT NOT NULL,
  PRIMARY KEY (job, verb)
);
PRAGMA user_version = 3;
""",
)
"""What makes a journal of one version out of the one before; the first makes it out of nothing."""
