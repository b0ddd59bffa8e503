"""verify: read an archive to its end, as a restore would, and say what it holds."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import is_encrypted, open_archive
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed
from ecm_agent.history import Proof
from ecm_agent.jobs.progress import Progress, Silent, followed
from ecm_agent.model.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.job import Context
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.secret import Secret


class Verified(Struct, frozen=True):
    """What an archive was proved to hold: every record decrypted, parsed and counted."""

    manifest: Manifest
    records: dict[str, int]
    """By section."""
    encrypted: bool
    bytes: int


def verify(
    file: BinaryIO, password: Secret | None, progress: Progress | None = None, *, title: str = "Checking"
) -> Verified:
    """Prove an archive in an open file.

    Raises `DecryptionFailed`, `ArchiveInvalid` or `PasswordMissing`; returning is the proof.
    """
    archive = open_archive(file, password)
    records: Counter[str] = Counter()
    for batch in followed(progress or Silent(), title, archive.manifest, archive.batches()):
        records[batch[0].section] += len(batch)
    return Verified(archive.manifest, dict(records), archive.encrypted, file.seek(0, 2))


@contextmanager
def opened_stored(destination: Destination, name: ArchiveName) -> Iterator[BinaryIO]:
    """Open an archive where it is kept. Raises `ArchiveInvalid` for one that is not encrypted.

    This program stores none: somebody who has no password has put it there.
    """
    with destination.open(name) as file:
        if not is_encrypted(file):
            raise ArchiveInvalid(
                f"Invalid archive format: {name} in {destination.label} is not an encrypted archive.",
                hint="This program stores only encrypted ones; somebody else may have put it there.",
            )
        yield file


def verify_stored(
    destination: Destination, name: ArchiveName, context: Context, *, expected: Verified | None = None
) -> Verified:
    """Prove an archive where it is kept, and put the finding on record, good or bad.

    A destination that cannot be reached says nothing about the archive; that is not recorded. With `expected`, what
    was proved of the archive before it was put there, any other archive under its name is a fault as well.
    """
    title = f"Reading back {name} from {destination.label}"
    try:
        with opened_stored(destination, name) as file:
            verified = verify(file, context.password, context.progress, title=title)
        _refuse_another(verified, expected, f"{destination.label} holds another archive under the name {name}.")
    except (ArchiveInvalid, DecryptionFailed) as error:
        context.history.record_proof(destination.label, name, Proof(context.clock.now(), error.message))
        raise
    context.history.record_proof(destination.label, name, Proof(context.clock.now(), "", verified.bytes))
    return verified


def _refuse_another(verified: Verified, expected: Verified | None, message: str) -> None:
    if expected is not None and verified != expected:
        raise ArchiveInvalid(message)
