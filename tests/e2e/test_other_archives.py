"""Archives of the memory programs, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import builders
import pytest
from causantic_validator import faults
from vectors import generate
from vectors.memory import PASSWORD

from ecm_agent.model.records import Chunk
from ecm_agent.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from program import Program

VECTORS = Path(generate.__file__).parent
LOCKED = "causantic-1.1.causantic"


def copied(program: Program, vector: str, name: str = "archive.bin") -> str:
    shutil.copy(VECTORS / vector, program.home / name)
    return f"./{name}"


def chunks(store: Path) -> int:
    return sum(isinstance(record, Chunk) for record in builders.contents(SqliteStore(store)))


def test_a_causantic_archive_goes_all_the_way(bare: Program) -> None:
    """Under a name that says nothing: inspected, verified, imported, merged and restored; its drill is declined."""
    bare.variables["ECM_EXPORT_PASSWORD"] = PASSWORD
    path = copied(bare, LOCKED)
    assert "Causantic archive 1.1" in bare.run("inspect", path).out
    (told,) = bare.run("inspect", path, "--json").objects
    assert (told["format"], told["encrypted"], told["manifest"]["chunkCount"]) == ("causantic-archive", True, 3)
    assert bare.run("verify", path).code == 0
    assert bare.run("import", path).code == 0
    assert chunks(bare.store) == 3
    assert "nothing was changed" in bare.run("import", path, "--merge").out
    assert bare.run("restore", path, "--into", "beside.db").code == 0
    assert chunks(bare.home / "beside.db") == 3
    ended = bare.run("drill", path)
    assert (ended.code, "cannot be drilled" in ended.err) == (1, True)


@pytest.mark.parametrize(("given", "code"), [("wrong", 12), (None, 2)])
def test_without_its_password_it_stays_shut(bare: Program, given: str | None, code: int) -> None:
    """A wrong password is exit 12 and none is exit 2; inspecting it without says whose archive it is."""
    bare.variables.pop("ECM_EXPORT_PASSWORD", None)
    path = copied(bare, LOCKED)
    assert "Causantic archive" in bare.run("inspect", path).out
    if given:
        bare.variables["ECM_EXPORT_PASSWORD"] = given
    for command in ("verify", "import"):
        assert bare.run(command, path).code == code
    assert not bare.store.exists()


@pytest.mark.parametrize("vector", ["causantic-flipped.causantic", "causantic-cut.causantic"])
def test_damage_is_not_a_wrong_password(bare: Program, vector: str) -> None:
    """A changed byte and a missing one are exit 13."""
    bare.variables["ECM_EXPORT_PASSWORD"] = PASSWORD
    path = copied(bare, vector)
    assert (bare.run("verify", path).code, bare.run("import", path).code) == (13, 13)


@pytest.mark.parametrize("vector", ["causantic-edge.json", "causantic-member.json"])
@pytest.mark.parametrize("how", [[], ["--dry-run"], ["--merge"]], ids=["replace", "dry run", "merge"])
def test_what_leads_nowhere_is_left_out_and_named(bare: Program, vector: str, how: list[str]) -> None:
    """An edge or a member whose chunk is not in such an archive: the rest is imported, it is named, exit code 3."""
    ended = bare.run("import", copied(bare, vector), *how)
    assert ended.code == 3
    assert ended.out.count("  dropped: ") == 1
    assert bare.store.exists() == (how != ["--dry-run"])


@pytest.mark.parametrize("how", [[], ["--dry-run"], ["--merge"]], ids=["replace", "dry run", "merge"])
def test_a_section_nobody_knows_is_named(bare: Program, how: list[str]) -> None:
    """What this version cannot import is named with its number, in words and in JSON, and the exit code is 3."""
    path = copied(bare, "causantic-later.json")
    ended = bare.run("import", path, *how)
    assert (ended.code, "3 records of section 'indexEntries'" in ended.out) == (3, True)
    (told,) = bare.run("import", path, "--json", "--dry-run").objects
    assert told["unread"] == {"indexEntries": 3}
    ended = bare.run("verify", path)
    assert (ended.code, "except 3 records of section 'indexEntries'" in ended.out) == (0, True)


def test_our_own_archives_never_lead_nowhere(program: Program) -> None:
    """In an archive of this program a loose end is damage, as ever: exit 13, and the store stays as it was."""
    assert program.run("export", "--no-encrypt", "-o", "m.json").code == 0
    value = json.loads((program.home / "m.json").read_bytes())
    value["edges"][0]["target"] = "nowhere"
    (program.home / "m.json").write_text(json.dumps(value))
    assert program.run("import", "./m.json").code == 13
    assert chunks(program.store) == 5


def test_an_export_for_causantic_goes_all_the_way(program: Program) -> None:
    """Encrypted under Causantic's magic, sound by the validator, and restored by this program; what is lost is said."""
    program.variables["ECM_EXPORT_PASSWORD"] = PASSWORD
    ended = program.run("export", "--format", "causantic-1.1", "--output", "memory.causantic")
    assert ended.code == 0
    assert "no backup" in ended.out
    assert "2 rows of vector_clocks" in ended.out
    written = (program.home / "memory.causantic").read_bytes()
    assert faults(written, PASSWORD) == []
    assert (program.home / "memory.causantic").stat().st_mode & 0o777 == 0o600
    assert program.run("restore", "./memory.causantic", "--into", "beside.db").code == 0
    assert chunks(program.home / "beside.db") == 5


def test_what_is_spoiled_for_causantic_is_exit_3(program: Program) -> None:
    """A value that no JSON can say is named, in JSON output too, and the archive is there all the same."""
    builders.execute(program.store, "UPDATE edges SET initial_weight = 9e999 WHERE id = 'e1'")
    ended = program.run("export", "--format", "causantic-1.1", "--no-encrypt", "--output", "memory.causantic", "--json")
    assert ended.code == 3
    summary = ended.objects[-1]
    assert (summary["spoiled"], summary["not_written"]["chunks.agent_id"]) == (1, 5)
    assert any("initial_weight is inf" in one["message"] for one in ended.objects if one["message_type"] == "warning")
    assert faults((program.home / "memory.causantic").read_bytes()) == []


def test_compression_is_not_a_choice_for_causantic(program: Program) -> None:
    """Its archives are gzip and nothing else: asking for more is a usage error, and nothing is written."""
    ended = program.run("export", "--format", "causantic-1.1", "--compress", "zstd", "--output", "memory.causantic")
    assert (ended.code, (program.home / "memory.causantic").exists()) == (2, False)
    assert "--compress" in ended.err
