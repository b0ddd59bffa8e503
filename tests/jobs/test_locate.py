"""locate: which archive somebody means."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fakes import FaultyDestination, MemoryDestination
from workplace import archive

from ecm_agent.errors import ArchiveInvalid, DestinationUnavailable, NotFound
from ecm_agent.jobs.locate import Located, all_of, candidates, found, is_path, newest_of, opened_path

if TYPE_CHECKING:
    from workplace import Workplace

    from ecm_agent.destination.base import Destination
    from ecm_agent.model.names import ArchiveName


def day(number: int, *, job: str = "nightly", host: str = "laptop") -> ArchiveName:
    return archive(datetime(2025, 2, number, tzinfo=UTC), job=job, host=host)


def test_latest_is_the_newest_that_was_proved(at: Workplace) -> None:
    """To restore, a newer archive that was never read back, or not well, does not come before an older proved one.

    To prove or to drill, the latest is the newest: what is wrong with it is what is asked for.
    """
    at.plant(day(1))
    at.plant(day(2))
    at.plant(day(3), proved=False)
    at.plant(day(4), fault="Archive is damaged")
    best, *_ = candidates("latest", at.job(), {"memory": at.memory}, at.history, now=at.clock.now()).copies
    assert (best.name, best.verified) == (day(2), True)
    assert found("latest", at.job(), {"memory": at.memory}, at.history, now=at.clock.now()).name == day(4)


def test_without_any_proof_latest_is_the_newest(at: Workplace) -> None:
    """On a new machine, where nothing is on record, the newest archive is the latest, and said to be unproved."""
    at.plant(day(1), proved=False)
    at.plant(day(2), proved=False)
    latest = found("latest", at.job(), {"memory": at.memory}, at.history, now=at.clock.now())
    assert (latest.name, latest.verified) == (day(2), False)


def test_an_archive_from_the_future_is_the_last_to_be_meant(at: Workplace) -> None:
    """What a clock that was wrong dated years ahead is not the latest, proved or not, but for want of any other."""
    at.plant(archive(at.clock.now() + timedelta(days=400)))
    places = {"memory": at.memory}
    ahead = found("latest", at.job(), places, at.history, now=at.clock.now())
    at.plant(day(1), proved=False)
    for proved_first in (True, False):
        first, second = candidates(
            "latest", at.job(), places, at.history, now=at.clock.now(), proved_first=proved_first
        ).copies
        assert (first.name, second.name) == (day(1), ahead.name)
    assert newest_of(at.job(), at.memory, at.history, at.clock.now()).name == day(1)
    asked = candidates("latest", at.job(), places, at.history, now=at.clock.now(), at=ahead.name.created)
    assert asked.copies[0].name == ahead.name


def test_this_hosts_archives_come_first(at: Workplace) -> None:
    """An archive of this host is preferred to a newer, proved one of another; where there is none, those count."""
    at.plant(day(5, host="server"))
    at.plant(day(1), proved=False)
    at.plant(day(9, job="weekly"))
    places = {"memory": at.memory}
    assert found("latest", at.job(), places, at.history, now=at.clock.now()).name == day(1)
    at.memory.delete(day(1))
    assert found("latest", at.job(), places, at.history, now=at.clock.now()).name == day(5, host="server")


def test_the_same_archive_is_taken_from_where_it_was_proved(at: Workplace) -> None:
    """Of two copies of one archive, the one that was read back is the latest, whatever the order of destinations."""
    other = MemoryDestination("other:")
    at.plant(day(1), proved=False)
    at.plant(day(1), destination=other)
    for places in ({"a": at.memory, "b": other}, {"b": other, "a": at.memory}):
        assert found("latest", at.job(), places, at.history, now=at.clock.now()).destination is other


def test_a_name_is_found_in_whichever_destination_holds_it(at: Workplace) -> None:
    """A name is looked for in every destination, of any job and host, with what is known of it there."""
    other = MemoryDestination("other:")
    at.plant(day(1, job="weekly", host="server"), destination=other)
    one = found(
        str(day(1, job="weekly", host="server")), at.job(), {"a": at.memory, "b": other}, at.history, now=at.clock.now()
    )
    assert (one.destination, one.verified) == (other, True)
    assert str(one) == "weekly-server-20250201T000000Z.ecm in other:"


def test_what_is_not_there_is_named_with_where_it_was_looked_for(at: Workplace) -> None:
    """A missing name, an empty job and no archive at all say what was looked for and where."""
    places = {"a": at.memory, "b": MemoryDestination("other:")}
    at.plant(day(1, job="weekly"))
    with pytest.raises(NotFound, match=r"There is no archive nightly-\S+\.ecm in memory:, other:\.") as caught:
        found(str(day(1)), at.job(), places, at.history, now=at.clock.now())
    assert "ecm-agent list" in caught.value.hint
    with pytest.raises(NotFound, match="There is no archive of job 'nightly' in memory:, other:"):
        found("latest", at.job(), places, at.history, now=at.clock.now())
    with pytest.raises(NotFound, match="There is no archive of job 'nightly' of host 'laptop' in memory:"):
        all_of(at.job(), at.memory, at.history)


def test_all_means_all_of_this_job_and_host(at: Workplace) -> None:
    """Every archive of the job and host in a destination is meant, and no other."""
    for name in (day(1), day(2), day(3, host="server"), day(4, job="weekly")):
        at.plant(name)
    every = all_of(at.job(), at.memory, at.history)
    assert [(one.name, one.destination.label) for one in every] == [(day(1), "memory:"), (day(2), "memory:")]


def test_a_destination_out_of_reach_hides_no_archive_that_was_named(at: Workplace) -> None:
    """A name is still found in another destination; where it is not, the error is that of the one not asked."""
    error = DestinationUnavailable("No route.", hint="Wait.")
    places: dict[str, Destination] = {
        "gone": FaultyDestination(MemoryDestination(), {"list": [error, error]}),
        "here": at.memory,
    }
    at.plant(day(1))
    assert found(str(day(1)), at.job(), places, at.history, now=at.clock.now()).destination is at.memory
    with pytest.raises(DestinationUnavailable, match="No route"):
        found(str(day(2)), at.job(), places, at.history, now=at.clock.now())


def told(copies: list[Located]) -> list[tuple[ArchiveName, str]]:
    return [(one.name, one.destination.label) for one in copies]


def test_copies_stand_together_best_first(at: Workplace) -> None:
    """Candidates for the latest: proved archives by age, of each its proved copy, an unproved, a faulty one; others."""
    more, third = MemoryDestination("more:"), MemoryDestination("third:")
    at.plant(day(1))
    at.plant(day(2), fault="damaged")
    at.plant(day(2), proved=False, destination=more)
    at.plant(day(2), destination=third)
    at.plant(day(3), proved=False)
    found = candidates("latest", at.job(), {"a": at.memory, "b": more, "c": third}, at.history, now=at.clock.now())
    assert told(found.copies) == [
        (day(2), "third:"),
        (day(2), "more:"),
        (day(2), "memory:"),
        (day(1), "memory:"),
        (day(3), "memory:"),
    ]
    assert [one.fault for one in found.copies] == ["", "", "damaged", "", ""]


def test_by_time_the_newest_counts_proved_or_not(at: Workplace) -> None:
    """With a time, the archives made by then are candidates, newest first, that moment's own included."""
    for number in (1, 2, 4):
        at.plant(day(number))
    at.plant(day(3), proved=False)
    at.plant(day(3, host="server"))
    places = {"a": at.memory}
    found = candidates("latest", at.job(), places, at.history, now=at.clock.now(), at=day(3).created)
    assert told(found.copies) == [(day(number), "memory:") for number in (3, 2, 1)]
    with pytest.raises(NotFound, match=r"made by 2025-01-31T23:59:59\+00:00") as caught:
        candidates("latest", at.job(), places, at.history, now=at.clock.now(), at=day(1).created - timedelta(seconds=1))
    assert str(day(1)) in caught.value.hint


def test_of_a_name_every_destination_is_a_candidate(at: Workplace) -> None:
    """A named archive may be anywhere: no destination is asked beforehand, and where it was proved comes first."""
    gone = FaultyDestination(MemoryDestination("gone:"), {"list": [DestinationUnavailable("No route.")]})
    at.plant(day(1))
    found = candidates(str(day(1)), at.job(), {"a": gone, "b": at.memory}, at.history, now=at.clock.now())
    assert (told(found.copies), found.unasked) == ([(day(1), "memory:"), (day(1), "gone:")], [])


def test_candidates_come_from_those_that_can_be_asked(at: Workplace) -> None:
    """A destination that cannot be asked is told of; where no other holds an archive, its error is the error."""
    error = DestinationUnavailable("No route.")
    gone = FaultyDestination(MemoryDestination("gone:"), {"list": [error, error]})
    places: dict[str, Destination] = {"a": gone, "b": at.memory}
    with pytest.raises(DestinationUnavailable, match="No route"):
        candidates("latest", at.job(), places, at.history, now=at.clock.now())
    at.plant(day(1))
    found = candidates("latest", at.job(), places, at.history, now=at.clock.now())
    assert told(found.copies) == [(day(1), "memory:")]
    assert [one.message for one in found.unasked] == ["No route."]


def test_archives_of_other_jobs_are_hinted_at(at: Workplace) -> None:
    """Where only other jobs have archives, as on a new machine without the old configuration, the error names them."""
    at.plant(day(1, job="weekly"))
    with pytest.raises(NotFound) as caught:
        candidates("latest", at.job(), {"a": at.memory}, at.history, now=at.clock.now())
    assert "'weekly'; restore one by its name" in caught.value.hint


def test_latest_is_not_guessed_with_a_destination_out_of_reach(at: Workplace) -> None:
    """The latest archive may be where nobody can look: the error says how to leave that destination out."""
    error = DestinationUnavailable("No route.", hint="Wait.")
    at.plant(day(1))
    places: dict[str, Destination] = {
        "gone": FaultyDestination(MemoryDestination(), {"list": [error]}),
        "here": at.memory,
    }
    with pytest.raises(DestinationUnavailable, match="No route") as caught:
        found("latest", at.job(), places, at.history, now=at.clock.now())
    assert "Wait." in caught.value.hint
    assert "--from NAME" in caught.value.hint


def test_a_path_is_told_from_a_name(at: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive's name means the archive, unless a file of that name lies here; anything else is a path."""
    monkeypatch.chdir(at.home)
    name = str(day(1))
    assert not is_path("latest")
    assert not is_path(name)
    assert not is_path("x" * 300 + name)
    assert is_path(f"./{name}")
    assert is_path("memory.ecm")
    (at.home / name).touch()
    assert is_path(name)


def test_a_file_is_opened_and_closed(tmp_path: Path) -> None:
    """A path gives a seekable file, closed after the block."""
    path = tmp_path / "archive.ecm"
    path.write_bytes(b"content")
    with opened_path(path) as file:
        assert (file.read(), file.seek(0)) == (b"content", 0)
    assert file.closed


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """A path where nothing lies is named."""
    with pytest.raises(NotFound, match=re.escape(str(tmp_path / "no"))), opened_path(tmp_path / "no"):
        pass


def test_what_is_no_regular_file_is_no_archive(tmp_path: Path) -> None:
    """A directory, a pipe nobody writes to, a device: each is refused at once and by name."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path("/dev/null"), Path("/dev/zero")):
        with pytest.raises(ArchiveInvalid, match=f"Invalid archive format: {re.escape(str(path))}"), opened_path(path):
            pass


def test_a_file_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A link that leads to itself is named with the reason."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(ArchiveInvalid, match="Too many levels"), opened_path(loop):
        pass
