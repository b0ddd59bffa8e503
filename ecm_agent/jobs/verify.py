"""verify: read an archive to its end, as a restore would, and say what it holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct

from ecm_agent.archive import fingerprint, open_archive, seal_of, sealed_as
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed
from ecm_agent.jobs.oddness import Oddness
from ecm_agent.jobs.progress import Progress, Silent, followed
from ecm_agent.model.journal import Proof
from ecm_agent.model.manifest import FORMAT, Manifest, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.job import Context
    from ecm_agent.model.journal import Staged
    from ecm_agent.model.names import ArchiveName
    from ecm_agent.secret import Secret

_BLOCK = 1 << 20
"""Bytes read at a time."""


class Verified(Struct, frozen=True):
    """What an archive was proved to hold: every record decrypted, parsed and counted."""

    manifest: Manifest
    records: dict[str, int]
    """By section."""
    encrypted: bool
    bytes: int
    unread: dict[str, int] = {}
    """Sections that this program has no record for, and how many each holds: of them only that they are JSON."""
    digests: bool = False
    """Whether all it holds was held against digests: nothing else tells a changed plain archive from a good one."""
    warnings: list[str] = []
    """What is odd in its vectors, and no fault of the archive."""


def verify(
    file: BinaryIO, password: Secret | None, progress: Progress | None = None, *, title: str = "Checking"
) -> Verified:
    """Prove an archive in an open file.

    Raises `DecryptionFailed`, `ArchiveInvalid` or `PasswordMissing`; returning is the proof.
    """
    archive = open_archive(file, password)
    records: Counter[str] = Counter()
    odd = Oddness()
    for batch in followed(progress or Silent(), title, archive.manifest, odd.watched(archive.batches())):
        records[batch[0].section] += len(batch)
    return Verified(
        manifest=archive.manifest,
        records=dict(records),
        encrypted=archive.encrypted,
        bytes=file.seek(0, 2),
        unread=archive.unknown,
        digests=archive.matched,
        warnings=list(odd.warnings()),
    )


@contextmanager
def opened_stored(destination: Destination, name: ArchiveName) -> Iterator[BinaryIO]:
    """Open an archive where it is kept. Raises `ArchiveInvalid` for one that is not encrypted, or not in our format.

    This program stores none: somebody who has no password has put it there, or another program.
    """
    with destination.open(name) as file:
        if sealed_as(file) != FORMAT:
            raise ArchiveInvalid(
                f"Invalid archive format: {name} in {destination.label} is not an encrypted archive of this program.",
                hint="It stores no others; somebody else may have put it there. Restore it as a file if you trust it.",
            )
        yield file


def verify_stored(destination: Destination, name: ArchiveName, context: Context) -> Verified:
    """Prove an archive where it is kept, and put the finding on record, good or bad.

    A destination that cannot be reached says nothing about the archive; that is not recorded.
    """
    title = f"Reading back {name} from {destination.label}"
    with _faults_on_record(destination, name, context):
        with opened_stored(destination, name) as file:
            verified = verify(file, context.password, context.progress, title=title)
        refuse_another_time(verified.manifest, name)
    record_good(destination, name, verified.manifest, verified.bytes, context)
    return verified


def verify_copy(
    destination: Destination, name: ArchiveName, context: Context, *, original: BinaryIO, proved: Verified
) -> None:
    """Prove that a destination holds the very archive that was proved before it was put there; put that on record.

    It is read from there and decrypted to its last byte. Its seal being the original's, so is every byte behind it, and
    what that was proved to hold need not be counted again. Raises as `verify_stored` does, and `ArchiveInvalid` for
    any other archive under its name, good as that may be.
    """
    with _faults_on_record(destination, name, context):
        with opened_stored(destination, name) as file:
            context.progress.stage(f"Reading back {name} from {destination.label}", 0)
            open_archive(file, context.password)
            if seal_of(file) != seal_of(original):
                raise ArchiveInvalid(f"{destination.label} holds another archive under the name {name}.")
        refuse_another_time(proved.manifest, name)
    record_good(destination, name, proved.manifest, proved.bytes, context)


def verify_same(destination: Destination, name: ArchiveName, context: Context, staged: Staged) -> None:
    """Prove that a destination holds, byte for byte, the archive that was proved with another password than today's.

    It is read from there to its last byte, and cannot be decrypted: what is put on record is the proof it had, with
    the fingerprint of its own password. Raises as `verify_copy` does.
    """
    with _faults_on_record(destination, name, context), opened_stored(destination, name) as file:
        context.progress.stage(f"Reading back {name} from {destination.label}", 0)
        if digest_of(file) != staged.sha256:
            raise ArchiveInvalid(f"{destination.label} does not hold under the name {name} what was sent there.")
    proof = Proof(context.clock.now(), "", staged.bytes, staged.kin, staged.key)
    context.history.record_proof(destination.label, name, proof)


def digest_of(file: BinaryIO) -> str:
    """Give the SHA-256 (hex) of all of an open file."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def _faults_on_record(destination: Destination, name: ArchiveName, context: Context) -> Iterator[None]:
    try:
        yield
    except (ArchiveInvalid, DecryptionFailed) as error:
        record_fault(destination, name, error, context)
        raise


def record_good(destination: Destination, name: ArchiveName, manifest: Manifest, size: int, context: Context) -> None:
    """Put on record that an archive was proved good."""
    proof = Proof(context.clock.now(), "", size, manifest.kin, key_of(context))
    context.history.record_proof(destination.label, name, proof)


def record_fault(
    destination: Destination, name: ArchiveName, error: ArchiveInvalid | DecryptionFailed, context: Context
) -> None:
    """Put on record what is wrong with an archive.

    A password that differs from the one it was proved with says nothing about the archive, and is not recorded. The
    size it was proved with stays known.
    """
    known = context.history.proofs(destination.label).get(str(name))
    if isinstance(error, DecryptionFailed) and known and known.good and known.key not in {"", key_of(context)}:
        return
    fault = Proof(context.clock.now(), error.message, known.bytes if known else 0)
    context.history.record_proof(destination.label, name, fault)


def refuse_another_time(manifest: Manifest, name: ArchiveName) -> None:
    """Refuse an archive that was made at another time than its name says: names decide what is newest and what goes."""
    if manifest.created != timestamp(name.created):
        raise ArchiveInvalid(
            f"The archive under the name {name} was made at {manifest.created}: it was renamed, or exchanged.",
            hint="Give it its own name back, or restore it as a file.",
        )


def key_of(context: Context) -> str:
    """Give the fingerprint of the password at hand, as proofs have it; empty without a password."""
    return fingerprint(context.password, context.history.salt()) if context.password else ""
