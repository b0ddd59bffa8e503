"""Whatever happens at whichever statement of a merge or a replacement: the store holds what it held, or all of the new.

What it holds is compared row by row in every table of the file, with the rowids, and with the schema.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from injection import ACTIONS, FATES, Statements, dry_run, scene, state, watched

from ecm_agent.errors import StoreUnreadable
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
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

    def check(self, path: Path, number: int, expected: State) -> None:
        """See that a store holds what it should, and, now and then, that what did not happen can happen now."""
        assert state(path) == expected
        if expected == self.before and number % 4 == 1:
            self.unharmed(path)
            assert state(path) == self.after


class Harm(BaseException):
    """Not even an `Exception`, as a Ctrl-C is."""


def fail(_connection: sqlite3.Connection) -> None:
    raise Harm


def fill_disk(connection: sqlite3.Connection) -> None:
    """Let the database take no more pages from now on."""
    sqlite3.Connection.execute(connection, "PRAGMA max_page_count = 1")


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
        bench.check(bench.path, number, bench.before)


def test_a_disk_that_is_full_from_any_statement_on_changes_nothing(bench: Bench) -> None:
    """Told as such, and the store is as it was; or no room was needed any more, and all is done."""
    total, told = bench.harmed(fail, 0), []
    for number in range(1, total + 1):
        bench.put_back()
        expected = bench.after
        try:
            bench.harmed(fill_disk, number)
        except StoreUnreadable as error:
            told.append(error.message)
            expected = bench.before
        bench.check(bench.path, number, expected)
    assert len(told) > total / 4
    assert set(told) == {f"{bench.path} could not be written: the disk is full."}


@pytest.mark.parametrize("fate", FATES)
def test_a_process_that_comes_to_grief_leaves_all_or_nothing(
    bench: Bench, fate: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed at any statement, refused any write, or killed in the middle of one, it leaves the store as it was.

    Refused a write, it says so; and when it says that all is done, all is done. In WAL mode all is done as well when it
    is killed while it moves what has been committed from the WAL into the database.
    """
    folder = tmp_path_factory.mktemp("moments")
    ends = moments(fate, bench.action, bench.path, folder)
    assert len(ends) > MANY
    assert set(ends[:-1]) == {HOW_IT_ENDS[fate]}
    expected = bench.before
    for number, end in enumerate(ends):
        path = folder / str(number) / "memory.db"
        if end == "done" or (fate == "cut off" and number > MANY and state(path) == bench.after):
            expected = bench.after
        bench.check(path, number, expected)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_error_at_any_statement_makes_no_store(tmp_path: Path, action: str) -> None:
    """Where there was no store there is none, and nothing else; in the end it can still be made."""
    store = SqliteStore(tmp_path / "memory.db")
    number, ended_well = 0, False
    while not ended_well:
        number += 1
        assert list(tmp_path.iterdir()) == []
        with suppress(Harm), watched(Statements(fail, number)):
            ACTIONS[action](store)
            ended_well = True
    assert number > MANY
    assert list(tmp_path.iterdir()) == [store.path]
    assert store.problems() == []


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_process_that_comes_to_grief_makes_no_store(tmp_path: Path, action: str, fate: str) -> None:
    """Where there was no store there is none, and what is left over is no hindrance, and gone the next time."""
    ends = moments(fate, action, tmp_path / "missing.db", tmp_path)
    assert set(ends[:-1]) == {HOW_IT_ENDS[fate]}
    for number, _ in enumerate(ends[:-1]):
        store = SqliteStore(tmp_path / str(number) / "memory.db")
        assert not store.exists()
        assert fate != "refused" or list(store.path.parent.iterdir()) == []
        if number % 8 == 1:
            ACTIONS[action](store)
            assert store.problems() == []
            assert list(store.path.parent.iterdir()) == [store.path]


@pytest.mark.parametrize("mode", MODES)
def test_a_dry_run_changes_nothing_wherever_it_ends(tmp_path: Path, mode: str) -> None:
    """Trying out a merge leaves no trace, neither when it ends well nor when it does not."""
    store = scene(tmp_path / "memory.db", mode)
    before = state(store.path)
    number, ended_well = 0, False
    while not ended_well:
        number += 1
        with suppress(Harm), watched(Statements(fail, number)):
            dry_run(store)
            ended_well = True
        assert state(store.path) == before
    assert number > MANY


def moments(fate: str, action: str, store: Path, folder: Path) -> list[str]:
    """Give how it ended at each moment; what is left of the store lies in a folder of the moment's number."""
    command = [sys.executable, "-m", "injection", fate, action, str(store), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    ends: list[str] = json.loads(done.stdout)
    return ends
