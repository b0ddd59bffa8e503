"""Figures → a report: Markdown tables of ratios with the bars they are held against, and a plot.

    python benchmarks/report.py FIGURES.json [LATER.json …] [--plot FILE.png]

writes the report of figures that `speed.py --json` kept; what was measured again later takes the place of what was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import contenders as c
from measuring import Cost
from stores import Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEGABYTE = 10**6
_START_UP = "start-up"
FULL_SIZE, MOST_MEMORY = 100_000, 100 * MEGABYTE
GROWN_SIZE, MOST_GROWTH = 1_000_000, 1.1
_BARS = {
    c.EXPORT: (c.EXPORT_FLOOR, 1.6),
    c.EXPORT_ZSTD: (c.EXPORT_FLOOR, 2.2),
    c.VERIFY: (c.EXPORT, 1.0),
    c.IMPORT: (c.IMPORT_FLOOR, 1.8),
    c.BACKUP: (c.RESTIC, 1.0),
    c.VERSION: (c.NOTHING, 8.0),
    c.LIST: (c.NOTHING, 35.0),
    c.STATUS: (c.NOTHING, 35.0),
}
"""What a row's wall time is held against, and how many times that it may take."""

_COMPARED = _BARS | {
    c.EXPORT_PLAIN: (c.EXPORT_FLOOR, None),
    c.EXPORT_GZIP: (c.EXPORT_FLOOR, None),
    c.MERGE: (c.IMPORT_FLOOR, None),
    c.HELP: (c.NOTHING, None),
}
_LEAN = (c.EXPORT, c.VERIFY, c.IMPORT, c.MERGE)
_PLOTTED = (c.EXPORT_FLOOR, c.EXPORT, c.EXPORT_ZSTD, c.VERIFY, c.IMPORT_FLOOR, c.IMPORT, c.MERGE, c.BACKUP, c.RESTIC)


@dataclass(frozen=True, slots=True)
class Results:
    """The costs of each round, by contender; `size` is `None` for start-up."""

    size: Size | None
    store_bytes: int
    archive_bytes: int
    rounds: dict[str, list[Cost]]

    @property
    def middle(self) -> dict[str, Cost]:
        return {name: Cost.middle(costs) for name, costs in self.rounds.items()}

    def raw(self) -> dict[str, Any]:
        """Give everything, as JSON has it."""
        rounds = {name: [asdict(cost) for cost in costs] for name, costs in self.rounds.items()}
        sizes = {"store_bytes": self.store_bytes, "archive_bytes": self.archive_bytes}
        return {"of": str(self.size or _START_UP), **(sizes if self.size else {}), "rounds": rounds}

    @classmethod
    def of(cls, raw: dict[str, Any]) -> Self:
        """Give back what `raw` gave."""
        size = None if raw["of"] == _START_UP else Size.parse(raw["of"])
        rounds = {name: [Cost(**cost) for cost in costs] for name, costs in raw["rounds"].items()}
        return cls(size, raw.get("store_bytes", 0), raw.get("archive_bytes", 0), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, nargs="+", metavar="FIGURES.json")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw time and memory (needs matplotlib)")
    arguments = parser.parse_args()
    everything = kept(arguments.figures)
    show(everything)
    if arguments.plot:
        plot(everything, arguments.plot)


def kept(files: Sequence[Path]) -> list[Results]:
    """Read figures that were kept, the later ones over the earlier ones."""
    found: dict[str, Results] = {}
    for file in files:
        for raw in json.loads(file.read_text(encoding="utf-8"))["results"]:
            results = Results.of(raw)
            if raw["of"] in found:
                found[raw["of"]].rounds.update(results.rounds)
            else:
                found[raw["of"]] = results
    return list(found.values())


def show(everything: list[Results]) -> None:
    """Print all tables, and what there is to say of memory."""
    for results in everything:
        print("\n".join(table(results)))
    print("\n".join(memory_bars(everything)))


def machine() -> dict[str, str]:
    """Name what the figures depend on."""
    peers = {"restic": "version", "borg": "--version", "age": "--version", "sqlite3": "--version"}
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **{name: _first_line([name, option]) for name, option in peers.items() if shutil.which(name)},
    }


def _first_line(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    words = said.partition("\n")[0].split()
    return next((word for word in words if word.lstrip("v")[:1].isdigit()), "unknown")


def table(results: Results) -> Iterator[str]:
    """Write the lines of one table, with a heading."""
    count = max(map(len, results.rounds.values()))
    told = f"medians of {count}" if count > 1 else "one round"
    if results.size:
        sizes = f"store {_megabytes(results.store_bytes)} MB, archive {_megabytes(results.archive_bytes)} MB"
        yield f"### {results.size}: {results.size.chunks:,} chunks, {sizes}, {told}"
    else:
        yield f"### start-up, {told}"
    yield ""
    yield "| what | wall, s | CPU, s | peak memory, MB | written, MB | wall : | CPU : | compared with | bar |"
    yield "| --- | --: | --: | --: | --: | --: | --: | --- | --- |"
    middle = results.middle
    for name, cost in middle.items():
        yield _row(name, cost, middle)
    yield ""


def _row(name: str, cost: Cost, middle: dict[str, Cost]) -> str:
    digits = 2 if cost.wall >= 1 else 3
    cells = [
        name,
        f"{cost.wall:.{digits}f}",
        f"{cost.cpu:.{digits}f}",
        _megabytes(cost.memory),
        _megabytes(cost.written),
    ]
    other, bar = _COMPARED.get(name, (None, None))
    if other in middle:
        ratio = cost.wall / middle[other].wall
        verdict = "" if bar is None else f"≤ {bar:g}: {'met' if ratio <= bar else 'not met'}"
        cells += [f"{ratio:.2f}", f"{cost.cpu / middle[other].cpu:.2f}", other, verdict]
    else:
        cells += [""] * 4
    return f"| {' | '.join(cells)} |"


def memory_bars(everything: list[Results]) -> Iterator[str]:
    """Say whether memory stays within bounds, of the sizes measured that have a bound."""
    for one in everything:
        if one.size and one.size.chunks == FULL_SIZE:
            peaks = {name: one.middle[name].memory for name in _LEAN if name in one.rounds}
            told = ", ".join(f"{name} {_megabytes(peak)}" for name, peak in peaks.items())
            verdict = "met" if max(peaks.values(), default=0) <= MOST_MEMORY else "not met"
            yield f"- {one.size}: peak memory at most {_megabytes(MOST_MEMORY)} MB: {verdict} ({told})"
            yield from _growth_bar(one, everything)


def _growth_bar(one: Results, everything: list[Results]) -> Iterator[str]:
    for large in everything:
        if one.size and large.size and (large.size.form, large.size.chunks) == (one.size.form, GROWN_SIZE):
            both = [name for name in _LEAN if name in one.rounds and name in large.rounds]
            growth = {name: large.middle[name].memory / one.middle[name].memory for name in both}
            told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in growth.items())
            verdict = "met" if max(growth.values(), default=0) <= MOST_GROWTH else "not met"
            yield f"- {large.size}: peak memory at most {MOST_GROWTH} times that of {one.size}: {verdict} ({told})"


def _megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.1f}" if size < 10 * MEGABYTE else f"{size / MEGABYTE:,.0f}"


def plot(everything: list[Results], file: Path) -> None:
    """Draw time and memory against the number of chunks, both scales logarithmic, one curve for each command."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (times, memories) = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for form, style in (("many", "-"), ("real", "--")):
        found = sorted((one for one in everything if one.size and one.size.form == form), key=_chunks)
        for number, name in enumerate(_PLOTTED):
            measured = [one for one in found if name in one.rounds]
            if measured:
                at, costs = [_chunks(one) for one in measured], [one.middle[name] for one in measured]
                look = {"color": f"C{number}", "linestyle": style, "marker": "o", "label": f"{form}: {name}"}
                times.loglog(at, [cost.wall for cost in costs], **look)
                memories.semilogx(at, [cost.memory / MEGABYTE for cost in costs], **look)
    times.set(title="Wall time", xlabel="chunks", ylabel="seconds")
    memories.set(title="Peak resident memory", xlabel="chunks", ylabel="MB", ylim=(0, None))
    for axes in (times, memories):
        axes.grid(visible=True, alpha=0.3)
    figure.legend(*times.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(file, dpi=110)


def refuse_to_draw_without_library() -> None:
    """End the program where what draws is not installed: better said before an hour of measuring.

    It is not loaded yet: it would make this process large (see `measuring.cost_of`).
    """
    if find_spec("matplotlib") is None:
        sys.exit("--plot needs matplotlib: python -m pip install matplotlib")


def _chunks(one: Results) -> int:
    return one.size.chunks if one.size else 0


if __name__ == "__main__":
    main()
