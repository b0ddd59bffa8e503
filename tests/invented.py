"""A store with forty tables that nobody has heard of, and what goes with them: made the same way every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builders import execute, sqlite_store

if TYPE_CHECKING:
    from pathlib import Path

    from ecm_agent.store.sqlite import SqliteStore

_VALUES = (
    "1, -2, 9223372036854775807, -9223372036854775808",
    "1.5, -0.0, 1e300, 9e999",
    "'', 'text', 'nul' || char(0) || 'l', '日本 \"quoted\"'",
    "x'', x'00ff', zeroblob(9), CAST(x'ff61' AS TEXT)",
    "NULL, 'two' || char(10) || 'lines', 5e-324, -9e999",
)
_KINDS = (
    "CREATE TABLE {name} (a, b INTEGER, c REAL, d TEXT)",
    "CREATE TABLE {name} (k INTEGER PRIMARY KEY AUTOINCREMENT, a BLOB, b NUMERIC, c, d)",
    "CREATE TABLE {name} (k INTEGER PRIMARY KEY, a, b, c, d DEFAULT (datetime('now')))",
    "CREATE TABLE {name} (a, b, c, d, k TEXT, PRIMARY KEY (k, b DESC)) WITHOUT ROWID",
    'CREATE TABLE {name} (k INTEGER PRIMARY KEY DESC, a ANY, b VARCHAR(10), c DECIMAL(10, 2), d "odd type!")',
    "CREATE TABLE {name} (k INT, a ANY, b ANY, c ANY, d ANY, PRIMARY KEY (k)) STRICT",
    "CREATE TABLE {name} (a, b, c, d, twice AS (typeof(a) || 2), long TEXT GENERATED ALWAYS AS (length(b)) STORED)",
    "CREATE TABLE {name} (k TEXT COLLATE NOCASE UNIQUE, a, b CHECK (typeof(b) <> 'nothing'), c, d DEFAULT \"none\")",
)
_REFERRING = """
CREATE TABLE harbours (id TEXT PRIMARY KEY, parent TEXT REFERENCES harbours ON DELETE CASCADE);
CREATE TABLE berths (harbour TEXT REFERENCES harbours (id) ON DELETE CASCADE, no INT, chunk TEXT REFERENCES chunks,
  PRIMARY KEY (harbour, no)) WITHOUT ROWID;
CREATE TABLE moorings (k INTEGER PRIMARY KEY, harbour TEXT, no INT,
  FOREIGN KEY (harbour, no) REFERENCES berths ON DELETE SET NULL ON UPDATE CASCADE);
CREATE INDEX moorings_there ON moorings (upper(harbour) COLLATE NOCASE DESC, no) WHERE no > 1;
CREATE UNIQUE INDEX moorings_one ON moorings (no, k);
INSERT INTO harbours VALUES ('kiel', NULL), ('holtenau', 'kiel');
INSERT INTO berths VALUES ('kiel', 1, 'c1'), ('kiel', 2, NULL), ('holtenau', 1, 'c2');
INSERT INTO moorings VALUES (7, 'kiel', 2), (3, 'holtenau', 1), (-1, NULL, NULL);
"""
_SEARCHED = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
CREATE VIRTUAL TABLE notes_fts USING fts5(title, body UNINDEXED, content='notes', content_rowid='id',
  tokenize="unicode61 tokenchars '-'");
CREATE TRIGGER notes_new AFTER INSERT ON notes BEGIN
  INSERT INTO notes_fts(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
CREATE TRIGGER "notes gone" AFTER DELETE ON notes FOR EACH ROW BEGIN
  INSERT INTO notes_fts(notes_fts, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
END;
CREATE TRIGGER notes_other AFTER UPDATE OF body, title ON notes BEGIN
  INSERT INTO notes_fts(notes_fts, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
  INSERT INTO notes_fts(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
CREATE VIRTUAL TABLE pilots USING fts5(name, "the rest", prefix='2 3');
INSERT INTO notes VALUES (5, 'spring-tide', 'a'), (9, 'neap', 'b');
INSERT INTO pilots (rowid, name, "the rest") VALUES (3, 'one', 'x'), (70, 'two', NULL);
"""
_FOREIGN = """
CREATE VIRTUAL TABLE regions USING rtree(id, west, east);
INSERT INTO regions VALUES (1, 0, 1), (2, 3, 4);
CREATE VIEW deep AS SELECT id FROM notes;
CREATE TRIGGER copying AFTER INSERT ON harbours BEGIN INSERT INTO notes (title) VALUES ('copied'); END;
"""
_GAPS = """
UPDATE chunks SET rowid = 3 * rowid - 10;
UPDATE vectors SET rowid = rowid + 7;
UPDATE edges SET rowid = 9223372036854775807 WHERE id = 'e4';
UPDATE invented_0 SET rowid = rowid - 3;
UPDATE invented_6 SET rowid = 1000 WHERE rowid = 2;
UPDATE harbours SET rowid = 5 WHERE id = 'holtenau';
"""
NOT_MADE = ["view deep", "virtual table regions", "trigger copying"]
TABLES = 40


def invented(path: Path) -> SqliteStore:
    """Put a store there that holds `builders.memory()`, and forty ordinary tables besides, some with gaps."""
    store = sqlite_store(path)
    execute(path, _REFERRING, _SEARCHED)
    for number in range(TABLES - 4):
        name = f'"invented ""{number}"""' if number % 3 else f"invented_{number}"
        kind = _KINDS[number % len(_KINDS)]
        execute(path, kind.format(name=name))
        keyed = "k " in kind
        for at, values in enumerate(_VALUES):
            columns, given = ("a, b, c, d, k", f"{values}, {number + at}") if keyed else ("a, b, c, d", values)
            execute(path, f"INSERT INTO {name} ({columns}) VALUES ({given})")
    execute(path, "DELETE FROM invented_9 WHERE k > 11", _GAPS, _FOREIGN)
    execute(path, "PRAGMA user_version = 17; PRAGMA application_id = -1161904947")
    return store
