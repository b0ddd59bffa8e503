"""What people and programs see: results on stdout, everything else on stderr, errors as messages and exit codes."""

from __future__ import annotations

import json

import pytest

from ecm_agent.cli.screen import Screen, Terminated, exit_code_of, screen, tried
from ecm_agent.errors import ArchiveInvalid, EcmError, NotFound
from ecm_agent.model.manifest import Manifest

MANIFEST = Manifest(version="1.0", created="", chunk_count=5, edge_count=1, cluster_count=0)


@pytest.mark.parametrize("is_json", [False, True], ids=["text", "json"])
def test_an_error_ends_with_its_code(capsys: pytest.CaptureFixture[str], *, is_json: bool) -> None:
    """An error is told with its hint, in text on stderr or as an object on stdout, and its class is the exit code."""
    with pytest.raises(SystemExit) as caught, screen(json=is_json):
        raise ArchiveInvalid("It is damaged.", hint="Use another.")
    assert caught.value.code == 13
    out, err = capsys.readouterr()
    if is_json:
        assert json.loads(out) == {
            "schema": 1,
            "message_type": "exit_error",
            "code": 13,
            "kind": "archive_invalid",
            "message": "It is damaged.",
            "hint": "Use another.",
        }
        assert err == ""
    else:
        assert (out, err) == ("", "ecm-agent: It is damaged.\nhint: Use another.\n")


def test_an_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and a sentence."""
    with pytest.raises(SystemExit) as caught, screen(json=False):
        raise KeyboardInterrupt
    assert caught.value.code == 130
    assert capsys.readouterr().err == "ecm-agent: Interrupted; nothing was left half-done.\n"


def test_sigterm_is_not_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """SIGTERM ends with 143 and a sentence; with --json, with an object."""
    for as_json in (False, True):
        with pytest.raises(SystemExit) as caught, screen(json=as_json):
            raise Terminated(15)
        assert caught.value.code == 143
    out, err = capsys.readouterr()
    assert err == "ecm-agent: Terminated; nothing was left half-done.\n"
    told = json.loads(out)
    assert (told["code"], told["kind"]) == (143, "interrupted")


def test_a_mistake_of_our_own_is_not_hidden() -> None:
    """An error that nobody foresaw goes through as it is."""
    with pytest.raises(ZeroDivisionError), screen(json=True):
        raise ZeroDivisionError


def test_names_say_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters, as a name in an archive may hold, are shown and not sent; lines and tabs stay."""
    name = "evil\x1b]0;title\x07\r\x9b2J\x7f"
    out = Screen(json=False)
    out.say(f"a\t{name}\nb")
    out.warn(name)
    out.fail(EcmError(name, hint=name))
    shown = r"evil\x1b]0;title\x07\x0d\x9b2J\x7f"
    said, err = capsys.readouterr()
    assert said == f"a\t{shown}\nb\n"
    assert err == f"warning: {shown}\necm-agent: {shown}\nhint: {shown}\n"


def test_text_and_objects_never_mix(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json only objects are printed, warnings among them; without it only lines, warnings on stderr."""

    def tell(out: Screen) -> None:
        out.say("a line", "another")
        out.warn("careful")
        out.summary("test", MANIFEST, extra=MANIFEST, none=None)

    tell(Screen(json=False))
    assert capsys.readouterr() == ("a line\nanother\n", "warning: careful\n")
    tell(Screen(json=True))
    out, err = capsys.readouterr()
    warning, summary = map(json.loads, out.splitlines())
    assert warning == {"schema": 1, "message_type": "warning", "message": "careful"}
    keys = {"version": "1.0", "created": "", "chunkCount": 5, "edgeCount": 1, "clusterCount": 0}
    head = {"schema": 1, "message_type": "summary", "command": "test"}
    assert summary == {**head, **keys, "extra": keys, "none": None}
    assert err == ""


@pytest.mark.parametrize("word", ["café 🔑", "a\nb\u2028c", 'quote " and \\', "half \udcff"])
def test_any_text_makes_one_line_of_json(capfdbinary: pytest.CaptureFixture[bytes], word: str) -> None:
    """Whatever the text, an object is one line of UTF-8 that reads back as it was."""
    Screen(json=True).emit("test", {"word": word})
    out, _ = capfdbinary.readouterr()
    assert out.count(b"\n") == 1
    assert json.loads(out.decode())["word"] == word


@pytest.mark.parametrize(
    ("codes", "end"),
    [
        ([], 0),
        ([0, 0], 0),
        ([75], 75),
        ([11, 0], 0),
        ([75, 13], 13),
        ([12], 12),
        ([13, 13], 13),
        ([15, 14], 15),
        ([0, 13], 3),
        ([14, 0], 3),
        ([3], 3),
        ([15, 3], 3),
    ],
)
def test_many_ends_make_one(codes: list[int], end: int) -> None:
    """All well is 0; nothing well is the first failure's code; anything between is 3, "not everything"."""
    assert exit_code_of(codes) == end


def test_one_failure_does_not_stop_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    """Of several things to do each is tried; an error is told with what it is about, and keeps its class."""
    codes: list[int] = []
    out = Screen(json=False)
    for error in (None, NotFound("It is gone.", hint="Look elsewhere."), EcmError("It failed.")):
        with tried(out, codes, "Job 'nightly'"):
            if error:
                raise error
            codes.append(0)
    assert codes == [0, 10, 1]
    assert capsys.readouterr().err.splitlines() == [
        "ecm-agent: Job 'nightly': It is gone.",
        "hint: Look elsewhere.",
        "ecm-agent: Job 'nightly': It failed.",
    ]
