"""verify: what was found of an archive is put on record, and only what was found."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import builders
import pytest
from fakes import FaultyDestination
from workplace import PASSWORD

from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, DestinationUnavailable, NotFound
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.export import export
from ecm_agent.jobs.verify import verify, verify_stored
from ecm_agent.model.journal import Proof
from ecm_agent.model.manifest import Selection
from ecm_agent.model.names import ArchiveName
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from workplace import Workplace


@pytest.fixture
def name(at: Workplace) -> ArchiveName:
    """Back up once."""
    name = ArchiveName.parse(backup(at.job(), at.context()).archive)
    assert name
    return name


def test_every_record_is_read_and_counted(at: Workplace, name: ArchiveName) -> None:
    """The proof counts what it read, by section, and that is what the store holds."""
    verified = verify_stored(at.memory, name, at.context())
    assert verified.records == {
        "chunks": 5,
        "edges": 4,
        "clusters": 3,
        "memberships": 3,
        "vectorClocks": 2,
        "vectors": 4,
    }
    assert verified.encrypted
    assert verified.bytes == len(at.memory.archives[name])


def test_a_plain_archive_is_verified_without_a_password(at: Workplace) -> None:
    """An archive that is not encrypted is read to its end as well, and said not to be encrypted."""
    file = io.BytesIO()
    now = datetime(2025, 3, 1, tzinfo=UTC)
    export(at.store, Selection(), file, password=None, compression="none", created=now)
    verified = verify(file, None)
    assert (verified.encrypted, verified.digests) == (False, True)
    file.getbuffer()[-40] ^= 1
    with pytest.raises(ArchiveInvalid):
        verify(file, None)


def test_digests_that_could_not_be_checked_are_told_from_good_ones(at: Workplace) -> None:
    """Laid out anew, a plain archive is as sound as before, but nothing tells whether it was changed on the way."""
    file = io.BytesIO()
    export(at.store, Selection(), file, password=None, compression="none", created=datetime(2025, 3, 1, tzinfo=UTC))
    verified = verify(io.BytesIO(file.getvalue().replace(b'"edges":[', b'"edges": [')), None)
    assert (verified.encrypted, verified.digests) == (False, False)


def test_the_finding_is_on_record(at: Workplace, name: ArchiveName) -> None:
    """A good archive that goes bad is on record as such, with the size it had before, and the other way round."""
    good = at.memory.archives[name]
    at.memory.archives[name] = good[:-1] + bytes([good[-1] ^ 1])
    at.clock.jump(datetime(2025, 4, 1, tzinfo=UTC))
    with pytest.raises(ArchiveInvalid) as caught:
        verify_stored(at.memory, name, at.context())
    assert at.history.proofs("memory:")[str(name)] == Proof(at.clock.now(), caught.value.message, len(good))
    at.memory.archives[name] = good
    at.clock.jump(datetime(2025, 4, 2, tzinfo=UTC))
    verify_stored(at.memory, name, at.context())
    assert at.history.proofs("memory:")[str(name)] == at.proof(at.clock.now(), size=len(good))


def test_another_password_says_nothing_about_the_archive(at: Workplace, name: ArchiveName) -> None:
    """A slip of the finger takes no proof away: the archive was proved with another password."""
    before = at.history.proofs("memory:")
    with pytest.raises(DecryptionFailed):
        verify_stored(at.memory, name, at.context(Secret("not this one")))
    assert at.history.proofs("memory:") == before


def test_a_header_that_no_longer_fits_its_own_password_is_a_fault(at: Workplace, name: ArchiveName) -> None:
    """An archive that does not open with the password it was proved with is damaged in its first bytes."""
    content = at.memory.archives[name]
    at.memory.archives[name] = content[:5] + bytes([content[5] ^ 1]) + content[6:]
    with pytest.raises(DecryptionFailed):
        verify_stored(at.memory, name, at.context(PASSWORD))
    assert not at.history.proofs("memory:")[str(name)].good


def test_an_archive_under_another_name_is_a_fault(at: Workplace, name: ArchiveName) -> None:
    """Names say which archive is the newest: one that was renamed or exchanged is not taken for what its name says."""
    other = replace(name, created=name.created + timedelta(days=1))
    at.memory.archives[other] = at.memory.archives[name]
    with pytest.raises(ArchiveInvalid, match="renamed, or exchanged"):
        verify_stored(at.memory, other, at.context(PASSWORD))
    assert not at.history.proofs("memory:")[str(other)].good


def test_a_plain_file_under_an_archives_name_is_a_fault(at: Workplace, name: ArchiveName) -> None:
    """What lies in a destination is encrypted, or somebody without the password has put it there."""
    at.memory.archives[name] = b'{"format":"ecm-archive"}'
    with pytest.raises(ArchiveInvalid, match="not an encrypted archive"):
        verify_stored(at.memory, name, at.context(PASSWORD))


def test_a_destination_out_of_reach_says_nothing_about_the_archive(at: Workplace, name: ArchiveName) -> None:
    """When the archive cannot be read at all, the last word on it stands."""
    before = at.history.proofs("memory:")
    gone = FaultyDestination(at.memory, {"open": [DestinationUnavailable("No route.")]})
    with pytest.raises(DestinationUnavailable):
        verify_stored(gone, name, at.context())
    at.memory.delete(name)
    with pytest.raises(NotFound):
        verify_stored(at.memory, name, at.context())
    assert at.history.proofs("memory:") == before


def test_an_archive_of_an_empty_store_is_good(at: Workplace) -> None:
    """An archive without any record is verified as any other."""
    builders.fill(at.store, [])
    name = ArchiveName.parse(backup(at.job(), at.context()).archive)
    assert name
    assert verify_stored(at.memory, name, at.context()).records == {}
