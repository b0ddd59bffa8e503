"""A password that cannot leak by being printed."""

from __future__ import annotations

from typing import NoReturn

from ecm_agent.errors import UsageError


class Secret:
    """Hold a password. `str`, `repr`, `format`, logging and pickling never show it; `utf8()` is the one way out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Take the password as typed: no trimming, no Unicode normalisation.

        Raises `UsageError` for an empty one (an unset variable in a CI job must not mean "no protection") and for
        one that has no UTF-8 form.
        """
        if not value:
            raise UsageError("The password is empty.", hint="An archive needs a password of at least one character.")
        if not _has_utf8(value):
            raise UsageError("The password is not valid UTF-8.", hint="Set or type it where the encoding is UTF-8.")
        self._value = value

    def utf8(self) -> bytes:
        return self._value.encode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied")


def _has_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # not to be raised on from here: it holds the password
        return False
    return True
