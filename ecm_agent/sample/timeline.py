"""Who spoke when: sessions, projects, agents and their vector clocks, all from a chunk's index alone.

Time is a sequence of equal rounds, and each round holds the same sessions. That makes every running count (the
ticks of a vector clock) a multiplication instead of a memory of earlier chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from ecm_agent.model.records import VectorClockData

PROJECT_ROOTS = {
    "tide-tables": "/Users/mira/Projects/tide-tables",
    "": "/home/mira",
    "seed-catalog": "/home/jonas/src/seed-catalog",
    "printer-fleet": "C:\\Users\\mira\\dev\\printer-fleet",
    "café-kiosk": "/Users/zoë/café-kiosk",
    "recipe-scaler": "/srv/build/recipe-scaler",
    "weather-relay": "/home/jonas/src/weather-relay",
}
"""Project slug → its folder. Real stores know the empty slug, so a sample has to."""

_ROUND = (
    ("tide-tables", 3),
    ("", 2),
    ("seed-catalog", 4),
    ("printer-fleet", 7),
    ("café-kiosk", 1),
    ("recipe-scaler", 5),
    ("tide-tables", 12),
    ("weather-relay", 6),
    ("seed-catalog", 1),
    ("printer-fleet", 9),
    ("recipe-scaler", 10),
)
"""The sessions of one round: project slug, number of chunks."""

_HANDED_OVER = 4
"""The position in a session that goes to a helper agent, where the session goes on after it."""

_ORIGIN = datetime(2020, 1, 6, 7, 0, tzinfo=UTC)
_SLOT = timedelta(minutes=8)
"""Each chunk has this long for itself; what it holds begins and ends inside."""


@dataclass(frozen=True, slots=True)
class _Place:
    session: int
    position: int
    project: str
    agent: str
    ticks: VectorClockData


@dataclass(frozen=True, slots=True)
class Moment:
    """Where one chunk stands. `clock` counts what its project's agents have done up to and including it."""

    chunk_id: str
    session_id: str
    position: int
    project: str
    agent: str
    is_helper: bool
    clock: VectorClockData
    opens: datetime
    closes: datetime


def digest(text: str, size: int) -> bytes:
    return blake2b(text.encode(), digest_size=size).digest()


def unique_id(seed: int, kind: str, index: int) -> str:
    """Give a UUID of version 4, as the memory program's ids are."""
    return str(UUID(bytes=digest(f"{seed}:{kind}:{index}", 16), version=4))


def _helper(project: str) -> str:
    return digest(project, 4).hex()[:7]


def _round() -> list[_Place]:
    ticks: dict[str, VectorClockData] = {project: {"ui": 0, "human": 0} for project, _ in _ROUND}
    places = []
    for session, (project, length) in enumerate(_ROUND):
        for position in range(length):
            handed_over = position == _HANDED_OVER and position + 1 < length
            agent = _helper(project) if handed_over else "ui"
            spoke = [agent] if position % 2 else [agent, "human"]
            ticks[project] |= {name: ticks[project].get(name, 0) + 1 for name in spoke}
            places.append(_Place(session, position, project, agent, dict(ticks[project])))
    return places


_PLACES = _round()
_TOTALS = {place.project: place.ticks for place in _PLACES}
ROUND_LENGTH = len(_PLACES)
"""How many chunks it takes until every project has come up."""


def moment(seed: int, index: int) -> Moment:
    """Place the chunk of that index."""
    turn, step = divmod(index, ROUND_LENGTH)
    place = _PLACES[step]
    session_id = unique_id(seed, "session", turn * len(_ROUND) + place.session)
    before = {agent: turn * ticks for agent, ticks in _TOTALS[place.project].items()}
    clock = {agent: before[agent] + place.ticks.get(agent, 0) for agent in before}
    return Moment(
        chunk_id=f"{session_id}-chunk-{place.position}",
        session_id=session_id,
        position=place.position,
        project=place.project,
        agent=place.agent,
        is_helper=place.agent != "ui",
        clock={agent: ticks for agent, ticks in clock.items() if ticks},
        opens=_ORIGIN + index * _SLOT,
        closes=_ORIGIN + (index + 1) * _SLOT,
    )


def iso(time: datetime) -> str:
    """Write a time as the memory program does: milliseconds and Z."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sql(time: datetime) -> str:
    """Write a time as SQLite's CURRENT_TIMESTAMP does."""
    return time.strftime("%Y-%m-%d %H:%M:%S")
