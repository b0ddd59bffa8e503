"""What is measured: this program's commands, the floor beneath them, and other programs where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import Cost, cost_of
from stores import ROOT, Size, other_half_of, store_of

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR = str(Path(__file__).with_name("floor.py"))
PASSWORD = "a made-up memory"  # noqa: S105 (of made-up stores)
EXPORT, EXPORT_FLOOR = "export, encrypted", "floor of export"
EXPORT_ZSTD, EXPORT_GZIP, EXPORT_PLAIN = "export, encrypted, zstd", "export, encrypted, gzip", "export, plain"
VERIFY, IMPORT, IMPORT_FLOOR, MERGE = "verify", "import, new store", "floor of import", "import --merge"
BACKUP, RESTIC = "backup to a directory", "restic backup + check --read-data"
NOTHING, STATUS, LIST, VERSION, HELP = "python -c pass", "status", "list", "--version", "--help"

Command = list[str]


def _nothing(_folder: Path) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Contender:
    """Commands that are measured together, in a folder that is new each time and is removed afterwards.

    `prepare` puts into it what they need, and is not measured.
    """

    name: str
    part: str
    commands: Callable[[Path], list[Command]]
    prepare: Callable[[Path], object] = _nothing
    variables: dict[str, str] = field(default_factory=dict)
    code: int = 0

    def measured(self, folder: Path) -> Cost:
        """Do it once."""
        folder.mkdir(parents=True)
        try:
            self.prepare(folder)
            os.sync()  # what is still to be written is not this one's
            environment = environment_in(folder) | self.variables
            costs = (
                cost_of(command, folder=folder, environment=environment, code=self.code)
                for command in self.commands(folder)
            )
            return sum(costs, Cost())
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Material:
    """A store, its encrypted archive, and the archive of a store that shares half of its chunks."""

    size: Size
    store: Path
    archive: Path
    other_archive: Path

    @classmethod
    def made(cls, size: Size, cache: Path, work: Path, parts: set[str]) -> Material:
        """Make what is not there yet, of what the parts to be measured need."""
        material = cls(size, store_of(size, cache), work / f"{size}.ecm", work / f"{size}-other.ecm")
        _export(material.store, material.archive)
        if "merge" in parts:
            _export(other_half_of(size, cache), material.other_archive)
        return material


def environment_in(folder: Path) -> dict[str, str]:
    """Give an environment in which nobody has configured anything, with this tree's program in it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {"HOME": str(folder), "PYTHONPATH": str(ROOT), "ECM_EXPORT_PASSWORD": PASSWORD}


def ours(*arguments: object) -> Command:
    """Give the command that the installed `ecm-agent` is, for this tree."""
    return [sys.executable, "-m", "ecm_agent", *map(str, arguments)]


def of_store(material: Material) -> list[Contender]:
    """Give all that is measured on a store."""
    store, archive = material.store, material.archive
    size = str(archive.stat().st_size)
    floor = [sys.executable, FLOOR]
    return [
        Contender(EXPORT_FLOOR, "export", lambda to: [[*floor, "export", str(store), size, str(to / "out")]]),
        Contender(EXPORT, "export", lambda to: [_exporting(store, to / "a.ecm")]),
        Contender(EXPORT_PLAIN, "export", lambda to: [_exporting(store, to / "a.json", "--no-encrypt")]),
        Contender(EXPORT_ZSTD, "export", lambda to: [_exporting(store, to / "a.ecm", "--compress", "zstd")]),
        Contender(EXPORT_GZIP, "export", lambda to: [_exporting(store, to / "a.ecm", "--compress", "gzip")]),
        Contender(VERIFY, "verify", lambda _: [ours("verify", archive)]),
        Contender(IMPORT_FLOOR, "import", lambda to: [[*floor, "import", str(store), str(to / "new.db")]]),
        Contender(IMPORT, "import", lambda to: [ours("import", archive, "--into", to / "new.db")]),
        Contender(
            MERGE,
            "merge",
            lambda to: [ours("import", material.other_archive, "--merge", "--store", to / "memory.db")],
            prepare=lambda to: shutil.copy(store, to / "memory.db"),
        ),
        Contender(BACKUP, "backup", lambda _: [ours("backup", "--store", store)]),
        *(peer for peer in _peers(store) if shutil.which(peer.commands(Path())[0][0])),
    ]


def of_start_up() -> list[Contender]:
    """Give the commands that should feel instant, and the least that any Python program takes."""
    nothing = [sys.executable, "-c", "pass"]
    return [
        Contender(NOTHING, "start", lambda _: [nothing]),
        Contender(VERSION, "start", lambda _: [ours("--version")]),
        Contender(HELP, "start", lambda _: [ours("--help")]),
        Contender(LIST, "start", lambda _: [ours("list")], prepare=_small_store),
        # It ends with 1: nothing has been backed up yet.
        Contender(STATUS, "start", lambda _: [ours("status")], prepare=_small_store, code=1),
    ]


def _peers(store: Path) -> list[Contender]:
    restic, borg = ["restic", "--quiet", "-r", "repository"], ["borg"]
    return [
        Contender(
            RESTIC,
            "backup",
            lambda _: [[*restic, "init"], [*restic, "backup", str(store)], [*restic, "check", "--read-data"]],
            variables={"RESTIC_PASSWORD": PASSWORD},
        ),
        Contender(
            "borg create + check --verify-data",
            "backup",
            lambda _: [
                [*borg, "init", "--encryption", "repokey-blake2", "repository"],
                [*borg, "create", "repository::one", str(store)],
                [*borg, "check", "--verify-data", "repository"],
            ],
            variables={"BORG_PASSPHRASE": PASSWORD},
        ),
        Contender(
            "age",
            "export",
            lambda _: [["age", "--encrypt", "--identity", "key", "--output", "out", str(store)]],
            prepare=lambda to: _quietly(["age-keygen", "-o", str(to / "key")]),
        ),
        Contender("sqlite3 .backup", "export", lambda _: [["sqlite3", str(store), ".backup copy.db"]]),
    ]


def _exporting(store: Path, to: Path, *options: str) -> Command:
    return ours("export", "--store", store, "--output", to, *options)


def _export(store: Path, archive: Path) -> None:
    command = _exporting(store, archive)
    cost_of(command, folder=archive.parent, environment=environment_in(archive.parent))


def _small_store(home: Path) -> None:
    """Make an empty memory in a home, as somebody has who looks at `status` before the first backup."""
    cost_of(ours("init"), folder=home, environment=environment_in(home))


def _quietly(command: Command) -> None:
    subprocess.run(command, check=True, capture_output=True)
