"""The stores that speed is measured on, made once and kept in a folder; and what a merge joins with them."""

from __future__ import annotations

import argparse
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_FORMS: dict[str, dict[str, Any]] = {
    "many": {"text_bytes": 1500, "edges_per_chunk": 3.0, "dimensions": 384},
    "real": {"text_bytes": 10_000, "edges_per_chunk": 1.0, "dimensions": 512},
}
_CHUNKS_PER_TOPIC = 500
_NAME = re.compile(r"(many|real)-(\d+)([kM]?)")
_HALF = """
    UPDATE chunks SET id = 'x-' || id WHERE rowid > (SELECT max(rowid) / 2 FROM chunks);
    UPDATE chunk_clusters SET chunk_id = 'x-' || chunk_id WHERE 'x-' || chunk_id IN (SELECT id FROM chunks);
    UPDATE vectors SET id = 'x-' || id WHERE 'x-' || id IN (SELECT id FROM chunks);
    UPDATE edges SET
        id = 'x-' || id,
        source_chunk_id = coalesce((SELECT c.id FROM chunks c WHERE c.id = 'x-' || source_chunk_id), source_chunk_id),
        target_chunk_id = coalesce((SELECT c.id FROM chunks c WHERE c.id = 'x-' || target_chunk_id), target_chunk_id)
    WHERE 'x-' || source_chunk_id IN (SELECT id FROM chunks) OR 'x-' || target_chunk_id IN (SELECT id FROM chunks);
"""


@dataclass(frozen=True, slots=True)
class Size:
    """A form of memory and a number of chunks: many-10k, real-100k, many-1M."""

    form: str
    chunks: int

    @classmethod
    def parse(cls, name: str) -> Size:
        """Raise `argparse.ArgumentTypeError` for a name that is none."""
        found = _NAME.fullmatch(name)
        if not found:
            raise argparse.ArgumentTypeError(f"{name!r} is not like many-10k, real-100k or many-1M")
        return cls(found[1], int(found[2]) * {"": 1, "k": 1000, "M": 1_000_000}[found[3]])

    def __str__(self) -> str:
        for unit, sign in ((1_000_000, "M"), (1000, "k")):
            if self.chunks % unit == 0:
                return f"{self.form}-{self.chunks // unit}{sign}"
        return f"{self.form}-{self.chunks}"


def store_of(size: Size, folder: Path) -> Path:
    """Give the store of that size, making it in `folder` where it is not there yet. It is only ever read."""
    return _made(folder / f"{size}.db", "make", size)


def other_half_of(size: Size, folder: Path) -> Path:
    """Give a store that has the first half of that size's chunks, with all that belongs to them, and as many others."""
    store_of(size, folder)
    return _made(folder / f"{size}-other.db", "alter", size)


def _made(path: Path, how: str, size: Size) -> Path:
    """Make a store in a process of its own: this one must stay small (see `measuring.cost_of`)."""
    if not path.exists():
        print(f"Making {path.name} ...", file=sys.stderr)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        command = [sys.executable, __file__, how, str(size), str(part)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        part.rename(path)
    return path


def make(size: Size, path: Path) -> None:
    """Make a store in the schema of ECM 0.1, as a memory program would have written it."""
    from ecm_agent.model.manifest import VERSION, Manifest
    from ecm_agent.sample import Shape, batches
    from ecm_agent.store.sqlite import SqliteStore

    created = "2025-03-01T12:00:00.000Z"
    empty = Manifest(version=VERSION, created=created, chunk_count=0, edge_count=0, cluster_count=0)
    clusters = max(12, size.chunks // _CHUNKS_PER_TOPIC)
    SqliteStore(path).replace(empty, batches(Shape(size.chunks, clusters=clusters, **_FORMS[size.form])))


def alter(size: Size, path: Path) -> None:
    """Copy a store and give the second half of its chunks, and all that belongs to them, other ids."""
    source = path.with_name(f"{size}.db")
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(path)) as there:
        here.backup(there)
        there.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN; {_HALF} COMMIT;")


if __name__ == "__main__":
    {"make": make, "alter": alter}[sys.argv[1]](Size.parse(sys.argv[2]), Path(sys.argv[3]))
