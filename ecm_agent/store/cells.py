"""SQLite values that JSON cannot say, there and back without losing a bit."""

from __future__ import annotations

import math
from typing import TypeAlias

from msgspec import UNSET

from ecm_agent.errors import ArchiveInvalid
from ecm_agent.model.records import Cell, Exact


class BrokenText(bytes):
    """A TEXT value that is not valid UTF-8 (the memory program can write such: half a surrogate pair)."""

    __slots__ = ()


SqlValue: TypeAlias = int | float | str | bytes | None


def lenient_text(raw: bytes) -> str | BrokenText:
    """Read TEXT of any bytes; a `text_factory` for sqlite3."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return BrokenText(raw)


def to_cell(value: SqlValue) -> Cell:
    """Keep a value exactly."""
    if isinstance(value, BrokenText):
        return Exact(text=bytes(value))
    if isinstance(value, bytes):
        return Exact(blob=value)
    if isinstance(value, float) and math.isinf(value):
        return Exact(real=str(value))
    return value


def from_cell(cell: Cell) -> SqlValue:
    """Give the value back. An `Exact` that sets no field is NULL.

    Raises `ArchiveInvalid` for a `real` that is not one of its two words, and for a number that SQLite has no room for.
    """
    if isinstance(cell, int) and not -(2**63) <= cell < 2**63:
        raise ArchiveInvalid("Invalid archive format: a whole number beyond 64 bits.")
    if not isinstance(cell, Exact):
        return cell
    if cell.text is not UNSET:
        return BrokenText(cell.text)
    if cell.blob is not UNSET:
        return cell.blob
    if cell.real is UNSET:
        return None
    if cell.real not in {"inf", "-inf"}:
        raise ArchiveInvalid('Invalid archive format: a "real" that is neither "inf" nor "-inf".')
    return float(cell.real)


def describe(value: SqlValue) -> str:
    """Say what kind of value this is, without showing it: it is somebody's memory."""
    if isinstance(value, BrokenText):
        return "text that is not UTF-8"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    kinds = {type(None): "NULL", int: "an integer", float: "a real number", str: "unexpected text", bytes: "a blob"}
    return kinds[type(value)]
