"""Archive names: what is ours, read back exactly, and in the order of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ecm_agent.model.names import ArchiveName, host_label

MOMENT = datetime(2025, 3, 1, 2, 0, 5, tzinfo=UTC)
WHOLE_SECONDS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001 (given a zone here)
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
JOBS = st.from_regex(r"[A-Za-z0-9_.]{1,20}", fullmatch=True)
HOSTS = st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True)


def test_a_name_says_job_host_and_time() -> None:
    """The form is <job>-<host>-<YYYYMMDDTHHMMSSZ>.ecm, in UTC, whatever zone the time was given in."""
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert str(ArchiveName("nightly", "laptop", MOMENT)) == "nightly-laptop-20250301T020005Z.ecm"
    assert str(ArchiveName("nightly", "laptop", elsewhere)) == "nightly-laptop-20250301T020005Z.ecm"


@given(job=JOBS, host=HOSTS, created=WHOLE_SECONDS)
@example(job="a", host="-", created=MOMENT)
@example(job="a", host="b-20250101T000000Z", created=MOMENT)
@example(job=".", host="..", created=MOMENT)
def test_a_name_reads_back(job: str, host: str, created: datetime) -> None:
    """Every name that can be made reads back as the same job, host and time, dashes in the host included."""
    name = ArchiveName(job, host, created)
    assert ArchiveName.parse(str(name)) == name


@given(job=JOBS, host=HOSTS, one=WHOLE_SECONDS, other=WHOLE_SECONDS)
def test_name_order_is_time_order(job: str, host: str, one: datetime, other: datetime) -> None:
    """Within a job and a host, names sort as text just as their times do."""
    names = sorted([ArchiveName(job, host, one), ArchiveName(job, host, other)])
    assert sorted(map(str, names)) == [str(name) for name in names]
    assert [name.created for name in names] == sorted([one, other])


@given(text=st.text(max_size=60) | st.from_regex(r"[a-z.-]{0,9}-[0-9]{8}T[0-9]{6}Z\.ecm"))
@example(text="nightly-laptop-20250301T020005Z.ecm\n")
@example(text="nightly-laptop-\u0662\u0660250301T020005Z.ecm")
def test_what_reads_as_a_name_is_one(text: str) -> None:
    """Any text is either no name of ours, or exactly what the name it reads as is written as."""
    name = ArchiveName.parse(text)
    assert name is None or str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "notes.txt",
        "nightly-20250301T020005Z.ecm",
        "nightly--20250301T020005Z.ecm",
        "-laptop-20250301T020005Z.ecm",
        "nightly-laptop-20250301T020005Z.json",
        "nightly-laptop-20250301T020005Z.ecm.tmp",
        "nightly-laptop-20250301T020005.ecm",
        "nightly-laptop-20250229T020005Z.ecm",
        "nightly-laptop-20250301T240005Z.ecm",
        "nightly-lap/top-20250301T020005Z.ecm",
        "../nightly-laptop-20250301T020005Z.ecm",
        "nightly-lap top-20250301T020005Z.ecm",
        ".ecm-agent-0123456789abcdef.partial",
    ],
)
def test_other_names_are_not_ours(text: str) -> None:
    """What does not have exactly the form, or names a day that never was, is not ours to touch."""
    assert ArchiveName.parse(text) is None


@pytest.mark.parametrize(
    ("job", "host", "created"),
    [
        ("", "laptop", MOMENT),
        ("night-ly", "laptop", MOMENT),
        ("nightly", "", MOMENT),
        ("nightly", "lap/top", MOMENT),
        ("nightly", "laptop\n", MOMENT),
        ("nightly", "laptop", MOMENT.replace(microsecond=1)),
    ],
)
def test_parts_that_would_not_read_back_are_refused(job: str, host: str, created: datetime) -> None:
    """A dash in a job, a slash in a host, an empty part or a fraction of a second makes no name."""
    with pytest.raises(ValueError, match="no archive can be called"):
        ArchiveName(job, host, created)


@pytest.mark.parametrize(
    ("hostname", "label"),
    [
        ("laptop", "laptop"),
        ("laptop.example.org", "laptop"),
        ("Zoë's Mac", "Zo__s_Mac"),
        ("", "localhost"),
        (".local", "localhost"),
        ("a-b_c", "a-b_c"),
    ],
)
def test_a_host_becomes_a_label(hostname: str, label: str) -> None:
    """A host is known by its first label, with `_` for what a name cannot hold, and never by nothing."""
    assert host_label(hostname) == label


@given(hostname=st.text(max_size=40))
def test_any_host_makes_a_name(hostname: str) -> None:
    """Whatever a machine calls itself, its archives have names that read back."""
    name = ArchiveName("nightly", host_label(hostname), MOMENT)
    assert ArchiveName.parse(str(name)) == name
