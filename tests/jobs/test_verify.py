"""verify: what was found of an archive is put on record, and only what was found."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import builders
import pytest
from fakes import FaultyDestination
from workplace import PASSWORD

from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, DestinationUnavailable, NotFound
from ecm_agent.history import Proof
from ecm_agent.jobs.backup import backup
from ecm_agent.jobs.export import export
from ecm_agent.jobs.verify import verify, verify_stored
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
    assert not verify(file, None).encrypted
    file.getbuffer()[-40] ^= 1
    with pytest.raises(ArchiveInvalid):
        verify(file, None)


def test_the_finding_is_on_record(at: Workplace, name: ArchiveName) -> None:
    """A good archive that goes bad is on record as such with the time of the check, and the other way round."""
    good = at.memory.archives[name]
    at.memory.archives[name] = good[:-1] + bytes([good[-1] ^ 1])
    at.clock.jump(datetime(2025, 4, 1, tzinfo=UTC))
    with pytest.raises(ArchiveInvalid) as caught:
        verify_stored(at.memory, name, at.context())
    assert at.history.proofs("memory:")[str(name)] == Proof(at.clock.now(), caught.value.message)
    at.memory.archives[name] = good
    at.clock.jump(datetime(2025, 4, 2, tzinfo=UTC))
    verify_stored(at.memory, name, at.context())
    assert at.history.proofs("memory:")[str(name)] == Proof(at.clock.now(), "", len(good))


def test_a_wrong_password_takes_the_proof_away_until_the_right_one_is_given(at: Workplace, name: ArchiveName) -> None:
    """What the password at hand does not open is not proved, so rotation leaves it alone; the right one proves it."""
    with pytest.raises(DecryptionFailed):
        verify_stored(at.memory, name, at.context(Secret("not this one")))
    assert not at.history.proofs("memory:")[str(name)].good
    verify_stored(at.memory, name, at.context(PASSWORD))
    assert at.history.proofs("memory:")[str(name)].good


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
