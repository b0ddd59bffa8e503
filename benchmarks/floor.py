"""The floor: the least that a program in Python can do to export or import a store. Run as a process of its own.

    python benchmarks/floor.py export STORE BYTES FILE
    python benchmarks/floor.py import SOURCE STORE

`export` reads every row of every ordinary table, all columns, in a bare loop that does nothing with them; then it runs
AES-256-GCM over as many bytes as the archive has, a block of zeros at a time, and writes them to a file. It makes no
document, derives no key from a password, asks for no consistent snapshot, reads nothing back, and waits for no disk.

`import` makes the same schema in a new file and, in one transaction, hands each table's rows to one bare `executemany`
straight from a `SELECT *` on the source. The rows have to come from somewhere; reading them from the source store is
the cheapest there is. It decrypts and parses nothing, checks no reference, keeps no journal, and waits for no disk.
Indexes are there from the start, as in the schema; triggers are left out, and full-text tables are filled by one
`rebuild` in the end.

Neither is generous to the program it stands beside: whatever is left out here, that one does.
"""

from __future__ import annotations

import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

BLOCK = 1 << 20
_TABLES = (
    "SELECT l.name, m.sql FROM pragma_table_list l JOIN sqlite_master m ON m.name = l.name "
    "WHERE l.schema = 'main' AND l.type = ? AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.rowid"
)


def export(store: str, size: str, file: str) -> None:
    """Read all rows, then encrypt and write `size` bytes."""
    read(store)
    encrypt(int(size), Path(file))


def read(store: str | Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        for table, _ in connection.execute(_TABLES, ("table",)).fetchall():
            for _row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 (a table of the store's own)
                pass


def encrypt(size: int, file: Path) -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    encryptor = Cipher(AES(secrets.token_bytes(32)), GCM(secrets.token_bytes(12))).encryptor()
    block = bytes(BLOCK)
    with file.open("wb") as out:
        for _ in range(size // BLOCK):
            out.write(encryptor.update(block))
        out.write(encryptor.update(block[: size % BLOCK]) + encryptor.finalize())


def import_(source: str, store: str) -> None:
    """Copy all rows into a new store of the same schema."""
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(store, isolation_level=None)) as there:
        there.execute("PRAGMA journal_mode = OFF")
        there.execute("PRAGMA synchronous = OFF")
        there.execute("BEGIN")
        tables = here.execute(_TABLES, ("table",)).fetchall()
        full_text = here.execute(_TABLES, ("virtual",)).fetchall()
        indexes = here.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        for _, sql in (*tables, *full_text, *indexes):
            there.execute(sql)
        for table, _ in tables:
            rows = here.execute(f'SELECT * FROM "{table}"')  # noqa: S608 (as above)
            places = ", ".join("?" for _ in rows.description)
            there.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)  # noqa: S608 (as above)
        for table, _ in full_text:
            there.execute(f'INSERT INTO "{table}"("{table}") VALUES (\'rebuild\')')  # noqa: S608 (as above)
        there.execute("COMMIT")


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(*sys.argv[2:])
    else:
        import_(*sys.argv[2:])
