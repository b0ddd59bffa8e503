"""Getting the password, or another secret of its kind, from where the settings say it is."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ecm_agent.config import private as private_file
from ecm_agent.config.places import expanded
from ecm_agent.config.store import PASSWORD_VARIABLE
from ecm_agent.errors import PasswordMissing
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecm_agent.config.store import PasswordSettings

COMMAND_TIMEOUT = 30.0
"""Seconds a password command may take; it may have to ask a key agent, never a person."""


def find_password(
    source: PasswordSettings,
    *,
    environ: Mapping[str, str],
    command_timeout: float = COMMAND_TIMEOUT,
    what: str = "password",
) -> Secret | None:
    r"""Get the password; `None` when the source is ECM_EXPORT_PASSWORD and neither it nor its _FILE twin is set.

    A variable's value is the password as it stands. From a file, a credential or a command's output exactly one
    newline (\n or \r\n) at the end is taken off. Raises `PasswordMissing`, saying which source and why; the secret is
    called `what` in it.
    """
    if source.file is not None:
        return _from_file(source.file, f"the {what} file {source.file}", what)
    if source.command is not None:
        return from_command(source.command, f"the {what} command {source.command[0]}", environ, command_timeout, what)
    if source.credential is not None:
        return _from_credential(source.credential, environ, what)
    return _from_variable(source.env or PASSWORD_VARIABLE, environ, what)


def _from_variable(name: str, environ: Mapping[str, str], what: str) -> Secret | None:
    twin = f"{name}_FILE"
    if name in environ and twin in environ:
        raise PasswordMissing(f"Both {name} and {twin} are set.", hint="Set only one of the two.")
    if name in environ:
        if not environ[name]:
            raise PasswordMissing(f"The variable {name} is set but empty.", hint=f"Give it the {what}, or unset it.")
        return Secret(environ[name])
    if twin in environ:
        path = _twin(twin, environ)
        return _from_file(path, f"the {what} file {path} ({twin})", what)
    if name == PASSWORD_VARIABLE:
        return None
    raise PasswordMissing(f"Neither {name} nor {twin} is set.", hint=f"The configuration takes the {what} from there.")


def _twin(variable: str, environ: Mapping[str, str]) -> Path:
    try:
        return expanded(environ[variable], base=Path(), environ=environ)
    except ValueError as error:
        raise PasswordMissing(f"The path in {variable} {error}.", hint="Give it the path of a file.") from None


def _from_credential(name: str, environ: Mapping[str, str], what: str) -> Secret:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise PasswordMissing(
            f"There is no credential {name}: CREDENTIALS_DIRECTORY is not set.",
            hint="systemd sets it for a unit with LoadCredential= or LoadCredentialEncrypted=.",
        )
    # systemd keeps the directory itself private, whatever the modes of the files in it.
    return _from_file(Path(directory) / name, f"the credential {name}", what, private=False)


def _from_file(path: Path, which: str, what: str, *, private: bool = True) -> Secret:
    content = private_file.content(path, which, PasswordMissing, private=private)
    return _secret(content, which, what)


def from_command(
    argv: list[str], which: str, environ: Mapping[str, str], timeout: float, what: str, *, quiet: bool = False
) -> Secret:
    """Get what a program prints, one newline at the end not being part of it. Raises `PasswordMissing`.

    `which` names the program in messages, `what` the secret; of a `quiet` one nobody sees what it has to say.
    """
    try:
        # Its messages go to our own stderr, so that a key agent can say what it lacks; its stdout is the secret.
        done = subprocess.run(  # noqa: S603 (a list from the user's own configuration, without a shell)
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env=dict(environ),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PasswordMissing(f"Gave up on {which}: it took longer than {timeout:g} seconds.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no program's name"
        raise PasswordMissing(f"Could not run {which}: {reason}.") from None
    if done.returncode != 0:
        how = f"ended with status {done.returncode}" if done.returncode > 0 else f"died of signal {-done.returncode}"
        raise PasswordMissing(f"Got no {what}: {which} {how}.", hint="Run it by hand to see why.")
    return _secret(done.stdout, which, what)


def _secret(content: bytes, which: str, what: str) -> Secret:
    line = content.removesuffix(b"\n")
    line = line.removesuffix(b"\r") if line != content else content
    if not line:
        raise PasswordMissing(f"Got no {what} from {which}: it is empty.")
    if len(content) > private_file.LONGEST:
        raise PasswordMissing(f"Got no {what} from {which}: it holds more than {private_file.LONGEST} bytes.")
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        pass  # and not raised from here: the error it would carry along holds the bytes
    raise PasswordMissing(f"Got no {what} from {which}: it is not UTF-8 text.")
