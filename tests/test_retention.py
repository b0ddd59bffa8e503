"""Retention: golden tables (retention/*.txt) for what the rules say, properties for what no policy may do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecm_agent.clock import CLOCK_TOLERANCE
from ecm_agent.errors import UsageError
from ecm_agent.retention import Candidate, Decision, Policy, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- golden tables -----------------------------------------------------------------------------------------------

TABLES = sorted((Path(__file__).parent / "retention").glob("*.txt"))


@dataclass(frozen=True)
class Case:
    claim: str
    policy: Policy
    zone: ZoneInfo
    now: datetime
    rows: list[list[str]]

    def candidates(self) -> list[Candidate]:
        return [
            Candidate(name, local(created, self.zone), verified={"verified": True, "unverified": False}[state])
            for name, created, state, *_ in self.rows
        ]

    def answer(self, decisions: list[Decision]) -> list[list[str]]:
        """Write decisions as rows of the table; created and state are taken from the table's line of that name."""
        lines = {row[0]: row[:3] for row in self.rows}
        return [
            [*lines[each.candidate.name], "keep" if each.keep else "remove", ", ".join(each.reasons) or "-"]
            for each in decisions
        ]


def local(text: str, zone: ZoneInfo) -> datetime:
    """Read an instant, in the policy's own zone: where two times of the repeated hour are hardest to tell apart."""
    return datetime.fromisoformat(text).astimezone(zone)


def read_cases(path: Path) -> Iterator[Case]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    for text in "\n".join(lines).split("== ")[1:]:
        claim, policy, zone, now, *rows = text.splitlines()
        where = ZoneInfo(zone.removeprefix("zone: "))
        yield Case(
            claim,
            read_policy(policy.removeprefix("policy: ")),
            where,
            local(now.removeprefix("now: "), where),
            [re.split(r" {2,}", row.strip()) for row in rows],
        )


def read_policy(text: str) -> Policy:
    settings = dict(setting.split("=") for setting in text.split())
    within = settings.pop("keep_within", None)
    counts = {key: int(value) for key, value in settings.items()}
    return Policy(**counts, keep_within=within and duration(within))  # type: ignore[arg-type] # keyword arguments from a table


def duration(text: str) -> timedelta:
    units = {"d": "days", "h": "hours", "m": "minutes"}
    return timedelta(**{units[unit]: int(amount) for amount, unit in re.findall(r"(\d+)([dhm])", text)})


@pytest.mark.parametrize("case", [pytest.param(case, id=case.claim) for path in TABLES for case in read_cases(path)])
def test_golden_table(case: Case) -> None:
    """A table's archives, handed over in any order, are decided on as the table says and listed newest first."""
    for seed in range(5):
        shuffled = Random(seed).sample(case.candidates(), k=len(case.rows))  # noqa: S311 (no secret is drawn)
        decisions = plan(shuffled, case.policy, now=case.now, timezone=case.zone)
        assert case.answer(decisions) == case.rows


def test_the_tables_are_there() -> None:
    """The golden tables were found: a moved folder would otherwise pass in silence."""
    assert [path.stem for path in TABLES] == ["calendar", "clock", "rules"]


def test_nothing_to_decide() -> None:
    """An empty destination gives an empty plan."""
    assert plan([], Policy(keep_last=1, keep_within=timedelta(1)), now=NOW, timezone=BERLIN) == []


# --- refusals ----------------------------------------------------------------------------------------------------

COUNTS = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly"]
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("key", COUNTS)
def test_a_negative_count_is_refused(key: str) -> None:
    """A negative count is a usage error that names its key, whatever else the policy keeps."""
    settings = {"keep_last": 3, "keep_daily": 3} | {key: -1}
    with pytest.raises(UsageError, match=f"^{key} is -1") as error:
        Policy(**settings)  # type: ignore[arg-type] # keyword arguments from a table
    assert error.value.hint


@pytest.mark.parametrize("minimum", [0, -1])
def test_a_minimum_below_one_is_refused(minimum: int) -> None:
    """A policy cannot allow its last verified archive to be removed."""
    with pytest.raises(UsageError, match=f"^keep_minimum is {minimum}"):
        Policy(keep_last=1, keep_minimum=minimum)


@pytest.mark.parametrize("within", [timedelta(0), timedelta(seconds=-1), timedelta(days=-14)])
def test_a_time_that_is_not_positive_is_refused(within: timedelta) -> None:
    """keep_within must reach back at all."""
    with pytest.raises(UsageError, match=r"^keep_within is "):
        Policy(keep_last=1, keep_within=within)


@pytest.mark.parametrize("minimum", [1, 5])
def test_a_policy_that_keeps_nothing_is_refused(minimum: int) -> None:
    """A policy without a rule is refused, naming all keys that could be one; a minimum is no rule."""
    with pytest.raises(UsageError, match="keeps nothing") as error:
        Policy(keep_minimum=minimum)
    assert all(key in error.value.message for key in [*COUNTS, "keep_within"])


@pytest.mark.parametrize("key", COUNTS)
def test_each_count_alone_is_a_policy(key: str) -> None:
    """Any single rule keeps something, and is enough."""
    [decision] = plan([Candidate("a", NOW, verified=True)], policy_with(key), now=NOW, timezone=BERLIN)
    assert decision.reasons[0].startswith(f"{key.removeprefix('keep_')} ")


def policy_with(key: str) -> Policy:
    return Policy(**{key: 1})  # type: ignore[arg-type] # keyword arguments from a table


def test_naive_times_are_refused() -> None:
    """A time without a zone is a mistake of the caller, for an archive and for now."""
    with pytest.raises(ValueError, match="nightly"):
        Candidate("nightly", NOW.replace(tzinfo=None), verified=True)
    with pytest.raises(ValueError, match="now"):
        plan([], Policy(keep_last=1), now=NOW.replace(tzinfo=None), timezone=BERLIN)


@pytest.mark.parametrize(
    ("within", "written"),
    [
        (timedelta(days=14), "14d"),
        (timedelta(days=1, hours=12), "1d12h"),
        (timedelta(hours=6, minutes=30, seconds=5), "6h30m5s"),
        (timedelta(milliseconds=500), "0.5s"),
        (timedelta.max, "999999999d23h59m59.999999s"),
    ],
)
def test_a_time_is_written_as_people_type_it(within: timedelta, written: str) -> None:
    """The reason of keep_within names the time in days, hours, minutes and seconds, up to the longest there is."""
    policy = Policy(keep_within=within)
    [decision] = plan([Candidate("a", NOW, verified=True)], policy, now=NOW, timezone=BERLIN)
    assert decision.reasons == (f"within {written}",)


# --- properties --------------------------------------------------------------------------------------------------

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]).map(
    ZoneInfo
)
AGES = st.one_of(
    st.integers(0, 3 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(0, 120).map(lambda days: timedelta(days=days)),
    st.integers(0, 5 * 365 * 24).map(lambda hours: timedelta(hours=hours)),
)
PAST = AGES.map(lambda age: NOW - age)
FUTURE = AGES.map(lambda age: NOW + CLOCK_TOLERANCE + timedelta(microseconds=1) + age)


def archives(created: st.SearchStrategy[datetime]) -> st.SearchStrategy[list[Candidate]]:
    in_some_zone = st.builds(datetime.astimezone, created, ZONES)
    one = st.builds(Candidate, st.text("abc0", max_size=4), in_some_zone, st.booleans())
    return st.lists(one, max_size=40, unique_by=lambda each: each.name)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    counts = {key: draw(st.sampled_from([0, 0, 1, 2, 5, 10**30])) for key in COUNTS}
    within = draw(st.none() | AGES.filter(bool))
    if within is None and not any(counts.values()):
        counts[draw(st.sampled_from(COUNTS))] = 1
    return Policy(**counts, keep_within=within, keep_minimum=draw(st.integers(1, 5)))


ORDINARY = archives(PAST)
ANY = archives(PAST | FUTURE)


def kept(decisions: list[Decision]) -> set[Candidate]:
    return {each.candidate for each in decisions if each.keep}


def removed(decisions: list[Decision]) -> set[Candidate]:
    return {each.candidate for each in decisions if not each.keep}


def instant(candidate: Candidate) -> tuple[datetime, str]:
    return candidate.created.astimezone(UTC), candidate.name


@given(ANY, policies(), ZONES)
def test_a_plan_is_a_partition(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """Every archive is decided on once, newest first, and stays exactly when there is a reason."""
    decisions = plan(candidates, policy, now=NOW, timezone=zone)
    assert [each.candidate for each in decisions] == sorted(candidates, key=instant, reverse=True)
    assert all(each.keep == bool(each.reasons) for each in decisions)


@given(ORDINARY, policies(), ZONES)
def test_the_newest_verified_archives_always_stay(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """No valid policy removes the newest verified archive, or leaves fewer verified ones than the minimum."""
    verified = sorted((each for each in candidates if each.verified), key=instant, reverse=True)
    stay = kept(plan(candidates, policy, now=NOW, timezone=zone))
    assert set(verified[:1]) <= stay
    assert len(stay & set(verified)) >= min(policy.keep_minimum, len(verified))


@given(ORDINARY, policies(), ZONES)
def test_the_newest_stays_for_a_rule_of_its_own(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """Every rule keeps the newest verified archive, so that it stays even before the minimum is looked at."""
    decisions = plan(candidates, policy, now=NOW, timezone=zone)
    newest = next((each for each in decisions if each.candidate.verified), None)
    assert newest is None or "minimum" not in newest.reasons


@given(ANY, policies(), ZONES)
def test_only_verified_archives_are_removed(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """What has not been read back is never removed."""
    assert all(each.verified for each in removed(plan(candidates, policy, now=NOW, timezone=zone)))


@given(ORDINARY, policies(), ZONES)
def test_unverified_archives_change_nothing(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """The verified archives meet the same fate, for the same reasons, as if the others were not there."""
    alone = plan([each for each in candidates if each.verified], policy, now=NOW, timezone=zone)
    together = plan(candidates, policy, now=NOW, timezone=zone)
    assert [each for each in together if each.candidate.verified] == alone


@given(ORDINARY, FUTURE, st.booleans(), policies(), ZONES)
def test_one_date_in_the_future_stops_all_removal(
    candidates: list[Candidate], created: datetime, verified: bool, policy: Policy, zone: ZoneInfo
) -> None:
    """A single archive beyond the tolerance is proof of a clock that moved, and nothing is removed by such a clock."""
    witness = Candidate("witness", created, verified)
    assert not removed(plan([*candidates, witness], policy, now=NOW, timezone=zone))


@given(ORDINARY, FUTURE, policies(), ZONES)
def test_an_archive_of_the_future_uses_up_no_slot(
    candidates: list[Candidate], created: datetime, policy: Policy, zone: ZoneInfo
) -> None:
    """What the rules kept, they keep for the same reasons beside an archive of the future."""
    alone = plan(candidates, policy, now=NOW, timezone=zone)
    witness = Candidate("witness", created, verified=True)
    together = plan([*candidates, witness], policy, now=NOW, timezone=zone)
    assert {each for each in alone if each.keep} <= set(together)


@given(ANY, policies(), ZONES, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    candidates: list[Candidate], policy: Policy, zone: ZoneInfo, random: Random
) -> None:
    """A shuffled list gives the same plan."""
    shuffled = random.sample(candidates, k=len(candidates))
    expected = plan(candidates, policy, now=NOW, timezone=zone)
    assert plan(iter(shuffled), policy, now=NOW, timezone=zone) == expected


@given(ANY, policies(), policies(), ZONES)
def test_a_larger_policy_removes_a_subset(
    candidates: list[Candidate], policy: Policy, other: Policy, zone: ZoneInfo
) -> None:
    """Raising any number, or adding any rule, never removes what stayed before."""
    larger = replace(
        policy,
        keep_within=max(policy.keep_within or timedelta(0), other.keep_within or timedelta(0)) or None,
        **{key: max(getattr(policy, key), getattr(other, key)) for key in [*COUNTS, "keep_minimum"]},
    )
    fewer = removed(plan(candidates, larger, now=NOW, timezone=zone))
    assert fewer <= removed(plan(candidates, policy, now=NOW, timezone=zone))


@given(ANY, policies(), ZONES)
def test_planning_again_removes_nothing_more(candidates: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """What stayed, stays for the same reasons when it is judged again."""
    first = [each for each in plan(candidates, policy, now=NOW, timezone=zone) if each.keep]
    again = plan([each.candidate for each in first], policy, now=NOW, timezone=zone)
    assert again == first


@given(ORDINARY, policies(), ZONES, st.data())
def test_a_rotation_cut_short_ends_the_same(
    candidates: list[Candidate], policy: Policy, zone: ZoneInfo, data: st.DataObject
) -> None:
    """Whichever removals were done before a kill, the next plan keeps the same archives."""
    decisions = plan(candidates, policy, now=NOW, timezone=zone)
    lost = sorted(removed(decisions), key=instant)
    gone = data.draw(st.sets(st.sampled_from(lost))) if lost else set()
    rest = plan([each for each in candidates if each not in gone], policy, now=NOW, timezone=zone)
    assert kept(rest) == kept(decisions)


@given(ORDINARY, st.sampled_from(["keep_hourly", "keep_daily"]), st.integers(1, 10), ZONES)
def test_buckets_hold_against_a_plain_reading(
    candidates: list[Candidate], key: str, count: int, zone: ZoneInfo
) -> None:
    """Grouping by day or hour, and taking the newest of each of the newest groups, comes to the same archives."""

    def bucket(each: Candidate) -> tuple[object, ...]:
        moment = each.created.astimezone(zone)
        return (moment.date(), moment.hour, moment.utcoffset()) if key == "keep_hourly" else (moment.date(),)

    newest_first = sorted((each for each in candidates if each.verified), key=instant, reverse=True)
    firsts = [next(group) for _, group in groupby(newest_first, key=bucket)]
    policy = Policy(**{key: count})  # type: ignore[arg-type] # keyword arguments from a table
    stay = kept(plan(newest_first, policy, now=NOW, timezone=zone))
    assert stay == set(firsts[:count])
