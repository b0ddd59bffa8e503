"""The rows of a table in the order they were written, some at a time, so that one bad row costs one page."""

from __future__ import annotations

import sqlite3
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from ecm_agent.store.cells import lenient_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.store.reading import Row

_BYTES, _FIRST_ROWS, _MOST_ROWS, _SAMPLE = 1 << 19, 32, 1024, 8
"""How much is read at a time, in memory: what a processor's cache holds, of small rows many and of large ones few."""

_FIRST_ROWID, _LAST_ROWID = -(2**63), 2**63 - 1


def pages(connection: sqlite3.Connection, selected: str, wanted: str) -> Iterator[list[Row]]:
    """Give the rows of a table `t` for which the condition `wanted` holds, page by page, none of them empty.

    `selected` is what follows SELECT: columns, of which the last is `t.rowid`, and the table. Text is what SQLite says
    it is, but where some of a page is not UTF-8: there it is read as `lenient_text` does.
    """
    sql = f"SELECT {selected} WHERE t.rowid >= ? AND {wanted} ORDER BY t.rowid LIMIT ?"
    start, limit = _FIRST_ROWID, _FIRST_ROWS
    while rows := _page(connection, sql, start, limit):
        last: Any = rows[-1][-1]  # a rowid is an integer
        yield rows
        if len(rows) < limit or last == _LAST_ROWID:
            return
        start, limit = last + 1, _rows_of_a_page(rows)


def _page(connection: sqlite3.Connection, sql: str, start: int, limit: int) -> list[Row]:
    try:
        return connection.execute(sql, (start, limit)).fetchall()
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    connection.text_factory = lenient_text
    try:
        return connection.execute(sql, (start, limit)).fetchall()
    finally:
        connection.text_factory = str


def _rows_of_a_page(rows: list[Row]) -> int:
    """Say how many rows like these, of which some are looked at, are to be read next."""
    some = rows[:: max(1, len(rows) // _SAMPLE)]
    size = sum(getsizeof(value) for row in some for value in row)
    return max(1, min(_BYTES * len(some) // size, _MOST_ROWS))
