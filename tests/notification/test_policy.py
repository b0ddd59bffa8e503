"""Which messages go out, and what is in them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from outcomes import BEGAN, outcome

from ecm_agent.notification.policy import DEFAULT_OCCASIONS, DEFAULT_REPEAT, Told, notice_of, told_after

if TYPE_CHECKING:
    from collections.abc import Collection

    from ecm_agent.model.outcome import Outcome
    from ecm_agent.notification.policy import Occasion

HOUR = timedelta(hours=1)


def told(*outcomes: Outcome, on: Collection[Occasion] = DEFAULT_OCCASIONS, arrive: bool = True) -> list[str | None]:
    """Give the occasion of the message after each of some runs, `None` for no message."""
    so_far = Told()
    occasions: list[str | None] = []
    for each in outcomes:
        notice = notice_of(each, so_far, on=on, repeat=DEFAULT_REPEAT)
        so_far = told_after(each, so_far, sent=notice is not None and arrive)
        occasions.append(notice.occasion if notice else None)
    return occasions


def hourly(*statuses: str, message: str = "The disk is full.") -> list[Outcome]:
    """Give runs, an hour apart; what failed, failed for one reason."""
    return [
        outcome(status, at=BEGAN + number * HOUR, message="" if status == "ok" else message)
        for number, status in enumerate(statuses)
    ]


def test_success_is_silent() -> None:
    """By default nobody hears of what went well."""
    assert told(*hourly("ok", "ok")) == [None, None]


def test_one_failure_is_told_once_and_so_is_its_end() -> None:
    """The same failure is not repeated, the recovery comes once, and a failure after it is news."""
    expected = ["failure", None, None, "recovery", None, "failure"]
    assert told(*hourly("failed", "failed", "failed", "ok", "ok", "failed")) == expected


def test_a_lasting_failure_is_told_again_after_the_interval() -> None:
    """Once in 24 hours: of 50 hourly failures the first, the 25th and the 49th."""
    occasions = told(*hourly(*["failed"] * 50))
    assert [number for number, occasion in enumerate(occasions) if occasion] == [0, 24, 48]


def test_another_failure_is_told_at_once() -> None:
    """Two that take turns are still told once each; numbers alone do not make another one."""
    messages = ["The disk is full: 12 bytes.", "No route to host.", "The disk is full: 7 bytes.", "No route to host."]
    runs = [outcome("failed", at=BEGAN + n * HOUR, message=text) for n, text in enumerate(messages)]
    assert told(*runs) == ["failure", "failure", None, None]
    codes = [outcome("failed", exit_code=1), outcome("failed", exit_code=15), outcome("partial", exit_code=3)]
    assert told(*codes) == ["failure", "failure", "failure"]


def test_a_message_that_did_not_arrive_is_sent_again() -> None:
    """At the next failure, without waiting for the interval."""
    assert told(*hourly("failed", "failed"), arrive=False) == ["failure", "failure"]


def test_skipped_runs_change_nothing() -> None:
    """They are neither failure nor recovery."""
    assert told(*hourly("skipped", "failed", "skipped", "failed", "ok")) == [None, "failure", None, None, "recovery"]


def test_a_clock_set_back_does_not_silence_us() -> None:
    """A message from the future does not count as told."""
    late, early = outcome("failed", at=BEGAN + 100 * HOUR), outcome("failed", at=BEGAN)
    assert told(late, early) == ["failure", "failure"]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (["failure"], ["failure", None, None, None, None]),
        (["recovery"], [None, None, None, "recovery", None]),
        (["success"], [None, None, None, "success", "success"]),
        (["always"], ["failure", "failure", "always", "recovery", "success"]),
    ],
)
def test_the_occasions_can_be_chosen(on: list[Occasion], expected: list[str | None]) -> None:
    """Each by itself; "always" is every run, repeated or not."""
    assert told(*hourly("failed", "failed", "skipped", "ok", "ok"), on=on) == expected


def test_the_text_of_a_failure() -> None:
    """Job, host, what failed, since when; one short line of ours."""
    before = Told(failing_since=BEGAN - 26 * HOUR)
    notice = notice_of(
        outcome("failed", exit_code=15, message="The bucket\nrefused."), before, on=["failure"], repeat=HOUR
    )
    assert notice is not None
    assert notice.title == "ecm-agent: backup of job nightly on laptop failed"
    assert notice.body == (
        "Backup of job nightly on laptop failed.\n"
        "The bucket refused.\nExit code 15. Failing since 2026-06-30 00:00 UTC."
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Could not read the password file /home/me/.pass: No such file.", "read the password file …: No such"),
        ("The archive '/x/y z.ecm' is gone.", "The archive '… z.ecm' is gone."),
        ("The store ~/.ecm/memory.db is locked.", "The store … is locked."),
        ("It lies in /var/lib/ecm.", "It lies in …."),
        ("s3://bucket/laptop refused it (403/404).", "s3://bucket/laptop refused it (403/404)."),
        ("https://me:hunter2@minio/x is down.", "https://minio/x is down."),
    ],
)
def test_paths_and_logins_stay_at_home(message: str, shown: str) -> None:
    """Neither where this machine keeps things nor who logs in anywhere is told to others."""
    notice = notice_of(outcome("failed", message=message), Told(), on=["failure"], repeat=HOUR)
    assert notice is not None
    assert shown in notice.body


def test_a_long_message_is_cut() -> None:
    """A text message has its limits."""
    notice = notice_of(outcome("failed", message="x" * 10_000), Told(), on=["failure"], repeat=HOUR)
    assert notice is not None
    assert len(notice.body) < 700


def test_what_is_remembered_has_an_end() -> None:
    """A failure with ever new texts does not fill the disk with them."""
    so_far = Told()
    for number in range(200):
        text = "The word is " + "".join(chr(97 + int(digit)) for digit in str(number))
        so_far = told_after(outcome("failed", message=text), so_far, sent=True)
    assert len(so_far.sent) == 50
