"""How much memory and time a merge takes, and whether its report is right.

    python benchmarks/merge.py [--chunks 100000] [--text-bytes 1000] [--dimensions 384] [--profile FILE]

Makes a store and an archive of so many chunks each, half of them the same, merges the one into the other in a process
of its own, and holds its report against what was made. Ends with 1 when the report is wrong or the memory too much.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ecm_agent.archive import Seal, open_archive, write_archive
from ecm_agent.model.manifest import VERSION, Manifest, Selection
from ecm_agent.model.records import RECORD_TYPES, AnyRecord, Chunk, Edge, Membership, TableRow, Vector
from ecm_agent.sample import Shape, batches
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ecm_agent.model.records import Batch

ROOT = Path(__file__).parents[1]
MOST_MEMORY = 150
"""In MB."""

CREATED = "2025-03-01T12:00:00.000Z"
PASSWORD = Secret("a made-up memory")
EMPTY = Manifest(version=VERSION, created=CREATED, chunk_count=0, edge_count=0, cluster_count=0)


def main() -> int:
    arguments = _arguments()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        expected, _ = _run("make", folder)
        found, peak = _run("merge", folder)
        sizes = {path.name: path.stat().st_size // 10**6 for path in Path(folder).glob("m*")}
    print(f"{found['seconds']:.1f} s, peak memory {peak} MB; MB afterwards: {sizes}")
    for section, fates in found["report"].items():
        print(f"  {section}: {fates}")
    if found["report"] != expected:
        print(f"The report is wrong; expected: {expected}")
    return int(found["report"] != expected or peak >= MOST_MEMORY)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--text-bytes", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--profile", type=Path, help="write cProfile's statistics of the merge here")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _run(part: str, folder: str) -> tuple[Any, int]:
    """Do a part of the work in a process of its own; give what it says, and its peak memory in MB."""
    command = [sys.executable, __file__, *sys.argv[1:], f"--part={part}", f"--folder={folder}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said = process.communicate()[0] if process.stdout is None else process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(said), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) // 10**6


def _make(arguments: argparse.Namespace) -> dict[str, dict[str, int]]:
    """Make a store of the first two thirds of a sample, an archive of the last two; give the report there should be."""
    third = arguments.chunks // 2
    shape = Shape(3 * third, arguments.text_bytes, dimensions=arguments.dimensions)
    world, store = SqliteStore(arguments.folder / "world.db"), SqliteStore(arguments.folder / "memory.db")
    world.replace(EMPTY, batches(shape))
    with world.snapshot(Selection(), CREATED) as snapshot:
        ids = [record.id for batch in snapshot.batches() for record in batch if isinstance(record, Chunk)]
        first, last = set(ids[: 2 * third]), set(ids[third:])
        store.replace(EMPTY, _among(first, snapshot.batches()))
        with (arguments.folder / "merged.ecm").open("wb+") as file:
            manifest = _counted(snapshot.manifest, _among(last, snapshot.batches()))
            write_archive(
                file, manifest, _among(last, snapshot.batches()), seal=Seal.draw(PASSWORD), compression="zstd"
            )
        held = {_key(record) for batch in _among(first, snapshot.batches()) for record in batch}
        report = {kind.section: Counter(added=0, skipped=0) for kind in RECORD_TYPES}
        for batch in _among(last, snapshot.batches()):
            report[batch[0].section].update("skipped" if _key(record) in held else "added" for record in batch)
    world.path.unlink()
    return {section: dict(fates) for section, fates in report.items()}


def _among(chunks: set[str], found: Iterable[Batch]) -> Iterator[Batch]:
    """Leave out what refers to other chunks."""
    for batch in found:
        kept: Any = [record for record in batch if _references(record) <= chunks]
        if kept:
            yield kept


def _references(record: AnyRecord) -> set[str]:
    match record:
        case Chunk():
            return {record.id}
        case Edge():
            return {record.source, record.target}
        case Membership() | Vector():
            return {record.chunk_id}
    return set()


def _key(record: AnyRecord) -> tuple[Any, ...]:
    match record:
        case Membership():
            return record.section, record.chunk_id, record.cluster_id
        case Vector():
            return record.section, record.chunk_id
        case TableRow():
            return record.section, record.table, *map(str, record.values)
    return record.section, record.id


def _counted(manifest: Manifest, found: Iterable[Batch]) -> Manifest:
    count: Counter[str] = Counter()
    for batch in found:
        count[batch[0].section] += len(batch)
    return structs.replace(
        manifest,
        chunk_count=count["chunks"],
        edge_count=count["edges"],
        membership_count=count["memberships"],
        vector_count=count["vectors"],
    )


def _merge(arguments: argparse.Namespace) -> dict[str, Any]:
    """Merge as the program does; give the report, and the seconds it took."""
    profile = cProfile.Profile()
    with (arguments.folder / "merged.ecm").open("rb") as file:
        began = time.monotonic()
        if arguments.profile:
            profile.enable()
        archive = open_archive(file, PASSWORD)
        changes = SqliteStore(arguments.folder / "memory.db").merge(archive.manifest, archive.batches())
        profile.disable()
        seconds = time.monotonic() - began
    if arguments.profile:
        profile.dump_stats(arguments.profile)
    report = {
        kind.section: {
            fate: changes.total(fate, kind.section)
            for fate in ("added", "updated", "skipped", "folded", "conflicts", "dropped")
        }
        for kind in RECORD_TYPES
    }
    expected = ("added", "skipped")
    return {
        "seconds": seconds,
        "report": {
            section: {fate: count for fate, count in fates.items() if count or fate in expected}
            for section, fates in report.items()
        },
    }


PARTS = {"make": _make, "merge": _merge}


if __name__ == "__main__":
    sys.exit(main())
