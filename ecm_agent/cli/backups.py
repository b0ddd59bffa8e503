"""Commands on jobs and their archives: backup, list, verify, rotate, status."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecm_agent.cli import options, passwords, render
from ecm_agent.cli.opening import journal, moment
from ecm_agent.cli.screen import Screen, exit_code_of, screen, tried
from ecm_agent.cli.settings import settings_of, settings_without_store
from ecm_agent.errors import PARTIAL, EcmError

if TYPE_CHECKING:
    from datetime import datetime

    from ecm_agent.config.settings import Settings
    from ecm_agent.history import History
    from ecm_agent.jobs.attend import Result
    from ecm_agent.jobs.backup import BackedUp
    from ecm_agent.jobs.locate import Located
    from ecm_agent.jobs.verify import Verified
    from ecm_agent.model.outcome import Outcome

_Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Which jobs.", show_default="all")]


def backup(
    jobs: _Jobs = None,
    store: options.Store = None,
    config: options.Config = None,
    *,
    wait_lock: options.WaitLock = "0s",
    json: options.Json = False,
) -> None:
    """Back the memory up: export, store, read back, prove, and only then rotate."""
    from ecm_agent import wiring
    from ecm_agent.config.values import seconds_of
    from ecm_agent.jobs.attend import attend

    with screen(json=json) as out:
        settings = settings_of(config, store)
        wait = seconds_of(wait_lock)
        chosen = [wiring.job(settings, name, wiring.around(settings, name)) for name in jobs or settings.jobs]
        password = passwords.to_encrypt(settings)
        codes = []
        for job in chosen:
            shown = _Shown(out, f"Job {job.name!r}: " if len(chosen) > 1 else "")
            try:
                with out.progress() as progress:
                    outcome = attend(job, "backup", wiring.context(settings, progress, password), shown, wait=wait)
            finally:
                shown.flush()
            codes.append(outcome.exit_code)
        raise SystemExit(exit_code_of(codes))


def list_(config: options.Config = None, from_: options.From = None, *, json: options.Json = False) -> None:
    """List the archives in every destination, and when each was last proved."""
    from zoneinfo import ZoneInfo

    from ecm_agent import wiring
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.status import kept_in

    with screen(json=json) as out:
        settings = settings_without_store(config)
        history = wiring.context(settings, Silent()).history
        places = wiring.destinations(settings, from_)
        kept, codes = [], list[int]()
        for name, place in places.items():
            with tried(out, codes):
                kept += kept_in(name, place, history)
                codes.append(0)
        if kept:
            out.say(*render.listed(kept, ZoneInfo(settings.timezone)))
        elif not any(codes):
            out.say("No archives yet. Make one with: ecm-agent backup")
        for one in kept:
            out.summary("list", one, verified=one.verified)
        raise SystemExit(exit_code_of(codes))


def verify(
    archive: options.Archive = "latest",
    job: options.JobName = None,
    from_: options.From = None,
    at: options.At = None,
    config: options.Config = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Every archive of the job, in every destination.")] = False,
    json: options.Json = False,
) -> None:
    """Prove archives: decrypt them and read every record, as a restore would."""
    from ecm_agent.jobs.locate import is_path

    with screen(json=json) as out:
        settings = settings_without_store(config)
        when = moment("--all" if all_ else archive, at, settings)
        if not all_ and is_path(archive):
            _verify_file(out, Path(archive), settings)
            return
        with journal(out, settings) as history:
            _verify_stored(out, None if all_ else archive, settings, history, job, from_, when)


def rotate(
    jobs: _Jobs = None, config: options.Config = None, *, dry_run: options.DryRun = False, json: options.Json = False
) -> None:
    """Remove the archives that the retention policy no longer keeps; with --dry-run only say which, and why."""
    from ecm_agent import wiring
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.rotate import rotate_all

    with screen(json=json) as out:
        settings = settings_without_store(config)
        codes: list[int] = []
        chosen = [wiring.job(settings, name) for name in jobs or settings.jobs]
        for job in chosen:
            with tried(out, codes, f"Job {job.name!r}" if len(chosen) > 1 else ""):
                for result in rotate_all(job, wiring.context(settings, Silent()), dry_run=dry_run):
                    out.say(*render.rotated(result, dry_run=dry_run))
                    out.summary("rotate", result, job=job.name, dry_run=dry_run)
                    codes.append(result.exit_code or (PARTIAL if result.failures else 0))
        raise SystemExit(exit_code_of(codes))


def status(config: options.Config = None, *, json: options.Json = False) -> None:
    """Say how every job stands; ends with 1 when something is overdue, out of reach or not good."""
    from zoneinfo import ZoneInfo

    from ecm_agent import wiring
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.status import status_of

    with screen(json=json) as out:
        settings = settings_without_store(config)
        context = wiring.context(settings, Silent())
        found = [status_of(wiring.job(settings, name), context) for name in settings.jobs]
        out.say(*render.status(found, ZoneInfo(settings.timezone)))
        for one in found:
            out.summary("status", one, well=one.well)
        if not all(one.well for one in found):
            raise SystemExit(1)


def _verify_file(out: Screen, path: Path, settings: "Settings") -> None:
    from ecm_agent.archive import is_encrypted
    from ecm_agent.jobs.locate import opened_path
    from ecm_agent.jobs.verify import verify as prove

    with opened_path(path) as file:
        password = passwords.to_decrypt(settings) if is_encrypted(file) else None
        with out.progress() as progress:
            result = prove(file, password, progress)
    _show_verified(out, str(path), result)
    out.summary("verify", result, archive=str(path))


def _show_verified(out: Screen, source: str, result: "Verified") -> None:
    for warning in result.warnings:
        out.warn(f"{source}: {warning}")
    out.say(*render.verified(source, result))


def _verify_stored(
    out: Screen,
    wanted: str | None,
    settings: "Settings",
    history: "History",
    job: str | None,
    from_: str | None,
    at: "datetime | None",
) -> None:
    """Prove one archive, or with `wanted=None` all of a job's; every one is tried, whatever the others say."""
    from ecm_agent import wiring
    from ecm_agent.jobs.locate import all_of, found
    from ecm_agent.jobs.progress import Silent
    from ecm_agent.jobs.verify import verify_stored

    chosen = wiring.job(settings, job or next(iter(settings.jobs)))
    places = wiring.destinations(settings, from_) if from_ else chosen.destinations
    codes: list[int] = []
    located: list[Located] = []
    if wanted is not None:
        now = wiring.context(settings, Silent()).clock.now()
        located = [found(wanted, chosen, places, history, now=now, at=at)]
    for place in places.values() if wanted is None else ():
        with tried(out, codes):
            located += all_of(chosen, place, history)
    password = passwords.to_decrypt(settings)
    for one in located:
        with tried(out, codes, str(one)):
            with out.progress() as progress:
                context = replace(wiring.context(settings, progress, password), history=history)
                result = verify_stored(one.destination, one.name, context)
            _show_verified(out, str(one), result)
            out.summary("verify", result, archive=str(one.name), destination=one.destination.label)
            codes.append(0)
    raise SystemExit(exit_code_of(codes))


class _Shown:
    """Hears of a run while its progress bar is up, and shows what it heard when the bar has gone."""

    def __init__(self, out: Screen, prefix: str) -> None:
        self._out = out
        self._prefix = prefix
        self._waiting: list[Callable[[], None]] = []

    def done(self, outcome: "Outcome", result: "Result | None") -> None:
        from ecm_agent.jobs.backup import BackedUp

        if isinstance(result, BackedUp):
            self._waiting.append(lambda: self._show(result, outcome.exit_code))

    def failed(self, job: str, error: EcmError) -> None:
        del job
        about = type(error)(self._prefix + error.message, hint=error.hint)
        self._waiting.append(lambda: self._out.fail(about))

    def noticed(self, job: str, problem: str) -> None:
        self._waiting.append(lambda: self._out.warn(f"job {job!r}: {problem}"))

    def flush(self) -> None:
        for show in self._waiting:
            show()

    def _show(self, result: "BackedUp", exit_code: int) -> None:
        render.warn(self._out, result.exported)
        self._out.say(*render.backed_up(result))
        self._out.summary("backup", result, exit_code=exit_code)


COMMANDS: dict[str, Callable[..., None]] = {
    "backup": backup,
    "list": list_,
    "verify": verify,
    "rotate": rotate,
    "status": status,
}
