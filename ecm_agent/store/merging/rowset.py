"""A set of rowids that takes a bit for each row of a table, not an object: a million rows in 125 kB."""

from __future__ import annotations

_PAGE_BITS = 13


class RowSet:
    """Rowids; memory is taken for the stretches of 8,192 that hold one."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, rowid: int) -> bool:
        """Put a rowid in; say whether it is new."""
        page = self._pages.setdefault(rowid >> _PAGE_BITS, bytearray(1 << _PAGE_BITS - 3))
        byte, bit = _place(rowid)
        new = not page[byte] & bit
        page[byte] |= bit
        return new

    def __contains__(self, rowid: int) -> bool:
        page = self._pages.get(rowid >> _PAGE_BITS)
        byte, bit = _place(rowid)
        return page is not None and bool(page[byte] & bit)


def _place(rowid: int) -> tuple[int, int]:
    within = rowid & ((1 << _PAGE_BITS) - 1)
    return within >> 3, 1 << (within & 7)
