"""Strict YAML: what no editor should get past us, and no message that shows a piece of the file."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from ecm_agent.config.loading import load
from ecm_agent.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct-horse"


def read(tmp_path: Path, content: str | bytes) -> str:
    """Load a file and give its store."""
    file = tmp_path / "conf.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(load(file, environ={"HOME": "/home/me"}, cwd=tmp_path).settings.store.path)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("store:\n  path: a\n path: b\n", ":3", "not valid YAML"),
        ("store: {path: a", ":1", "not valid YAML"),
        ("store: {path: a}\nstore: {path: b}\n", ":2", "store is given twice, first in line 1"),
        (
            "jobs:\n  n:\n    vectors: true\n    vectors: false\n",
            ":4",
            "jobs.n.vectors is given twice, first in line 3",
        ),
        ("1: x\n", ":1", "a key is not text"),
        ("jobs: {yes: {}}\n", ":1", "a key is not text"),
        ("? [a]\n: x\n", ":1", "a key is not text"),
        ("- store\n", "", "must hold keys such as"),
        ("store\n", "", "must hold keys such as"),
        (b"host: a\nstore: {path: \xff}\n", ":2", "not UTF-8"),
        ("a: b\x07", "", "not valid YAML"),
        ("host: 2024-99-99\n", "", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", ":2", "not valid YAML"),
        ("[" * 5000, "", "nested too deeply"),
        ("store: &s {path: *s}\n", "", "nested too deeply"),
        (f"password: !python/object:{SECRET} x\n", ":1", "not valid YAML"),
        (f"password: *{SECRET}\n", ":1", "not valid YAML"),
        (f"password: {{env: {SECRET}: x}}}}\n", ":1", "not valid YAML"),
        (f"password: '{SECRET}\n", ":2", "not valid YAML"),
        (f"{SECRET}\n", "", "must hold keys such as"),
    ],
)
def test_a_broken_file_names_itself_its_line_and_what_is_wrong(
    tmp_path: Path, content: str | bytes, line: str, words: str
) -> None:
    """Never with a piece of its text."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, content)
    assert f"{tmp_path}/conf.yaml{line}: " in caught.value.message
    assert words in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    """Plain YAML that says a thing once is welcome."""
    text = "jobs:\n  a: &a {compress: gzip}\n  b: {<<: *a, vectors: false}\nstore: {path: /m}\n"
    assert read(tmp_path, text) == "/m"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    """Some editors write one."""
    assert read(tmp_path, "store: {path: /m}".encode("utf-8-sig")) == "/m"


def test_a_file_that_cannot_be_read_is_an_error_even_where_it_was_only_found(tmp_path: Path) -> None:
    """Falling back to another file would silently use other settings."""
    (tmp_path / "ecm-agent.yaml").symlink_to("ecm-agent.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(None, environ={"HOME": "/home/me"}, cwd=tmp_path)
