"""The README's ways to another machine and to the later memory program, typed in as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import builders
import pytest
from injection import state
from merge_model import key, said
from program import PASSWORD, Ended, Program

from ecm_agent.jobs.compare import differences
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Sequence

README = Path(__file__).parents[2] / "README.md"
ENTER, CONFIRM, DECRYPT = "Enter encryption password: ", "Confirm password: ", "Enter decryption password: "


class Blocks(NamedTuple):
    """The commands of the section, line by line, in its order. One that is added needs its place in these tests."""

    old_machine: list[str]
    replace: list[str]
    merge: list[str]
    undo: list[str]


class Machine(Program):
    """A machine on which the program was set up as the README says, so that the shell finds `.venv/bin/ecm-agent`."""

    def command(self, *words: str) -> list[str]:
        return ["sh", "-e", "-c", *words]

    def type(self, lines: Sequence[str]) -> list[Ended]:
        """Run lines in the shell as they stand; all must end well."""
        ended = [self.run(line) for line in lines]
        assert [(one.code, one.err) for one in ended] == [(0, "")] * len(lines)
        return ended

    @property
    def memory(self) -> SqliteStore:
        return SqliteStore(self.store)

    @property
    def causantic(self) -> SqliteStore:
        return SqliteStore(self.home / ".causantic" / "memory.db")

    @property
    def records(self) -> dict[tuple[str, tuple[str, ...]], Any]:
        return {(one.section, key(one)): said(one) for one in builders.contents(self.memory)}


def blocks_of(title: str) -> list[list[str]]:
    """Take the commands of a section; a block in another language than sh would be one that nobody runs."""
    section = README.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert section.count("```") == 2 * len(found)
    return [block.splitlines() for block in found]


@pytest.fixture
def blocks() -> Blocks:
    return Blocks(*blocks_of("Move to another machine"))


@pytest.fixture
def way_out() -> list[str]:
    [lines] = blocks_of("From ECM to Causantic in three commands")
    assert len(lines) == 3
    return lines


@pytest.fixture
def old(program: Program) -> Machine:
    """Give the machine that has the memory."""
    return _set_up(Machine(program.home))


@pytest.fixture
def new(tmp_path: Path) -> Machine:
    """Give a machine on which nothing is yet but the program."""
    home = tmp_path / "new"
    home.mkdir()
    return _set_up(Machine(home))


@pytest.fixture
def lived_in(new: Machine) -> Machine:
    """Give a machine with a memory of its own, a part of which the old one has as well."""
    chunks = [builders.chunk("n1", "sourdough"), builders.chunk("c3"), builders.chunk("n2", "sourdough")]
    vectors = [builders.vector("n1", 0.0, -1.0), builders.vector("c3", 1.0, 0.0)]
    builders.fill(new.memory, [chunks, [builders.edge("n3", "n1", "c3")], vectors])
    return new


def _set_up(machine: Machine) -> Machine:
    program = machine.home / ".venv" / "bin" / "ecm-agent"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nexec {} "$@"\n'.format(" ".join(Program(machine.home).command())))
    program.chmod(0o700)
    return machine


def carry(old: Machine, new: Machine) -> None:
    shutil.copyfile(old.home / "memory.ecm", new.home / "memory.ecm")


def test_a_new_machine_knows_what_the_old_one_knew(blocks: Blocks, old: Machine, new: Machine) -> None:
    """Where there is no memory yet, the import makes one that equals the old one, record by record."""
    old.type(blocks.old_machine)
    carry(old, new)
    inspected, _ = new.type(blocks.replace)
    assert "5 chunks" in inspected.out
    assert differences(old.memory, new.memory) == {}
    assert len(new.records) == sum(map(len, builders.memory()))


def test_a_memory_that_may_go_goes_and_can_come_back(blocks: Blocks, old: Machine, lived_in: Machine) -> None:
    """Where there is a memory, the import takes its place, and undo brings it back, table by table."""
    before = builders.rows_of(lived_in.store)
    old.type(blocks.old_machine)
    carry(old, lived_in)
    lived_in.type(blocks.replace)
    assert differences(old.memory, lived_in.memory) == {}
    lived_in.type(blocks.undo)
    assert builders.rows_of(lived_in.store) == before


def test_two_memories_become_one_and_two_again(blocks: Blocks, old: Machine, lived_in: Machine) -> None:
    """The plan changes no file, the merge holds what both knew, undo brings back what was there, table by table."""
    before, ours = builders.rows_of(lived_in.store), lived_in.records
    old.type(blocks.old_machine)
    carry(old, lived_in)
    dry_run, *merge = blocks.merge
    files = lived_in.files()
    (planned,) = lived_in.type([dry_run])
    assert "--dry-run" in dry_run
    assert all(fate in planned.out for fate in ("ADDED", "UPDATED", "SKIPPED", "FOLDED", "CONFLICTS"))
    assert lived_in.files() == files
    lived_in.type(merge)
    assert lived_in.records == ours | old.records
    assert lived_in.memory.problems() == []
    lived_in.type(blocks.undo)
    assert builders.rows_of(lived_in.store) == before


def test_a_password_may_be_typed(blocks: Blocks, old: Machine, lived_in: Machine) -> None:
    """The same at a terminal with no password set: it is asked for at each step, and never shown."""
    old.variables.clear()
    lived_in.variables.clear()
    before, ours = builders.rows_of(lived_in.store), lived_in.records
    shown = _answered(old, blocks.old_machine, ENTER, CONFIRM)
    carry(old, lived_in)
    shown += _answered(lived_in, blocks.replace, DECRYPT)
    assert differences(old.memory, lived_in.memory) == {}
    shown += _answered(lived_in, blocks.undo, DECRYPT)
    shown += _answered(lived_in, blocks.merge, DECRYPT)
    assert lived_in.records == ours | old.records
    shown += _answered(lived_in, blocks.undo, DECRYPT)
    assert builders.rows_of(lived_in.store) == before
    assert PASSWORD not in shown


def _answered(machine: Machine, lines: Sequence[str], *prompts: str) -> str:
    """Run lines at a terminal, typing the password at each prompt."""
    ended = [machine.answering(line, answers=[(prompt, PASSWORD) for prompt in prompts]) for line in lines]
    assert [one.code for one in ended] == [0] * len(lines), ended
    return "".join(one.out for one in ended)


LEFT_BEHIND = ["5 values of chunks.vector_clock", "4 values of edges.vector_clock", "2 values of vector_clocks"]


def test_three_commands_lead_to_causantic(way_out: list[str], old: Machine) -> None:
    """What its schema has a place for arrives and is found by its search, the clocks are listed, ECM's store stays."""
    before = builders.rows_of(old.store)
    export, init, merge = (old.run(line) for line in way_out)
    assert [(one.code, one.err) for one in (export, init, merge)] == [(0, ""), (0, ""), (3, "")]
    assert [line for line in LEFT_BEHIND if f"left out: {line}, for which" not in merge.out] == []
    after = state(old.causantic.path)  # which checks the full-text index
    assert (len(after["rows of chunks"]), len(after["rows of edges"]), len(after["rows of vectors"])) == (5, 4, 4)
    assert after["rows of schema_version"][0][:2] == (16, "16")
    assert builders.rows_of(old.store) == before


def test_the_way_to_causantic_may_be_tried_and_gone_twice(way_out: list[str], old: Machine) -> None:
    """With --dry-run nothing is written; the second time `init` and the merge change nothing."""
    export, init, merge = (line.partition(" #")[0] for line in way_out)
    old.run(f"{export} && {init}")
    files = old.files()
    tried = old.run(f"{merge} --dry-run --json")
    assert (tried.code, old.files()) == (3, files)
    assert tried.objects[-1]["changes"]["no_place"] == {
        "chunks.vector_clock": 5,
        "edges.vector_clock": 4,
        "vector_clocks": 2,
    }
    assert old.run(merge).code == 3
    before = state(old.causantic.path)
    again = [old.run(line) for line in way_out]
    assert [one.code for one in again] == [0, 1, 3]
    assert "Nothing was changed" in again[2].out
    assert state(old.causantic.path) == before
