"""A password never shows, whatever is done with the object that holds it."""

from __future__ import annotations

import copy
import logging
import pickle
import pprint
import traceback
from dataclasses import asdict, dataclass

import pytest

from ecm_agent.errors import UsageError
from ecm_agent.secret import Secret

WORD = "Sesam öffne dich"
SECRET = Secret(WORD)


@dataclass
class Holder:
    password: Secret


def test_no_way_of_printing_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    """`str`, `repr`, formatting, logging and printing what holds it show a placeholder."""
    logging.getLogger("ecm").warning("%s %r %s", SECRET, SECRET, {"password": SECRET})
    shown = [
        str(SECRET),
        repr(SECRET),
        f"{SECRET}",
        f"{SECRET!s:>40}",
        "%s" % SECRET,  # noqa: UP031 (one more way)
        "{}".format(SECRET),  # noqa: UP032 (one more way)
        str([SECRET]),
        repr(Holder(SECRET)),
        pprint.pformat({"password": SECRET}),
        caplog.text,
    ]
    assert not [text for text in shown if WORD in text or "Sesam" in text]
    assert all("Secret(…)" in text for text in shown)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_never_pickled(protocol: int) -> None:
    """Pickling it, or what holds it, fails, with an error that does not show it."""
    for thing in (SECRET, Holder(SECRET), [SECRET]):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(thing, protocol)
        assert WORD not in "".join(traceback.format_exception(caught.value))


def test_it_is_never_copied() -> None:
    """Copies are refused, and so are functions that make them on the way."""
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled or copied"):
            duplicate(SECRET)
    with pytest.raises(TypeError):
        asdict(Holder(SECRET))


def test_it_has_no_dictionary() -> None:
    """Nothing that walks an object's attributes finds it."""
    with pytest.raises(TypeError):
        vars(SECRET)


def test_it_comes_out_as_it_went_in() -> None:
    """Its one way out gives UTF-8 as typed: spaces kept, composed and decomposed letters kept apart."""
    for word in (WORD, "  spaces \t", "\n", "e\u0301", "é", "\x00", "🔑" * 100):
        assert Secret(word).utf8() == word.encode()


def test_equal_passwords_are_equal() -> None:
    """Two secrets are equal when their passwords are; a secret equals no plain text."""
    assert Secret(WORD) == SECRET
    assert hash(Secret(WORD)) == hash(SECRET)
    assert Secret("é") != Secret("e\u0301")
    assert SECRET != WORD


def test_an_empty_password_is_none() -> None:
    """An unset variable in a script must not mean "no protection"."""
    with pytest.raises(UsageError, match="empty"):
        Secret("")


@pytest.mark.parametrize("word", ["\ud800", "half \udcff of it", "\udfff\ud800"])
def test_half_characters_are_refused(word: str) -> None:
    """Text without a UTF-8 form is refused, with an error that shows no part of it and carries none along."""
    with pytest.raises(UsageError, match="UTF-8") as caught:
        Secret(word)
    assert caught.value.__context__ is None
    assert word not in f"{caught.value!r} {caught.value.hint}"
    assert "of it" not in f"{caught.value!r} {caught.value.hint}"
