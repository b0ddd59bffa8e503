"""Looks for what should be gone: plain search through an export, byte by byte, in every writing that may stand in it.

Written without a look at how the redaction finds things, and so that it cannot share its mistakes: it knows what was
planted, and searches for that.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redaction.corpus import Plant

_SHORT = 8
"""The base64 of anything shorter stands in too many places."""


class Leak(NamedTuple):
    """Something that was found, and what stands around it."""

    kind: str
    form: str
    found: str
    around: str


class Detector:
    """Searches one plain export."""

    def __init__(self, export: bytes) -> None:
        self._raw = export
        self._folded = export.lower()
        self._words = _words(json.loads(export))

    def leaks(self, plants: Iterable[Plant]) -> list[Leak]:
        """Find plants, whole, in part and by name."""
        return [leak for plant in dict.fromkeys(plants) if (leak := self._leak(plant))]

    def _leak(self, plant: Plant) -> Leak | None:
        if plant.form == "user":
            return self._found(plant, plant.text) if plant.text in self._words else None
        # A writing of the whole has the made-up words in it as they are: where none of them is, it is not either.
        for needle in plant.marks or _needles(plant):
            if leak := self._search(plant, needle):
                return leak
        return None

    def _search(self, plant: Plant, needle: str) -> Leak | None:
        if plant.marks:
            return self._found(plant, needle) if needle.lower().encode() in self._folded else None
        if any(writing in self._raw for writing in writings(needle)):
            return self._found(plant, needle)
        if plant.kind != "secret" and any(writing.lower() in self._folded for writing in writings(needle)):
            return self._found(plant, needle)
        return None

    def _found(self, plant: Plant, needle: str) -> Leak:
        at = self._folded.find(needle.lower().encode())
        around = self._raw[max(0, at - 60) : at + 60] if at >= 0 else b""
        return Leak(plant.kind, plant.form, needle, around.decode(errors="replace"))


def _needles(plant: Plant) -> Iterator[str]:
    """Give what of a plant may not be found: all of it, and of a path every tail of two components or more."""
    yield plant.text
    if plant.kind == "path":
        parts = [part for part in plant.text.replace("\\", "/").split("/") if part]
        for first in range(1, len(parts) - 1):
            yield "/".join(parts[first:])
            yield "\\".join(parts[first:])


def writings(text: str) -> list[bytes]:
    """Give a text as it may stand in JSON, in JSON within JSON, in an address, and as bytes in base64."""
    return list(dict.fromkeys(_writings(text)))


def _writings(text: str) -> Iterator[bytes]:
    for plain in (text, quote(text), quote(text, safe="")):
        for ascii_only in (False, True):
            written = plain
            for _ in range(4):
                yield written.encode(errors="surrogatepass")
                written = json.dumps(written, ensure_ascii=ascii_only)[1:-1]
    raw = text.encode(errors="surrogatepass")
    if len(raw) >= _SHORT:
        for shift in range(3):
            yield _core(raw, shift)


def _core(raw: bytes, shift: int) -> bytes:
    """Give the base64 digits that stand for these bytes alone, when `shift` other bytes come before them."""
    digits = base64.b64encode(bytes(shift) + raw).rstrip(b"=")
    return digits[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]


def _words(value: object) -> set[str]:
    """Give every word in the strings and keys of a document, with escapes of up to three layers undone."""
    words: set[str] = set()
    for text in _strings(value):
        for escape in ("\\n", "\\t", "\\r"):
            for layer in ("\\\\\\", "\\\\", "\\", ""):
                text = text.replace(layer[:-1] + escape, " ")  # noqa: PLW2901 (the same text, plainer)
        words.update("".join(letter if letter.isalnum() else " " for letter in text).split())
    return words


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
