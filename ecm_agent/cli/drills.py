"""drill: restore archives into a scratch store and compare, to know that they restore and how long it takes."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecm_agent.cli import options, passwords, render
from ecm_agent.cli.screen import Screen, exit_code_of, screen, tried
from ecm_agent.cli.settings import settings_without_store
from ecm_agent.errors import NotFound, UsageError

if TYPE_CHECKING:
    from ecm_agent.config.settings import Settings
    from ecm_agent.jobs.drill import Drilled
    from ecm_agent.jobs.job import Job
    from ecm_agent.jobs.locate import Located
    from ecm_agent.secret import Secret

_ALL = "all"


def drill(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB|ARCHIVE|all",
            help="The newest archive of a job or of all, from each destination; latest, a name, or the path of a file.",
            show_default="the first job",
        ),
    ] = None,
    job: options.JobName = None,
    from_: options.From = None,
    config: options.Config = None,
    *,
    wait_lock: options.WaitLock = "0s",
    json: options.Json = False,
) -> None:
    """Prove that archives restore: into a scratch store, compared record by record, timed."""
    from ecm_agent import wiring
    from ecm_agent.config.values import seconds_of
    from ecm_agent.jobs.locate import is_path

    with screen(json=json) as out:
        settings = settings_without_store(config)
        wait = seconds_of(wait_lock)
        if what is not None and what != _ALL and what not in settings.jobs and is_path(what):
            _drill_file(out, Path(what), settings, wait)
            return
        names, wanted = _meant(what, job, settings)
        chosen = [wiring.job(settings, name) for name in names]
        password = passwords.to_decrypt(settings)
        codes: list[int] = []
        for one in chosen:
            with tried(out, codes):
                _drill_job(out, codes, one, wanted, settings, from_, password=password, wait=wait)
        raise SystemExit(exit_code_of(codes))


def _meant(what: str | None, job: str | None, settings: "Settings") -> tuple[list[str], str | None]:
    """Say which jobs are meant, and which archive, if not the newest of each. The name of a job comes first."""
    from ecm_agent.model.names import ArchiveName

    first = next(iter(settings.jobs))
    if what is None:
        return [job or first], None
    if what == _ALL or what in settings.jobs:
        if job is not None:
            raise UsageError(f"--job goes with the name of an archive; {what!r} says already which job is meant.")
        return (list(settings.jobs) if what == _ALL else [what]), None
    name = ArchiveName.parse(what)
    own = name.job if name and name.job in settings.jobs else first
    return [job or own], what


def _drill_job(  # noqa: PLR0913 (one parameter for each option)
    out: Screen,
    codes: list[int],
    job: "Job",
    wanted: str | None,
    settings: "Settings",
    from_: str | None,
    *,
    password: "Secret",
    wait: float,
) -> None:
    """Drill one archive, or the newest in each destination; every one is tried, whatever the others say."""
    from ecm_agent import wiring
    from ecm_agent.jobs.drill import drill as prove
    from ecm_agent.jobs.locate import found, newest_of
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.lock import held

    places = wiring.destinations(settings, from_) if from_ else job.destinations
    context = wiring.context(settings, Silent())
    with held(job.lock, f"job {job.name!r}", clock=context.clock, wait=wait):
        located: list[Located] = []
        if wanted is not None:
            located = [found(wanted, job, places, context.history, now=context.clock.now())]
        for place in places.values() if wanted is None else ():
            with tried(out, codes):
                located.append(newest_of(job, place, context.history, context.clock.now()))
        for one in located:
            with tried(out, codes, str(one)):
                with out.progress() as progress:
                    drilled = prove(job, one, wiring.context(settings, progress, password))
                _show(out, str(one), drilled, job.name)
                codes.append(0)


def _drill_file(out: Screen, path: Path, settings: "Settings", wait: float) -> None:
    from ecm_agent import wiring
    from ecm_agent.archive import is_encrypted
    from ecm_agent.jobs.drill import drill_file
    from ecm_agent.jobs.locate import opened_path
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.scratch import NO_JOB, lock_of
    from ecm_agent.lock import held

    if not os.path.lexists(path):
        near = difflib.get_close_matches(str(path), [*settings.jobs, _ALL], n=1)
        hint = f"Did you mean {near[0]}?" if near else "The archives in the destinations: ecm-agent list"
        raise NotFound(f"There is no job, archive or file called {str(path)!r}.", hint=hint)
    state_dir, clock = settings.state_dir, wiring.context(settings, Silent()).clock
    with opened_path(path) as file:
        password = passwords.to_decrypt(settings) if is_encrypted(file) else None
        with (
            held(lock_of(state_dir, NO_JOB), "a drill of a file", clock=clock, wait=wait),
            out.progress() as progress,
        ):
            context = wiring.context(settings, progress, password)
            drilled = drill_file(path, file, wiring.store(settings), state_dir, context)
    _show(out, str(path), drilled, "")


def _show(out: Screen, what: str, drilled: "Drilled", job: str) -> None:
    for warning in drilled.warnings:
        out.warn(f"{what}: {warning}")
    out.say(*render.drilled(what, drilled))
    body = {
        "archive": drilled.archive,
        "destination": drilled.label,
        "job": job,
        "seconds": drilled.seconds,
        "records": drilled.manifest.counts(),
        "integrity": "ok",
        "warnings": drilled.warnings,
        "manifest": drilled.manifest,
    }
    out.summary("drill", body)


COMMANDS: dict[str, Callable[..., None]] = {"drill": drill}
