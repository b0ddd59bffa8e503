"""Whatever happens at whichever statement of a merge or a replacement: the store holds what it held, or all of the new.

What it holds is compared row by row in every table of the file, with the rowids, and with the schema.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from injection import ACTIONS, FATES, Statements, scene, state, watched

from ecm_agent.errors import StoreUnreadable
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from injection import State

TESTS = Path(__file__).parents[1]
MODES = ["DELETE", "WAL"]
MANY = 50
"""Fewer moments than this would mean that the scene has lost most of its work."""

HOW_IT_ENDS = {"killed": "SIGKILL", "refused": "error", "cut off": "SIGXFSZ"}


class Bench:
    """A store, what it holds before an action and would hold after it, and a way to put it back."""

    def __init__(self, path: Path, mode: str, action: str) -> None:
        self.path = path
        self.action = action
        scene(path, mode)
        self._content = path.read_bytes()
        self.before = state(path)
        self.put_back()
        self.unharmed(path)
        self.after = state(path)
        assert self.after != self.before
        self.put_back()

    def put_back(self) -> None:
        for file in self.path.parent.iterdir():
            file.unlink()
        self.path.write_bytes(self._content)

    def harmed(self, act: Callable[[sqlite3.Connection], object], at: int, *, onwards: bool = False) -> int:
        """Run the action with something happening at a statement; give how many there were."""
        statements = Statements(act, at, onwards=onwards)
        with watched(statements):
            ACTIONS[self.action](SqliteStore(self.path))
        return statements.count

    def unharmed(self, path: Path) -> None:
        with watched(Statements(fail, 0)):
            ACTIONS[self.action](SqliteStore(path))

    def check(self, path: Path, expected: State) -> None:
        """See that a store holds what it should, and that what did not happen can happen now."""
        assert state(path) == expected
        if expected == self.before:
            self.unharmed(path)
            assert state(path) == self.after


class Harm(BaseException):
    """Not even an `Exception`, as a Ctrl-C is."""


def fail(_connection: sqlite3.Connection) -> None:
    raise Harm


def fill_disk(connection: sqlite3.Connection) -> None:
    """Let the database take no more pages from now on."""
    super(type(connection), connection).execute("PRAGMA max_page_count = 1")


@pytest.fixture(params=[(mode, action) for mode in MODES for action in ACTIONS], ids=" ".join)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "memory.db", *request.param)


@pytest.mark.parametrize("onwards", [False, True], ids=["once", "from there on"])
def test_an_error_at_any_statement_changes_nothing(bench: Bench, onwards: bool) -> None:
    """Whichever statement is not reached, undoing included, the error comes through and the store is as it was."""
    total = bench.harmed(fail, 0)
    assert total > MANY
    for number in range(1, total + 1):
        bench.put_back()
        with pytest.raises(Harm):
            bench.harmed(fail, number, onwards=onwards)
        bench.check(bench.path, bench.before)


def test_a_disk_that_is_full_from_any_statement_on_changes_nothing(bench: Bench) -> None:
    """Told as such, and the store is as it was; or no room was needed any more, and all is done."""
    total, full = bench.harmed(fail, 0), 0
    for number in range(1, total + 1):
        bench.put_back()
        expected = bench.after
        try:
            bench.harmed(fill_disk, number)
        except StoreUnreadable as error:
            assert "the disk is full" in error.message
            expected, full = bench.before, full + 1
        bench.check(bench.path, expected)
    assert full > total / 4


@pytest.mark.parametrize("fate", FATES)
def test_a_process_that_comes_to_grief_leaves_all_or_nothing(
    bench: Bench, fate: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed at any statement, refused any write, or killed in the middle of one, it leaves the store as it was.

    Refused a write, it says so; and when it says that all is done, all is done.
    """
    folder = tmp_path_factory.mktemp("moments")
    ends = moments(fate, bench.action, bench.path, folder)
    assert len(ends) > MANY
    assert set(ends[:-1]) == {HOW_IT_ENDS[fate]}
    for number, end in enumerate(ends):
        bench.check(folder / str(number) / "memory.db", bench.after if end == "done" else bench.before)


def moments(fate: str, action: str, store: Path, folder: Path) -> list[str]:
    """Give how it ended at each moment; what is left of the store lies in a folder of the moment's number."""
    command = [sys.executable, "-m", "injection", fate, action, str(store), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    ends: list[str] = json.loads(done.stdout)
    return ends
