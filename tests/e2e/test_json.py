"""--json: everything on stdout is an object of its own, and no byte anywhere is the password."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from program import PASSWORD

if TYPE_CHECKING:
    from program import Ended, Program


@pytest.fixture
def told(program: Program) -> dict[str, Ended]:
    """Run everything once, with --json; what ended how, by command line."""
    commands = [
        "init --store new.db",
        "backup",
        "list",
        "verify",
        "verify --all",
        "drill",
        "drill all",
        "export -o m.ecm",
        "inspect m.ecm",
        "import m.ecm --store again.db",
        "restore --dry-run",
        "restore",
        "rotate --dry-run",
        "status",
        "config check",
        "config show",
        "import no.ecm",
        "restore --from nas",
        "export -o m.ecm --projects no",
        "backup --store no.db",
        "config check -c no.yaml",
    ]
    return {words: program.run(*words.split(), "--json") for words in commands}


def test_every_line_is_an_object(program: Program, told: dict[str, Ended]) -> None:
    """Success is one summary or more, failure ends in an exit_error with the exit code; stdout holds nothing else."""
    for words, ended in told.items():
        objects = ended.objects
        assert objects, words
        assert all(each["schema"] == 1 for each in objects)
        assert {each["message_type"] for each in objects} <= {"summary", "warning", "exit_error"}
        last = objects[-1]
        if ended.code:
            assert last["message_type"] == "exit_error"
            assert last["code"] == ended.code
            assert last["message"]
            assert last["kind"]
        else:
            assert words.startswith(last["command"])
        assert ended.err == ""
    failed = {words: ended.code for words, ended in told.items() if ended.code}
    assert failed == {
        "import no.ecm": 10,
        "restore --from nas": 10,
        "export -o m.ecm --projects no": 2,
        "backup --store no.db": 14,
        "config check -c no.yaml": 2,
    }
    backup = told["backup"].objects[-1]
    assert [delivery["error"] for delivery in backup["deliveries"]] == [""]
    assert told["list"].objects[0]["verified"] is True
    assert told["list"].objects[0]["name"] == backup["archive"]
    assert told["inspect m.ecm"].objects[0]["manifest"]["projects"] == ["", "café-kiosk", "tide-tables"]

    _no_trace_of_the_password(program, told)


def _no_trace_of_the_password(program: Program, told: dict[str, Ended]) -> None:
    word = PASSWORD.encode()
    traces = [word, base64.b64encode(word).rstrip(b"=")[:-1], word.hex().encode(), repr(PASSWORD).encode()[1:-1]]
    said = [ended.out.encode() + ended.err.encode() for ended in told.values()]
    assert not [content for content in [*said, *program.files().values()] for trace in traces if trace in content]
