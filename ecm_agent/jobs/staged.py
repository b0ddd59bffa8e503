"""A staged archive that waits: what it was proved to be, and how it is proved again, whatever the password is then."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from ecm_agent.archive import open_archive
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, EcmError
from ecm_agent.jobs.verify import Verified, digest_of, key_of, verify
from ecm_agent.model.journal import Staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecm_agent.jobs.job import Context


@contextmanager
def opened_staged(path: Path) -> Iterator[BinaryIO]:
    """Open a staged archive. Raises `EcmError` for trouble with the disk it lies on, at any time in the block."""
    try:
        with path.open("rb") as staged:
            yield staged
    except OSError as error:  # a destination's own trouble is never an OSError
        raise EcmError(f"The staged archive {path} cannot be read: {error.strerror}.") from error


def note_staged(path: Path, proved: Verified, context: Context) -> None:
    """Note what an archive is that was proved and has to wait: it may be sent when the password is another.

    Raises as `open_archive` does for a file that is no longer what was proved.
    """
    if context.history.staged(path.name) is not None:
        return
    with opened_staged(path) as staged:
        digest = digest_of(staged)
        open_archive(staged, context.password)
    noted = Staged(path.name, digest, proved.bytes, proved.manifest.kin, key_of(context))
    context.history.record_staged(noted)


def proved_again(staged: BinaryIO, path: Path, context: Context) -> Verified | Staged:
    """Prove a file that has been lying: it opens, or it is still what opened with an earlier password.

    Raises as `verify` does, and says what to do about a file that can be proved in neither way.
    """
    noted = context.history.staged(path.name)
    if noted is None or noted.key == key_of(context):
        return _opens(staged, path, context)
    context.progress.stage(f"Checking {path.name}", 0)
    if digest_of(staged) != noted.sha256:
        raise ArchiveInvalid(
            f"The staged archive {path.name} is damaged: its bytes are not those that were proved.",
            hint=f"It cannot be sent any more; to give it up, remove {path}.",
        )
    return noted


def _opens(staged: BinaryIO, path: Path, context: Context) -> Verified:
    try:
        return verify(staged, context.password, context.progress, title=f"Checking {path.name}")
    except DecryptionFailed as error:
        raise DecryptionFailed(
            f"The staged archive {path.name} does not open with the password at hand: it is sent with the one it was "
            "sealed with, or given up once it is removed.",
            hint=f"With the earlier password, run: ecm-agent run --once. Or remove {path}.",
        ) from error
