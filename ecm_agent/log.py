"""The agent's log: one line a record, for people on a terminal, JSON elsewhere, and never a secret.

Everything goes through one handler: our own records, those of the libraries (from level warning up), Python's
warnings, and errors nobody caught. There, last before a line is written, `Secret` objects and the text of every
registered secret become `[secret]`, in every field, key and traceback.
"""

from __future__ import annotations

import json as json_module
import logging
import math
import os
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote, quote_plus

from ecm_agent.secret import Secret

if TYPE_CHECKING:
    from types import TracebackType

    from ecm_agent.model.outcome import Outcome

Level: TypeAlias = Literal["debug", "info", "warning", "error"]

OURS = "ecm_agent"
HIDDEN = "[secret]"

_SHORTEST_IN_TEXT = 4
"""A shorter secret is hidden only where it is a whole value: cut out of every word, it would be given away."""

_DEEPEST = 8
_LEVELS = {"ok": logging.INFO, "skipped": logging.INFO, "partial": logging.WARNING, "failed": logging.ERROR}
_forms: set[str] = set()

logging.getLogger(OURS).addHandler(logging.NullHandler())  # not configured: silent


def register(secret: Secret) -> None:
    """Hide this secret's text from now on, also as it looks in a repr, in JSON, in a URL and as bytes."""
    text = secret.utf8().decode()
    _forms.update(
        {
            text,
            repr(text)[1:-1],
            repr(secret.utf8())[2:-1],
            json_module.dumps(text)[1:-1],
            json_module.dumps(text, ensure_ascii=False)[1:-1],
            quote(text),
            quote(text, safe=""),
            quote_plus(text),
        }
    )


def configure(
    stream: IO[str], *, json: bool | None, level: Level, environ: Mapping[str, str] = {}, hooks: bool = True
) -> None:
    """Send the log to `stream`; calling it again replaces what was. `json=None`: text on a terminal, JSON elsewhere.

    `level` is that of our own records. `hooks`: whether errors nobody caught are logged instead of printed. Colours
    are for terminals, unless `environ` holds a NO_COLOR that is not empty, or TERM is dumb.
    """
    import structlog

    on_terminal = stream.isatty()
    as_json = not on_terminal if json is None else json
    renderer: Any = structlog.processors.JSONRenderer(sort_keys=False)
    if not as_json:
        colors = on_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        plain_traceback = structlog.dev.plain_traceback  # the pretty ones show the values of variables
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, force_colors=colors, sort_keys=False, exception_formatter=plain_traceback
        )
    handler = _Handler(stream)
    processors = [_stamped, structlog.processors.format_exc_info, _redacted, renderer]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors))
    _install(handler, logging.getLevelNamesMapping()[level.upper()])
    if hooks:
        _catch_what_nobody_caught()


def logger(**fields: Any) -> Any:  # noqa: ANN401 (structlog's own type, imported late)
    """Give a structlog logger that adds `fields` to all it says. Silent until `configure` was called."""
    import structlog

    stdlib = structlog.stdlib
    return structlog.wrap_logger(
        logging.getLogger(OURS),
        processors=[
            stdlib.filter_by_level,
            _with_arguments,
            structlog.processors.StackInfoRenderer(),
            stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=stdlib.BoundLogger,
        **fields,
    )


def run_finished(
    outcome: Outcome,
    *,
    counts: Mapping[str, int],
    size: int,
    stages: Mapping[str, float],
    destinations: Mapping[str, str],
) -> None:
    """Log the one line that says all of a run.

    `counts` are records by kind, `size` the archive's bytes, `stages` seconds by stage, `destinations` what became of
    the archive in each ("verified", or the error's message).
    """
    logger().log(
        _LEVELS[outcome.status],
        "run finished",
        job=outcome.job,
        host=outcome.host,
        verb=outcome.verb,
        outcome=outcome.status,
        exit_code=outcome.exit_code,
        message=outcome.message,
        archive=outcome.archive,
        counts=counts,
        bytes=size,
        seconds=round(outcome.seconds, 3),
        stages={stage: round(seconds, 3) for stage, seconds in stages.items()},
        destinations=destinations,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
    )


class _Handler(logging.StreamHandler[IO[str]]):
    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the library's name)
        """Say that a record is missing. The library's own way prints its arguments."""
        with suppress(Exception):
            lost = {"level": "error", "event": "a log record could not be written", "logger": record.name}
            self.stream.write(json_module.dumps({key: _hidden(text) for key, text in lost.items()}) + "\n")


def _install(handler: _Handler, level: int) -> None:
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(OURS).setLevel(level)
    logging.captureWarnings(capture=True)


def _catch_what_nobody_caught() -> None:
    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logging.getLogger(OURS).critical("error that nobody caught", exc_info=(kind, error, trace))

    def in_a_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            uncaught(args.exc_type, args.exc_value, args.exc_traceback)

    def unraisable(args: Any) -> None:  # noqa: ANN401 (the type exists for type checkers only)
        logging.getLogger(OURS).error("error that could not be raised", exc_info=args.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_a_thread, unraisable


def _with_arguments(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put arguments into the text. structlog's own way raises where they do not fit, which would fail a run."""
    arguments = fields.pop("positional_args", ())
    try:
        fields["event"] = fields["event"] % arguments if arguments else fields["event"]
    except Exception:  # noqa: BLE001 (another's text, another's objects)
        fields["arguments"] = arguments
    return fields


def _stamped(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put first when, how grave and what; of a library's record also whose it is."""
    record, own = fields.pop("_record"), fields.pop("_from_structlog")
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    first = {"timestamp": when.removesuffix("+00:00") + "Z", "level": record.levelname.lower()}
    first["event"] = fields.pop("event", "")
    return {**first, **({} if own else {"logger": record.name}), **{k: v for k, v in fields.items() if k not in first}}


def _redacted(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    redacted: MutableMapping[str, Any] = _plain(fields, 0)
    return redacted


def _plain(value: object, depth: int) -> Any:  # noqa: ANN401 (any JSON value)
    """Give a value as JSON has it, without secrets."""
    match value:
        case Mapping() if depth < _DEEPEST:
            return {_hidden(_text(key)): _plain(each, depth + 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_plain(each, depth + 1) for each in value]
        case int() | float() if math.isfinite(value) and _hidden(str(value)) == str(value):
            return value  # true and false are such numbers too
        case None:
            return None
        case _:
            return HIDDEN if isinstance(value, Secret) else _hidden(_text(value))


def _text(value: object) -> str:
    try:
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, str | os.PathLike) else repr(value)
    except Exception:  # noqa: BLE001 (anything may happen in another's repr, and the log must not fail for it)
        return f"<{type(value).__name__}>"


def _hidden(text: str) -> str:
    if text in _forms:
        return HIDDEN
    for form in sorted(_forms.copy(), key=len, reverse=True):
        if len(form) >= _SHORTEST_IN_TEXT:
            text = text.replace(form, HIDDEN)
    return text
