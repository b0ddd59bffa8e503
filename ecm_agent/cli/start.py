"""What is looked at before the daemon starts or takes a new configuration: what could only fail later, at night."""

from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from ecm_agent.cli import passwords
from ecm_agent.clock import SystemClock
from ecm_agent.errors import DestinationUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ecm_agent.config.settings import Settings
    from ecm_agent.destination.base import Destination

PATIENCE_SECONDS = 30.0
"""How long all destinations together may take to answer."""


def check_start(settings: "Settings") -> None:
    """Refuse to begin what could only fail later, at night.

    Raises `PasswordMissing` without a password source that needs no prompt, `UsageError` when no job has a schedule or
    an address for pings or messages cannot be had, and the error of a destination that refuses; one that is merely out
    of reach now is no reason not to start.
    """
    from ecm_agent import log, wiring

    log.register(passwords.without_asking(settings))
    expect_a_schedule(settings)
    for name in settings.jobs:
        wiring.around(settings, name)
    check_destinations(wiring.places_of_jobs(settings).values())


def expect_a_schedule(settings: "Settings") -> None:
    """Raise `UsageError` where no job has a schedule."""
    if not any(job.schedule for job in settings.jobs.values()):
        raise UsageError("No job has a schedule.", hint="Give a job the key schedule, or run: ecm-agent backup")


def check_destinations(places: "Iterable[Destination]", *, patience: float = PATIENCE_SECONDS) -> None:
    """Ask all destinations at once whether they are usable, and leave those behind that do not say so in time.

    `patience` is in seconds. Raises the error of the first that refuses; one out of reach gets a line in the log.
    """
    waiting = list(places)
    answers: SimpleQueue[tuple[Destination, Exception | None]] = SimpleQueue()
    for place in waiting:
        Thread(target=_check, args=(place, answers.put), name="check", daemon=True).start()
    clock = SystemClock()
    deadline = clock.monotonic() + patience
    while waiting:
        try:
            place, error = answers.get(timeout=max(0.0, deadline - clock.monotonic()))
        except Empty:
            break
        waiting.remove(place)
        if isinstance(error, DestinationUnavailable):
            _warn(place, error.message)
        elif error:
            raise error
    for place in waiting:
        _warn(place, f"{place.label} has not answered within {patience:g} seconds.")


def _check(place: "Destination", answer: "Callable[[tuple[Destination, Exception | None]], None]") -> None:
    try:
        place.check()
    except Exception as error:  # noqa: BLE001 (raised by who asked)
        answer((place, error))
    else:
        answer((place, None))


def _warn(place: "Destination", reason: str) -> None:
    from ecm_agent import log

    log.logger(destination=place.label).warning("out of reach for now", reason=reason)
