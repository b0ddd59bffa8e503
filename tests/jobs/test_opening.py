"""opening: the first healthy copy is used, and every other one is told of."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from fakes import FaultyDestination, MemoryDestination
from workplace import PASSWORD, archive

from ecm_agent.archive.container import CAUSANTIC_MAGIC
from ecm_agent.errors import ArchiveInvalid, DecryptionFailed, DestinationUnavailable, EcmError, NotFound
from ecm_agent.jobs.export import export
from ecm_agent.jobs.locate import candidates
from ecm_agent.jobs.opening import PassedOver, first_healthy
from ecm_agent.model.manifest import Selection
from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.destination.base import Destination
    from ecm_agent.jobs.locate import Located
    from ecm_agent.model.names import ArchiveName

OLD = archive(datetime(2025, 2, 1, tzinfo=UTC))
NEW = archive(datetime(2025, 2, 2, tzinfo=UTC))
DAMAGED = "Archive is damaged: the password fits, but bytes were changed or cut off."


@pytest.fixture
def more() -> MemoryDestination:
    return MemoryDestination("more:")


def keep(at: Workplace, name: ArchiveName, *places: MemoryDestination, password: Secret = PASSWORD) -> bytes:
    """Put a sound archive under a name, proved."""
    file = io.BytesIO()
    export(at.store, Selection(), file, password=password, compression="none", created=name.created)
    for place in places:
        at.plant(name, destination=place)
        place.archives[name] = file.getvalue()
    return file.getvalue()


def damage(place: MemoryDestination, name: ArchiveName, offset: int = -1) -> None:
    content = bytearray(place.archives[name])
    content[offset] ^= 1
    place.archives[name] = bytes(content)


def opened(
    at: Workplace, *places: Destination, wanted: str = "latest", password: Secret = PASSWORD
) -> tuple[Located, list[PassedOver]]:
    job = at.job(*places)
    found = candidates(wanted, job, job.destinations, at.history, now=at.clock.now())
    with first_healthy(found, at.context(password)) as healthy:
        place = healthy.located.destination
        assert isinstance(place, MemoryDestination)
        assert healthy.file.seek(0) == 0
        assert healthy.file.read() == place.archives[healthy.located.name]
        return healthy.located, healthy.passed_over


def test_the_next_copy_of_the_same_archive_comes_first(at: Workplace, more: MemoryDestination) -> None:
    """A damaged copy is passed over for another of the same archive, told of, and on record as faulty."""
    keep(at, OLD, at.memory, more)
    keep(at, NEW, at.memory, more)
    damage(at.memory, NEW)
    located, passed_over = opened(at, at.memory, more)
    assert (located.name, located.destination) == (NEW, more)
    assert passed_over == [PassedOver(str(NEW), "memory:", DAMAGED)]
    assert at.history.proofs("memory:")[str(NEW)].fault == DAMAGED
    assert at.history.proofs("more:")[str(NEW)].good


def test_an_older_archive_only_when_every_copy_failed(at: Workplace, more: MemoryDestination) -> None:
    """With all copies of the newest damaged, the next older archive is used, and that is said; the next time too."""
    keep(at, OLD, at.memory)
    keep(at, NEW, at.memory, more)
    damage(at.memory, NEW)
    more.archives[NEW] = b'{"format":"ecm-archive"}'
    for _ in range(2):
        located, passed_over = opened(at, at.memory, more)
        assert (located.name, located.destination) == (OLD, at.memory)
        assert [(one.archive, one.destination) for one in passed_over] == [(str(NEW), "memory:"), (str(NEW), "more:")]
        assert passed_over[0].why == DAMAGED
        assert "is not an encrypted archive" in passed_over[1].why


def test_another_programs_archive_under_our_name_is_passed_over(at: Workplace) -> None:
    """Destinations hold this program's archives only: a sound one of Causantic's, put there, is none of them."""
    keep(at, OLD, at.memory)
    at.memory.archives[NEW] = CAUSANTIC_MAGIC + keep(at, NEW, at.memory)[len(CAUSANTIC_MAGIC) :]
    located, passed_over = opened(at)
    assert located.name == OLD
    assert "is not an encrypted archive of this program" in passed_over[0].why


def test_a_newer_one_that_was_never_proved_is_told_of(at: Workplace) -> None:
    """The latest is a proved one; that there is a newer archive, which nobody has read back, does not go unsaid."""
    keep(at, OLD, at.memory)
    at.plant(NEW, proved=False)
    located, passed_over = opened(at)
    assert located.name == OLD
    assert passed_over == [PassedOver(str(NEW), "memory:", "It was never proved.")]


def test_one_from_the_future_is_told_of(at: Workplace) -> None:
    """It was proved, but dated by a clock that was wrong: the report says why it was not used."""
    keep(at, OLD, at.memory)
    ahead = archive(at.clock.now() + timedelta(days=400))
    keep(at, ahead, at.memory)
    located, passed_over = opened(at)
    assert located.name == OLD
    assert passed_over == [PassedOver(str(ahead), "memory:", "It is dated in the future.")]


@pytest.mark.parametrize(
    "error", [DestinationUnavailable("No route."), NotFound("more: holds no such archive.")], ids=["gone", "removed"]
)
def test_what_cannot_be_fetched_is_passed_over(at: Workplace, more: MemoryDestination, error: EcmError) -> None:
    """An archive that was listed and cannot be fetched counts as failed, without a word about it on record."""
    keep(at, OLD, at.memory)
    keep(at, NEW, more)
    before = at.history.proofs("more:")
    faulty = FaultyDestination(more, {"open": [error]})
    located, passed_over = opened(at, faulty, at.memory)
    assert located.name == OLD
    assert passed_over == [PassedOver(str(NEW), "more:", error.message)]
    assert at.history.proofs("more:") == before


def test_an_archive_of_another_time_is_passed_over(at: Workplace) -> None:
    """What lies under a later name than its own is not the newest, whatever its name says."""
    old = keep(at, OLD, at.memory)
    later = replace(NEW, created=NEW.created + timedelta(days=1))
    at.plant(later)
    at.memory.archives[later] = old
    located, passed_over = opened(at)
    assert located.name == OLD
    assert "renamed, or exchanged" in passed_over[0].why


def test_a_wrong_password_leads_to_no_older_archive(at: Workplace, more: MemoryDestination) -> None:
    """Where no copy opens with the password, that is the error, exit 12, though an older archive would have opened."""
    keep(at, OLD, at.memory, password=Secret("another"))
    keep(at, NEW, at.memory, more)
    before = at.history.proofs("memory:")
    with pytest.raises(DecryptionFailed) as caught:
        opened(at, at.memory, more, password=Secret("another"))
    assert f"{NEW} in memory:: Decryption failed. {NEW} in more:: Decryption failed." in caught.value.message
    assert str(OLD) in caught.value.hint
    assert at.history.proofs("memory:") == before


def test_damage_that_looks_like_a_wrong_password(at: Workplace, more: MemoryDestination) -> None:
    """A copy whose first bytes were changed seems to have another password: another copy of the archive is tried."""
    keep(at, OLD, at.memory)
    keep(at, NEW, at.memory, more)
    damage(at.memory, NEW, 5)
    located, passed_over = opened(at, at.memory, more)
    assert (located.name, located.destination) == (NEW, more)
    assert passed_over == [PassedOver(str(NEW), "memory:", "Decryption failed")]
    assert not at.history.proofs("memory:")[str(NEW)].good


def test_a_slip_of_the_finger_marks_nothing(at: Workplace) -> None:
    """An archive that was never proved and does not open is not on record as faulty: the password may be wrong."""
    keep(at, NEW, at.memory)
    at.history.forget("memory:", NEW)
    with pytest.raises(DecryptionFailed):
        opened(at, password=Secret("another"))
    assert at.history.proofs("memory:") == {}


def test_a_named_archive_is_never_another(at: Workplace, more: MemoryDestination) -> None:
    """Of a named archive every copy is tried and no other archive; the error is the first, and names them all."""
    keep(at, OLD, at.memory)
    keep(at, NEW, at.memory, more)
    damage(at.memory, NEW)
    gone = FaultyDestination(more, {"open": [DestinationUnavailable("more: is out of reach.")]})
    empty = MemoryDestination("empty:")
    with pytest.raises(ArchiveInvalid) as caught:
        opened(at, empty, at.memory, gone, wanted=str(NEW))
    assert caught.value.message == (
        f"No copy can be used. {NEW} in memory:: {DAMAGED} {NEW} in more:: more: is out of reach."
    )
    at.history.forget("memory:", NEW)
    at.history.forget("more:", NEW)
    located, passed_over = opened(at, empty, at.memory, more, wanted=str(NEW))
    assert (located.destination, passed_over) == (more, [PassedOver(str(NEW), "memory:", DAMAGED)])


def test_a_name_that_nobody_knows(at: Workplace, more: MemoryDestination) -> None:
    """A named archive that is nowhere is not found; one that may be where nobody can look is out of reach."""
    with pytest.raises(NotFound, match=rf"There is no archive {NEW} in memory:, more:\."):
        opened(at, at.memory, more, wanted=str(NEW))
    gone = FaultyDestination(more, {"open": [DestinationUnavailable("No route.")]})
    with pytest.raises(DestinationUnavailable, match="No route"):
        opened(at, at.memory, gone, wanted=str(NEW))


def test_what_could_not_be_asked_is_named_as_well(at: Workplace, more: MemoryDestination) -> None:
    """When nothing is left, the error names also the destination that was not asked."""
    keep(at, NEW, at.memory)
    damage(at.memory, NEW)
    gone = FaultyDestination(more, {"list": [DestinationUnavailable("more: is out of reach.")]})
    with pytest.raises(ArchiveInvalid, match="more: is out of reach"):
        opened(at, at.memory, gone)


def test_an_error_of_whoever_uses_the_archive_is_theirs(at: Workplace, more: MemoryDestination) -> None:
    """Once an archive is handed out, no other takes its place: what fails then may have begun to take effect."""
    keep(at, NEW, at.memory, more)
    job = at.job(at.memory, more)
    found = candidates("latest", job, job.destinations, at.history, now=at.clock.now())
    with pytest.raises(ArchiveInvalid, match="half-way"), first_healthy(found, at.context()):
        raise ArchiveInvalid("half-way")
