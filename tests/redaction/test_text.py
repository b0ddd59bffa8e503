"""One text: kinds together, in any text that can be thought of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecm_agent.redaction.known import Known
from ecm_agent.redaction.text import TextRedactor

if TYPE_CHECKING:
    from ecm_agent.model.manifest import Redaction

KINDS: tuple[Redaction, ...] = ("paths", "code", "secrets")
PIECES = (
    *("[User]", "[Assistant]", "[Thinking]", "[Tool:Edit]", "[Tool:Bash]", "[Result]", "[REDACTED_PATH]"),
    *("[REDACTED_CODE]", "[REDACTED_SECRET]", "```", "~~~", "````", "```py", "> ", "- ", "    ", "\t", "1. "),
    *("/", "\\", "\\\\", "//", "~/", "./", "../", "C:", "c:\\", "/home/ada", "/mnt/c", "$HOME", "%20", "file://"),
    *('"', "'", "`", "{", "}", "(", ")", "<", ">", ":", ";", ",", ".", "=", "@", "#", "&", "|", "-", "_", "+"),
    *(
        "\n",
        "\n\n",
        "\r\n",
        " ",
        "  ",
        "\\n",
        "\\u00eb",
        "ë",
        "编",
        "\x1b[0m",
        "\0",
        "\u2028",
        "ada",
        "a",
        "x.py",
        "42",
    ),
    *("password", "token", "api_key", "Bearer ", "PRIVATE KEY", "-----BEGIN RSA PRIVATE KEY-----", "https://"),
    *("-----END RSA PRIVATE KEY-----", "AKIAQYLPMN5HFIQR7XYA", "ghp_", "hunter2-hunter2-hunter2", "a@b.example"),
    *('{"file_path": "', '{"command": "', '", "content": "', '"}', "$ ", "+++ b/", "--- a/", "@@ -1 +1 @@", "import x"),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join)


def redactor(kinds: tuple[Redaction, ...]) -> TextRedactor:
    known = Known()
    known.learn_path("/home/ada/My Work")
    known.learn_name("ada")
    return TextRedactor(kinds, known)


@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), KINDS], ids="+".join)
@settings(max_examples=400)
@given(text=TEXTS)
def test_any_text_redacted_twice_is_as_redacted_once(kinds: tuple[Redaction, ...], text: str) -> None:
    """No text is too odd to be redacted, and redacting what came of it changes nothing more."""
    once = redactor(kinds).redact(text)
    assert redactor(kinds).redact(once) == once


@given(text=TEXTS)
def test_a_text_is_left_alone_when_nothing_is_asked_for(text: str) -> None:
    """Without any kind the text is given back as it is."""
    assert redactor(()).redact(text) == text


def test_replacements_are_counted_by_kind() -> None:
    """Each replacement counts once, as the kind that it is of; what stands in a block goes with it."""
    text = "/home/ada/x.py and AKIAQYLPMN5HFIQR7XYA and /opt/tides\n\n```\nsee /srv/y.py\n```\n"
    counting = redactor(KINDS)
    expected = "[REDACTED_PATH] and [REDACTED_SECRET] and [REDACTED_PATH]\n\n```\n[REDACTED_CODE]\n```\n"
    assert counting.redact(text) == expected
    assert counting.found == {"paths": 2, "secrets": 1, "code": 1}
