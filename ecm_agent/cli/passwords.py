"""Asking for a password where no source gives one and somebody is there to ask."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from ecm_agent.errors import PasswordMissing, UsageError
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from ecm_agent.config.settings import Settings

_SOURCES = "Set ECM_EXPORT_PASSWORD or ECM_EXPORT_PASSWORD_FILE, or name a source in the configuration (password: …)."


def to_encrypt(settings: Settings) -> Secret:
    """Give the password for a new archive: asked for twice, since a slip of the finger would lock it for good.

    Raises `PasswordMissing` when there is none and no terminal to ask at.
    """
    if secret := _configured(settings):
        return secret
    if not sys.stdin.isatty():
        raise PasswordMissing("There is no password to encrypt the archive with.", hint=_SOURCES)
    secret = Secret(_asked("Enter encryption password: "))
    if Secret(_asked("Confirm password: ")) != secret:
        raise UsageError("The two passwords differ.", hint="Nothing was written. Try again.")
    return secret


def to_decrypt(settings: Settings) -> Secret:
    """Give the password of an encrypted archive. Raises `PasswordMissing` as `to_encrypt` does."""
    if secret := _configured(settings):
        return secret
    if not sys.stdin.isatty():
        raise PasswordMissing("Archive is encrypted. Please provide a password.", hint=_SOURCES)
    return Secret(_asked("Enter decryption password: "))


def without_asking(settings: Settings) -> Secret:
    """Give the password for what runs with nobody there. Raises `PasswordMissing` when no source gives it."""
    secret = _configured(settings)
    if secret is None:
        raise PasswordMissing("There is no password that can be had without asking for it.", hint=_SOURCES)
    return secret


def at_hand(settings: Settings) -> Secret | None:
    """Give a password only if it takes no asking."""
    return _configured(settings)


def to_peek(settings: Settings) -> Secret | None:
    """Give a password for looking only: an empty answer means to go without one."""
    secret = _configured(settings)
    if secret or not sys.stdin.isatty():
        return secret
    answer = _asked("Enter decryption password: ")
    return Secret(answer) if answer else None


def _configured(settings: Settings) -> Secret | None:
    from ecm_agent.config.password import find_password

    return find_password(settings.password, environ=os.environ)


def _asked(prompt: str) -> str:
    try:
        return getpass.getpass(prompt)
    except EOFError:  # Ctrl-D
        raise PasswordMissing("No password was given.", hint=_SOURCES) from None
