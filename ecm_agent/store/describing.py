"""A store → the description of its schema: from SQLite's own pragmas, and the rest from the statements it keeps."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ecm_agent.model.schema import VERSION_TABLE, Column, Foreign, ForeignKey, Index, Part, Schema, Table
from ecm_agent.store.cells import lenient_text, to_cell
from ecm_agent.store.expressions import written
from ecm_agent.store.full_text import full_text_of, trigger_of
from ecm_agent.store.tokens import Token, enclosed, folded, parted, quoted, tokens

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator, Sequence

    from ecm_agent.model.records import Cell

_GENERATED, _STORED = 2, 3
_NO_COLUMN = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
_VALUES = ("NULL", "TRUE", "FALSE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP")


def describe(connection: sqlite3.Connection) -> Schema:
    """Describe everything in the main database but what SQLite makes by itself."""
    objects = list(_objects(connection))
    full_texts = {
        name: found for kind, name, sql in objects if kind == "virtual" and (found := full_text_of(name, sql))
    }
    foreign = [Foreign(kind, name, sql) for kind, name, sql in objects if kind == "view"]
    foreign += [
        Foreign("virtual table", name, sql)
        for kind, name, sql in objects
        if kind == "virtual" and name not in full_texts
    ]
    for kind, name, sql in objects:
        if kind != "trigger":
            continue
        known = next((pair for one in full_texts.values() if (pair := trigger_of(one, name, sql))), None)
        if known:
            full_texts[known[0].name] = known[0]
        else:
            foreign.append(Foreign(kind, name, sql))
    foreign += [
        Foreign("clause in table", name, sql) for kind, name, sql in objects if kind == "table" and _says_more(sql)
    ]
    tables = [_table(connection, name, sql) for kind, name, sql in objects if kind == "table"]
    versions = next((_version_rows(connection, table) for table in tables if table.name == VERSION_TABLE), [])
    numbers = (connection.execute(f"PRAGMA main.{name}").fetchone()[0] for name in ("user_version", "application_id"))
    return Schema(tables, list(full_texts.values()), foreign, versions, *numbers)


def _version_rows(connection: sqlite3.Connection, table: Table) -> list[list[Cell]]:
    columns = ", ".join(map(quoted, table.valued))
    before, connection.text_factory = connection.text_factory, lenient_text
    try:
        rows = connection.execute(f"SELECT {columns} FROM main.{VERSION_TABLE} NOT INDEXED").fetchall()  # noqa: S608 (quoted)
    finally:
        connection.text_factory = before
    return [list(map(to_cell, row)) for row in rows]


def _says_more(sql: str) -> bool:
    """Whether a table has what no description holds: what is to be done on conflict, and references checked late."""
    found = tokens(sql)
    return any(one.is_word("ON") and other.is_word("CONFLICT") for one, other in pairwise(found)) or any(
        token.is_word("DEFERRED") for token in found
    )


def _objects(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Give kind, name and statement of all that has been made: a table, virtual table, view or trigger."""
    rows = connection.execute(
        "SELECT coalesce(l.type, m.type), m.name, m.sql FROM main.sqlite_master m "
        "LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name AND m.type IN ('table', 'view') "
        "WHERE m.type IN ('table', 'view', 'trigger') AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "AND coalesce(l.type, '') <> 'shadow' ORDER BY m.rowid"
    ).fetchall()
    for kind, name, sql in rows:
        # A virtual table whose module is not there is not on SQLite's list.
        virtual = kind == "table" and [token.text.upper() for token in tokens(sql)[:2]] == ["CREATE", "VIRTUAL"]
        yield ("virtual" if virtual else kind), name, sql


def _table(connection: sqlite3.Connection, name: str, sql: str) -> Table:
    listed = connection.execute(
        "SELECT wr, strict FROM pragma_table_list WHERE schema = 'main' AND name = ?", (name,)
    ).fetchone()
    columns = connection.execute(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid",
        (name,),
    ).fetchall()
    statement = _Statement(sql, {folded(column[0]) for column in columns})
    indexes = list(_indexes(connection, name, statement.columns))
    keys = [column for column in columns if column[4]]
    key = next((index.parts for origin, index in indexes if origin == "pk"), None)
    in_order = sorted(keys, key=lambda column: int(column[4]))
    return Table(
        name,
        [_column(*column[:4], hidden=column[5], statement=statement) for column in columns],
        primary_key=key if key is not None else [Part(column[0]) for column in in_order],
        row_number=bool(keys) and key is None and not listed[0],
        sequence=_sequence(connection, name) if statement.counts else None,
        without_rowid=bool(listed[0]),
        strict=bool(listed[1]),
        foreign_keys=list(_foreign_keys(connection, name)),
        indexes=[index for origin, index in indexes if origin != "pk"],
        checks=statement.checks,
    )


def _column(name: str, type_: str, not_null: int, default: str | None, *, hidden: int, statement: _Statement) -> Column:
    definition = statement.definition(name)
    generated = statement.after(definition, "AS") if hidden in {_GENERATED, _STORED} else None
    return Column(
        name,
        type_,
        bool(not_null),
        None if default is None else _default(default),
        _collation(definition),
        generated,
        hidden == _STORED,
    )


def _default(expression: str) -> str:
    """Give a default anew. A name that stands alone is a text: SQLite takes it for one, whatever its quotes."""
    found = tokens(expression)
    if len(found) == 1 and (found[0].kind == "name" or (found[0].kind == "word" and not found[0].is_word(*_VALUES))):
        return written([Token("text", found[0].text)])
    return written(_texts_quoted(found, ()))


def _texts_quoted(found: Sequence[Token], columns: Collection[str]) -> list[Token]:
    """Take a quoted name that is none for the text it is: SQLite does, where the quotes are double ones."""
    return [
        Token("text", token.text) if token.kind == "name" and folded(token.text) not in columns else token
        for token in found
    ]


def _indexes(connection: sqlite3.Connection, table: str, columns: Collection[str]) -> Iterator[tuple[str, Index]]:
    rows = connection.execute(
        "SELECT l.name, l.\"unique\", l.origin, l.partial, m.sql FROM pragma_index_list(?, 'main') l "
        "LEFT JOIN main.sqlite_master m ON m.type = 'index' AND m.name = l.name ORDER BY l.seq DESC",
        (table,),
    ).fetchall()
    for name, unique, origin, partial, sql in rows:
        parts = connection.execute(
            "SELECT name, cid, \"desc\", coll FROM pragma_index_xinfo(?, 'main') WHERE key ORDER BY seqno", (name,)
        ).fetchall()
        says = tokens(sql) if sql else []
        start = next((place for place, token in enumerate(says) if token.is_sign("(")), 0)
        inside = enclosed(says, start)
        written_parts = list(parted(inside))
        where = written(_texts_quoted(says[start + len(inside) + 3 :], columns), columns) if partial else None
        found = [
            Part(
                column,
                None if column else _indexed(written_parts[place], columns),
                bool(descending),
                collation or "BINARY",
            )
            for place, (column, _, descending, collation) in enumerate(parts)
        ]
        yield origin, Index(found, name if origin == "c" else None, unique=bool(unique), where=where)


def _indexed(part: Sequence[Token], columns: Collection[str]) -> str:
    """Give the expression of a part of an index, without its order; its collation stays, being part of it."""
    while part and part[-1].is_word("ASC", "DESC"):
        part = part[:-1]
    return written(_texts_quoted(part, columns), columns)


def _foreign_keys(connection: sqlite3.Connection, table: str) -> Iterator[ForeignKey]:
    rows = connection.execute(
        'SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?, \'main\') '
        "ORDER BY id DESC, seq",
        (table,),
    ).fetchall()
    for number in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == number]
        to = [row[3] for row in mine if row[3] is not None]
        yield ForeignKey([row[2] for row in mine], mine[0][1], to, on_delete=mine[0][5], on_update=mine[0][4])


def _sequence(connection: sqlite3.Connection, table: str) -> int:
    row: Any = connection.execute("SELECT seq FROM main.sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return row[0] if row and isinstance(row[0], int) else 0


class _Statement:
    """What only the statement that made a table says of it."""

    def __init__(self, sql: str, columns: Collection[str]) -> None:
        """Take the statement and the names of the table's columns, in lower case."""
        self.columns = columns
        found = tokens(sql)
        start = next((place for place, token in enumerate(found) if token.is_sign("(")), 0)
        body = enclosed(found, start)
        self._parts = [part for part in parted(body) if part]
        self.counts = any(token.is_word("AUTOINCREMENT") for token in body)
        self.checks = [
            written(_texts_quoted(enclosed(part, place + 1), columns), columns)
            for part in self._parts
            for place in _outside(part)
            if part[place].is_word("CHECK")
        ]

    def definition(self, column: str) -> list[Token]:
        """Give what is said of a column, its name first."""
        for part in self._parts:
            if folded(part[0].text) == folded(column) and not part[0].is_word(*_NO_COLUMN):
                return part
        return []

    def after(self, definition: Sequence[Token], word: str) -> str | None:
        """Give the expression in parentheses after a keyword."""
        for place in _outside(definition):
            if place and definition[place].is_word(word) and definition[place + 1 : place + 2]:
                return written(_texts_quoted(enclosed(definition, place + 1), self.columns), self.columns)
        return None


def _outside(part: Sequence[Token]) -> Iterator[int]:
    """Give the places of the tokens that stand in no parentheses."""
    depth = 0
    for place, token in enumerate(part):
        depth += token.is_sign("(") - token.is_sign(")")
        if not depth:
            yield place


def _collation(definition: Sequence[Token]) -> str | None:
    places = [place for place in _outside(definition) if place and definition[place].is_word("COLLATE")]
    return definition[places[-1] + 1].text if places else None
