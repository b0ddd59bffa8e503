"""Where the time of an export goes: the same store again and again, each time with one more of the steps.

    python benchmarks/stages.py [--store many-100k] [--rounds 5] [--cache FOLDER]

Steps take turns, round by round, in one process; medians are compared. What a step adds to the one before is what it
costs, as far as it is not done behind it by the second thread. `speed.py` measures the command as a whole.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import floor
from stores import Size, store_of

from ecm_agent import __main__  # noqa: F401 (it tunes the collector, as for every command)
from ecm_agent.archive import Seal, open_archive, write_archive
from ecm_agent.model.manifest import Selection
from ecm_agent.model.records import RECORD_TYPES
from ecm_agent.secret import Secret
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from ecm_agent.store.base import Snapshot

Step = Callable[[Path, Path], object]

PASSWORD = Secret("a made-up memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Size.parse, default="many-100k", help="which store, by form and chunks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, help="keep the store in this folder, and use the one that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.cache) as work:
        store = store_of(arguments.store, arguments.cache or Path(work))
        seconds: dict[str, list[float]] = {name: [] for name in STEPS}
        for _ in range(arguments.rounds):
            for name, step in STEPS.items():
                began = time.perf_counter()
                step(store, Path(work) / "archive")
                seconds[name].append(time.perf_counter() - began)
    print("| what is done | seconds |\n| --- | --: |")
    print("\n".join(f"| {name} | {median(taken):.2f} |" for name, taken in seconds.items()))


def make_records(snapshot: Snapshot, _archive: Path) -> None:
    for _batch in snapshot.batches(RECORD_TYPES):
        pass


def make_archive(snapshot: Snapshot, archive: Path) -> None:
    with archive.open("wb") as file:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=Seal.draw(PASSWORD), compression="none")


def make_nothing(snapshot: Snapshot, _archive: Path) -> None:
    with Path("/dev/null").open("wb") as file:
        write_archive(file, snapshot.manifest, snapshot.batches(), seal=None, compression="none")


def read_back(_store: Path, archive: Path) -> None:
    with archive.open("rb") as file:
        open_archive(file, PASSWORD)


def of_a_snapshot(work: Callable[[Snapshot, Path], object]) -> Step:
    def step(store: Path, archive: Path) -> None:
        with SqliteStore(store).snapshot(Selection(), "2025-03-01T12:00:00.000Z") as snapshot:
            work(snapshot, archive)

    return step


STEPS: dict[str, Step] = {
    "read every row, and no more (the floor's reading)": lambda store, _archive: floor.read(store),
    "open a snapshot: count, look for references that lead nowhere": of_a_snapshot(lambda *_: None),
    "… and read records": of_a_snapshot(make_records),
    "… and encode them, digests behind": of_a_snapshot(make_nothing),
    "… and encrypt and write behind: the archive": of_a_snapshot(make_archive),
    "read the archive back": read_back,
}


if __name__ == "__main__":
    main()
