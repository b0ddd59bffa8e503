"""SQLite's own numbers of rows that no column gives: other tables may refer to a row by nothing else.

A search index, for one, may be keyed by them. Records say them only where they are not what SQLite gives to rows that
are inserted one after the other: 1, and then always one more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import UNSET

from ecm_agent.errors import ArchiveInvalid

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from ecm_agent.model.records import Batch
    from ecm_agent.store.reading import Row

FIRST_ROW_NUMBER, LAST_ROW_NUMBER = -(2**63), 2**63 - 1
"""The least and the greatest number that SQLite has for a row."""

NAMES = ("rowid", "_rowid_", "oid")
"""What a row number can be had by, where no column is called so."""

Numbers: TypeAlias = "range | list[int]"
"""The numbers of some rows: a range where each is one more than that of the row before, in the table."""


def name_of_numbers(connection: sqlite3.Connection, table: str) -> str:
    """Give a name for the numbers of a table's rows.

    It is empty where a column is another name of the number, where columns have taken all its names, and where rows
    have none.
    """
    named = (
        "SELECT 1 FROM pragma_table_list l WHERE l.schema = 'main' AND l.name = ?1 AND l.type = 'table' AND NOT l.wr "
        # Of a table that has row numbers, the only primary key without an index of its own is the number.
        "AND (NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1, 'main') WHERE pk) "
        "OR EXISTS (SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'))"
    )
    if not connection.execute(named, (table,)).fetchone():
        return ""
    columns = "SELECT lower(name) FROM pragma_table_xinfo(?, 'main')"
    taken = {column for (column,) in connection.execute(columns, (table,))}
    return next((name for name in NAMES if name not in taken), "")


def say_numbers(batch: Batch, rows: Sequence[Row], following: int) -> int:
    """Let records say the numbers of their rows, which are the last value of each, where they need to.

    `following` is what the first would have if it said nothing; give the same for the next batch.
    """
    first: Any = rows[0][-1]
    last: Any = rows[-1][-1]
    if first != following or last - first != len(rows) - 1:  # numbers rise, so that all others are in sequence
        for record, row in zip(batch, rows, strict=True):
            number: Any = row[-1]
            if number != following:
                record.row_number = number
            following = number + 1
    return int(last) + 1


class RowNumbers:
    """Works out the numbers of a table's rows from its records, which come in their order."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._following = 1
        self._least = FIRST_ROW_NUMBER

    def of(self, batch: Batch) -> Numbers:
        """Give the numbers of the next records. Raises `ArchiveInvalid` where they do not rise or need over 64 bits."""
        given = [record.row_number for record in batch]
        numbers: Numbers = range(self._following, self._following + len(given))
        if given.count(UNSET) < len(given):
            numbers = self._spelled_out(given)
        if numbers[-1] > LAST_ROW_NUMBER:
            raise self._refused(numbers[-1])
        self._following = self._least = numbers[-1] + 1
        return numbers

    def _spelled_out(self, given: Sequence[Any]) -> list[int]:
        numbers = []
        following, least = self._following, self._least
        for said in given:
            number = following if said is UNSET else said
            if number < least:
                raise self._refused(number)
            numbers.append(number)
            following = least = number + 1
        return numbers

    def _refused(self, number: int) -> ArchiveInvalid:
        return ArchiveInvalid(
            f"The archive holds a record that cannot be stored: {self._table}: the row number {number} is no number "
            "of 64 bits that is above that of the row before it."
        )
