"""The description of a schema → statements that make it, all of them written here.

Whatever an archive says goes into a statement as a quoted name, as an expression of the small language of
`store.expressions`, or as a word of a list. What cannot be said so is left out and named.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from ecm_agent.store.expressions import COLLATIONS, Unspeakable, spoken
from ecm_agent.store.full_text import OPTIONS, full_text_sql, trigger_sql
from ecm_agent.store.tokens import folded, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ecm_agent.model.schema import Column, ForeignKey, FullText, Index, Part, Schema, Table

_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z_][A-Za-z0-9_]*)*(?: *\( *[+-]?[0-9]+ *(?:, *[+-]?[0-9]+ *)?\))?")
_REFUSALS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_AUTH)
_CONSTRAINTS = "ALWAYS AS CHECK COLLATE CONSTRAINT DEFAULT FOREIGN GENERATED NOT NULL PRIMARY REFERENCES UNIQUE"
_ACTIONS = frozenset(("NO ACTION", "RESTRICT", "SET NULL", "SET DEFAULT", "CASCADE"))
_RESERVED = ("sqlite_", "pragma_", "json_each", "json_tree")
"""What SQLite keeps for itself, and what a table of the name would hide from every query of ours."""

_ROW_NUMBERS = frozenset(("rowid", "oid", "_rowid_"))


class Making:
    """The statements that make a schema, in order; `not_made` names what of it they do not make.

    Tables of a name that SQLite keeps for itself are never made. SQLite may still refuse a statement: `make` names
    what it did not make for that reason.
    """

    def __init__(self, schema: Schema) -> None:
        self.not_made: list[str] = [f"{one.kind} {one.name}" for one in schema.foreign]
        self.tables: dict[str, list[str]] = {table.name: self._table(table) for table in schema.tables}
        """The statements that make each table with its indexes; none for a table that cannot be made."""
        made = {folded(table.name): table for table in schema.tables if self.tables[table.name]}
        self.full_texts: dict[str, list[str]] = {one.name: self._full_text(one, made) for one in schema.full_texts}

    def make(self, connection: sqlite3.Connection) -> None:
        """Make everything, within a transaction."""
        for name in self.tables:
            self.make_table(connection, name)
        for name, statements in self.full_texts.items():
            if statements and not _made(connection, statements):
                self.not_made.append(f"virtual table {name}")

    def make_table(self, connection: sqlite3.Connection, name: str) -> None:
        """Make a table with its indexes, within a transaction."""
        create, *indexes = self.tables[name] or ("",)
        if create and not _made(connection, [create]):
            self.not_made.append(f"table {name}")
        elif create:
            failed = sum(not _made(connection, [index]) for index in indexes)
            self.not_made += [f"{failed} indexes of table {name}"] * bool(failed)

    def _table(self, table: Table) -> list[str]:
        try:
            return [_sound(sql) for sql in (self._create(table), *self._indexes(table))]
        except Unspeakable:
            self.not_made.append(f"table {table.name}")
            return []

    def _create(self, table: Table) -> str:
        _check_name(table.name)
        names = [column.name for column in table.columns]
        parts = [self._column(column, table, names) for column in table.columns]
        if table.primary_key and not _inline(table):
            parts.append(f"PRIMARY KEY ({_parts(table.primary_key, names)})")
        parts += [f"UNIQUE ({_parts(index.parts, names)})" for index in table.indexes if index.name is None]
        parts += [_foreign_key(key, names) for key in table.foreign_keys]
        for check in table.checks:
            if sql := self._spoken(f"check of table {table.name}", check, names):
                parts.append(f"CHECK ({sql})")
        options = ["WITHOUT ROWID"] * table.without_rowid + ["STRICT"] * table.strict
        return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)}) {', '.join(options)}".rstrip()

    def _column(self, column: Column, table: Table, names: Collection[str]) -> str:
        what = f"column {table.name}.{column.name}"
        sql = [quoted(column.name), _type(column.type)]
        if _inline(table) and table.primary_key[0].column == column.name:
            sql.append("PRIMARY KEY" + ("" if table.row_number else " DESC"))
            sql += ["AUTOINCREMENT"] if table.sequence is not None else []
        if column.not_null:
            sql.append("NOT NULL")
        if column.collation is not None:
            sql.append(_collate(column.collation))
        if column.default is not None and (default := self._spoken(f"default of {what}", column.default, ())):
            sql.append(f"DEFAULT ({default})")
        if column.generated is not None:
            sql.append(f"GENERATED ALWAYS AS ({spoken(column.generated, names)})")
            sql += ["STORED"] if column.stored else []
        return " ".join(filter(None, sql))

    def _indexes(self, table: Table) -> Iterator[str]:
        names = [column.name for column in table.columns]
        for index in table.indexes:
            if index.name is None:
                continue
            try:
                yield _sound(_index(index, index.name, table.name, names))
            except Unspeakable:
                self.not_made.append(f"index {index.name}")

    def _full_text(self, one: FullText, tables: Mapping[str, Table]) -> list[str]:
        try:
            _check_full_text(one, tables)
            return [_sound(sql) for sql in (full_text_sql(one), *(trigger_sql(one, each) for each in one.triggers))]
        except Unspeakable:
            self.not_made.append(f"virtual table {one.name}")
            return []

    def _spoken(self, what: str, expression: str, names: Collection[str]) -> str:
        """Give an expression whose lack loses no row; empty, and named, where it cannot be said."""
        try:
            return spoken(expression, names)
        except Unspeakable:
            self.not_made.append(what)
            return ""


def _made(connection: sqlite3.Connection, statements: Iterable[str]) -> bool:
    """Make something, or nothing of it where SQLite refuses a statement; say whether it was made."""
    connection.execute("SAVEPOINT making")
    try:
        for sql in statements:
            connection.execute(sql)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _REFUSALS:
            raise
        connection.execute("ROLLBACK TO making")
        connection.execute("RELEASE making")
        return False
    connection.execute("RELEASE making")
    return True


def _sound(sql: str) -> str:
    if "\0" in sql:
        raise Unspeakable(sql)
    return sql


def _inline(table: Table) -> bool:
    """Whether the primary key is said with its column: SQLite's own row number, or what only looks like it.

    `INTEGER PRIMARY KEY DESC` is, for the sake of old stores, not a row number (https://sqlite.org/lang_createtable.html).
    """
    if len(table.primary_key) != 1 or table.without_rowid:
        return False
    type_ = next((column.type for column in table.columns if column.name == table.primary_key[0].column), "")
    return table.row_number or type_.upper() == "INTEGER"


def _index(index: Index, name: str, table: str, names: Collection[str]) -> str:
    _check_name(name)
    unique = "UNIQUE " if index.unique else ""
    where = "" if index.where is None else f" WHERE {spoken(index.where, names)}"
    return f"CREATE {unique}INDEX {quoted(name)} ON {quoted(table)} ({_parts(index.parts, names)}){where}"


def _parts(parts: list[Part], names: Collection[str]) -> str:
    return ", ".join(_part(part, names) for part in parts)


def _part(part: Part, names: Collection[str]) -> str:
    order = " DESC" if part.descending else ""
    if part.column is None:
        return f"{spoken(part.expression or '', names)}{order}"
    if part.column not in names:
        raise Unspeakable(part.column)
    return f"{quoted(part.column)} {_collate(part.collation)}{order}"


def _foreign_key(key: ForeignKey, names: Collection[str]) -> str:
    if not set(key.columns) <= set(names) or not {key.on_delete, key.on_update} <= _ACTIONS:
        raise Unspeakable("foreign key")
    to = f" ({', '.join(map(quoted, key.to))})" if key.to else ""
    actions = "".join(
        f" ON {event} {action}"
        for event, action in (("UPDATE", key.on_update), ("DELETE", key.on_delete))
        if action != "NO ACTION"
    )
    return f"FOREIGN KEY ({', '.join(map(quoted, key.columns))}) REFERENCES {quoted(key.table)}{to}{actions}"


def _collate(collation: str) -> str:
    if collation.upper() not in COLLATIONS:
        raise Unspeakable(collation)
    return f"COLLATE {collation}"


def _type(declared: str) -> str:
    """Write a type; one that is not made of plain words and numbers goes in quotes, which SQLite takes off again."""
    words = {word.upper() for word in re.findall("[A-Za-z_]+", declared)}
    if not declared or (_TYPE.fullmatch(declared) and words.isdisjoint(_CONSTRAINTS.split())):
        return declared
    return quoted(declared)


def _check_name(name: str) -> None:
    if folded(name).startswith(_RESERVED) or not name:
        raise Unspeakable(name)


def _check_full_text(one: FullText, tables: Mapping[str, Table]) -> None:
    """Refuse a full-text table that would index what is no table of the archive, or no column of it."""
    _check_name(one.name)
    if one.content is not None:
        if (table := tables.get(folded(one.content))) is None:
            raise Unspeakable(one.content)
        there = {folded(column.name) for column in table.columns}
        row = one.options.get("content_rowid", "rowid")
        if not (there >= set(map(folded, one.columns)) and folded(row) in there | _ROW_NUMBERS):
            raise Unspeakable(one.name)
    if not set(one.options) <= set(OPTIONS) or not set(one.unindexed) <= set(one.columns):
        raise Unspeakable(one.name)
