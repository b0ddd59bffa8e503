"""How fast the program is and how much memory it takes, beside the floor and beside other programs, in one run.

    python benchmarks/speed.py [--stores many-10k,real-20k,many-1M:1] [--rounds 5] [--cache FOLDER]
                               [--only export,verify,import,merge,backup,start] [--json FILE] [--plot FILE.png]

Every command is a process of its own, as a user would start it, and all of them take turns, round by round, so that a
busy moment of the machine hits each alike; medians are compared. Files are read from the system's cache: this measures
the programs, not the disk. Stores are made before the first round, once if they are kept (`--cache`). `floor.py` says
what the floor does, `contenders.py` what is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import report
from contenders import Contender, Material, of_start_up, of_store
from report import Results
from stores import Size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measuring import Cost

PARTS = ("export", "verify", "import", "merge", "backup", "start")
START_ROUNDS = 4
"""Starting up is measured so many times in each round: it is short, and its noise is not."""


def main() -> None:
    arguments = _arguments()
    if arguments.plot:
        report.refuse_to_draw_without_library()
    with _folder(arguments.cache) as cache, tempfile.TemporaryDirectory(dir=cache, prefix="work-") as work:
        everything = list(_measured(arguments, cache, Path(work)))
    about = report.machine()
    print(f"Command: `python benchmarks/speed.py {' '.join(sys.argv[1:])}`")
    print(", ".join(f"{name} {value}" for name, value in about.items()), end="\n\n")
    report.show(everything)
    if arguments.json:
        raw = {"machine": about, "results": [results.raw() for results in everything]}
        arguments.json.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        report.plot(everything, arguments.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--stores", type=_stores, default="many-10k", help="which stores, by form and chunks; many-1M:1 has one round"
    )
    parser.add_argument("--rounds", type=_rounds, default=5)
    parser.add_argument("--only", type=_parts, default=set(PARTS), help=f"some of: {','.join(PARTS)}")
    parser.add_argument("--cache", type=Path, help="keep the stores in this folder, and use those that are there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round here")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw time and memory (needs matplotlib)")
    return parser.parse_args()


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds; one is the least")
    return int(text)


def _stores(text: str) -> list[tuple[Size, int | None]]:
    """Parse names of stores, each with its own number of rounds where it has one."""
    named = (one.partition(":") for one in text.split(","))
    return [(Size.parse(name), _rounds(rounds) if colon else None) for name, colon, rounds in named]


def _parts(text: str) -> set[str]:
    parts = set(text.split(","))
    if not parts <= set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no part {min(parts - set(PARTS))!r}; there are {', '.join(PARTS)}")
    return parts


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    if cache is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        cache.mkdir(parents=True, exist_ok=True)
        yield cache.resolve()


def _measured(arguments: argparse.Namespace, cache: Path, work: Path) -> Iterator[Results]:
    of_stores = arguments.only - {"start"}
    for size, rounds in arguments.stores if of_stores else ():
        material = Material.made(size, cache, work, of_stores)
        chosen = [one for one in of_store(material) if one.part in of_stores]
        sizes = material.store.stat().st_size, material.archive.stat().st_size
        yield Results(size, *sizes, _taking_turns(chosen, rounds or arguments.rounds, work))
    if "start" in arguments.only:
        yield Results(None, 0, 0, _taking_turns(of_start_up(), arguments.rounds * START_ROUNDS, work))


def _taking_turns(contenders: list[Contender], rounds: int, work: Path) -> dict[str, list[Cost]]:
    """Measure everything once in each round, after a first one that only warms up caches and is not counted.

    Where there is but one round, it is the only one: what takes so long hardly notices.
    """
    costs: dict[str, list[Cost]] = {one.name: [] for one in contenders}
    for number in range(0 if rounds > 1 else 1, rounds + 1):
        for one in contenders:
            print(f"\rround {number} of {rounds}: {one.name:40}", end="", file=sys.stderr, flush=True)
            cost = one.measured(work / "now")
            costs[one.name] += [cost] if number else []
    print(file=sys.stderr)
    return costs


if __name__ == "__main__":
    main()
