"""Getting the key of an encrypted store: from where the settings say, else from where the memory programs have it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ecm_agent.config.password import COMMAND_TIMEOUT, find_password, from_command
from ecm_agent.config.store import KEY_VARIABLES, KeyringSettings, StoreKeySettings
from ecm_agent.errors import PasswordMissing, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ecm_agent.config.store import StoreSettings
    from ecm_agent.secret import Secret

ORIGINALS = (
    KeyringSettings(service="entropic-causal-memory", account="ecm-db-key"),
    KeyringSettings(service="causantic", account="causantic-db-key"),
)
"""Where ECM and Causantic put the key of their store."""

_WHAT = "key"


def is_named(store: StoreSettings, environ: Mapping[str, str]) -> bool:
    """Whether somebody said where the key is; what may lie in a keyring does not count."""
    return store.key is not None or bool(_set_variables(environ))


def find_keys(store: StoreSettings, *, environ: Mapping[str, str], platform: str = sys.platform) -> Iterator[Secret]:
    """Get the keys that may open the store, the likeliest first, each only when it is asked for.

    The one that is configured; without it, those of the variables (or of the files that their _FILE twins name), then
    those of the keyring. Nobody is asked, save by a keyring that is locked.
    Raises `StoreUnreadable`, saying which source and why, for one that was named and cannot be used.
    """
    try:
        if store.key is not None:
            yield _configured(store.key, environ, platform)
            return
        for name in _set_variables(environ):
            yield _configured(StoreKeySettings(env=name), environ, platform)
    except PasswordMissing as error:
        raise StoreUnreadable(f"There is no key to the memory store: {error.message}", hint=error.hint) from None
    for entry in ORIGINALS:
        try:
            yield _from_keyring(entry, environ, platform, quiet=True)
        except PasswordMissing:
            continue


def remembered(find: Callable[[], Iterator[Secret]]) -> Callable[[], Iterator[Secret]]:
    """Give the keys found before first, so that a source is asked again only where they do not fit (any more)."""
    found: list[Secret] = []

    def keys() -> Iterator[Secret]:
        yield from list(found)
        for key in find():
            if key not in found:
                found.append(key)
                yield key

    return keys


def _set_variables(environ: Mapping[str, str]) -> list[str]:
    return [name for name in KEY_VARIABLES if name in environ or f"{name}_FILE" in environ]


def _configured(source: StoreKeySettings, environ: Mapping[str, str], platform: str) -> Secret:
    if source.keyring is not None:
        return _from_keyring(source.keyring, environ, platform)
    found = find_password(source, environ=environ, what=_WHAT)
    if found is None:
        raise PasswordMissing(f"Neither {source.env} nor {source.env}_FILE is set.")
    return found


def _from_keyring(entry: KeyringSettings, environ: Mapping[str, str], platform: str, *, quiet: bool = False) -> Secret:
    """Ask with the programs that the memory programs themselves use, so that an entry of theirs is found as it lies."""
    if platform == "darwin":
        argv = ["security", "find-generic-password", "-a", entry.account, "-s", entry.service, "-w"]
    else:
        argv = ["secret-tool", "lookup", "service", entry.service, "account", entry.account]
    which = f"{argv[0]}, asked for {entry.account} of {entry.service},"
    return from_command(argv, which, environ, COMMAND_TIMEOUT, _WHAT, quiet=quiet)
