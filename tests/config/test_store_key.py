"""The key of a store from each of its sources, in order, and no source asked in vain."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from ecm_agent.config.store import StoreKeySettings, StoreSettings
from ecm_agent.config.store_key import find_keys, is_named, remembered
from ecm_agent.errors import StoreUnreadable
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "correct horse"
PRINTS = [sys.executable, "-c", f"print('{SECRET}')"]


def keys(source: StoreKeySettings | None = None, platform: str = "linux", **environ: str) -> list[Secret]:
    return list(find_keys(StoreSettings(key=source), environ=environ, platform=platform))


def keyring(folder: Path, program: str, entries: dict[str, str]) -> str:
    """Put a program into a folder that answers for keyring entries as the real one does; give the PATH to it."""
    cases = "".join(f"    '{words}') printf '%s\\n' '{key}' ;;\n" for words, key in entries.items())
    path = folder / program
    path.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}    *) echo no such entry >&2; exit 1 ;;\nesac\n')
    path.chmod(0o755)
    return str(folder)


def test_without_any_source_there_is_no_key(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """That is no error here, and nothing is said of it: whoever opens the store knows whether it takes one."""
    assert keys(PATH=str(tmp_path)) == []
    assert keys(PATH=keyring(tmp_path, "secret-tool", {})) == []
    assert capfd.readouterr() == ("", "")


def test_the_variables_come_before_the_keyring(tmp_path: Path) -> None:
    """ECM's, then Causantic's, each itself or as a file; then the keyring entries of both."""
    path = keyring(
        tmp_path,
        "secret-tool",
        {
            "lookup service entropic-causal-memory account ecm-db-key": "three",
            "lookup service causantic account causantic-db-key": "four",
        },
    )
    file = tmp_path / "key"
    file.write_text("two\n")
    file.chmod(0o600)
    found = keys(CAUSANTIC_DB_KEY_FILE=str(file), ECM_DB_KEY="one", PATH=path)
    assert found == [Secret("one"), Secret("two"), Secret("three"), Secret("four")]


def test_on_a_mac_the_keychain_is_asked(tmp_path: Path) -> None:
    """With the words the memory programs use."""
    path = keyring(tmp_path, "security", {"find-generic-password -a causantic-db-key -s causantic -w": SECRET})
    assert keys(platform="darwin", PATH=path) == [Secret(SECRET)]


def test_a_configured_source_is_the_only_one(tmp_path: Path) -> None:
    """Whoever names a source means no other."""
    path = keyring(tmp_path, "secret-tool", {"lookup service mine account me": SECRET})
    assert keys(StoreKeySettings(command=PRINTS), ECM_DB_KEY="other") == [Secret(SECRET)]
    source = StoreKeySettings.model_validate({"keyring": {"service": "mine", "account": "me"}})
    assert keys(source, ECM_DB_KEY="other", PATH=path) == [Secret(SECRET)]


@pytest.mark.parametrize(
    ("source", "environ", "message"),
    [
        ({"env": "MINE"}, {}, "Neither MINE nor MINE_FILE is set"),
        ({"file": "/nowhere/key"}, {}, "the key file /nowhere/key"),
        ({"command": ["false"]}, {}, "Got no key: the key command false ended with status 1"),
        ({"credential": "key"}, {}, "no credential key"),
        ({"keyring": {"service": "s", "account": "a"}}, {}, "secret-tool, asked for a of s,"),
        (None, {"ECM_DB_KEY": ""}, "ECM_DB_KEY is set but empty"),
        (None, {"ECM_DB_KEY": SECRET, "ECM_DB_KEY_FILE": "/key"}, "Both ECM_DB_KEY and ECM_DB_KEY_FILE"),
    ],
)
def test_a_source_that_was_named_must_work(
    source: dict[str, Any] | None, environ: dict[str, str], message: str
) -> None:
    """The store cannot be read without it (14), and the message says which source it is and never what it gave."""
    named = source and StoreKeySettings.model_validate(source)
    with pytest.raises(StoreUnreadable, match=message) as caught:
        keys(named or None, **environ)
    assert caught.value.exit_code == 14
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_what_is_named_counts_and_what_may_lie_in_a_keyring_does_not() -> None:
    """New stores are encrypted where somebody said where the key is."""
    assert is_named(StoreSettings(key=StoreKeySettings(env="MINE")), {})
    assert is_named(StoreSettings(), {"CAUSANTIC_DB_KEY_FILE": "/key"})
    assert not is_named(StoreSettings(), {"PATH": "/bin"})


def test_a_source_is_asked_once_while_its_key_fits() -> None:
    """What was found is given first; the source is asked again only when that is not enough."""
    asked: list[int] = []

    def find() -> Iterator[Secret]:
        asked.append(len(asked))
        yield Secret(f"key {len(asked)}")

    found = remembered(find)
    assert [next(found()) for _ in range(3)] == [Secret("key 1")] * 3
    assert asked == [0]
    assert list(found()) == [Secret("key 1"), Secret("key 2")]
