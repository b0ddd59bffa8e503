"""Full-text tables (FTS5): recognised, made anew, rebuilt, and checked by the check of their own.

What such a table holds is derived from the table it indexes, so it is not archived. Triggers keep the two in step;
those we know are those we would write ourselves (https://sqlite.org/fts5.html, section 4.4.3).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from ecm_agent.model.schema import FullText, Trigger
from ecm_agent.store.tokens import enclosed, literal, parted, plain, quoted, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ecm_agent.store.tokens import Token

OPTIONS = ("tokenize", "prefix", "detail", "columnsize", "content_rowid")
_EVENTS: tuple[Literal["INSERT", "DELETE", "UPDATE"], ...] = ("INSERT", "DELETE", "UPDATE")


def full_text_of(name: str, sql: str) -> FullText | None:
    """Describe a full-text table by the statement that made it; `None` for another kind, or one that keeps no text."""
    found = tokens(sql)
    using = next((place for place, token in enumerate(found) if token.is_word("USING")), None)
    if using is None or found[using + 1].text.lower() != "fts5":
        return None
    columns, unindexed, options = [], [], {}
    for part in filter(None, parted(enclosed(found, using + 2))):
        if len(part) > 2 and part[1].is_sign("="):  # noqa: PLR2004 (name, sign, value)
            options[part[0].text.lower()] = _value(part[2:])
        else:
            columns.append(part[0].text)
            unindexed += [part[0].text] if any(token.is_word("UNINDEXED") for token in part[1:]) else []
    content = options.pop("content", None)
    if content == "" or set(options) - set(OPTIONS):
        return None
    return FullText(name, columns, unindexed, content, options)


def _value(part: Sequence[Token]) -> str:
    return part[0].text if len(part) == 1 else " ".join(token.text for token in part)


def trigger_of(full_text: FullText, name: str, sql: str) -> tuple[FullText, Trigger] | None:
    """Recognise a trigger that keeps a full-text table in step; gives the table's description with it."""
    if full_text.content is None:
        return None
    found = tokens(sql)
    says, of = plain(found), list(_columns_of_update(found))
    for place in range(len(says) - 3):  # it may be said, and is always so
        if says[place : place + 4] == [("name", word) for word in ("for", "each", "row", "begin")]:
            del says[place : place + 3]
            break
    for event in _EVENTS:
        trigger = Trigger(name, event, of if event == "UPDATE" else [])
        if plain(tokens(trigger_sql(full_text, trigger))) == says:
            return replace(full_text, triggers=[*full_text.triggers, trigger]), trigger
    return None


def _columns_of_update(found: Sequence[Token]) -> Iterator[str]:
    """Give the columns after UPDATE OF, up to the ON, of a trigger."""
    start = next((place for place, token in enumerate(found) if token.is_word("OF")), len(found))
    for token in found[start + 1 :]:
        if token.is_word("ON"):
            return
        if not token.is_sign(","):
            yield token.text


def full_text_sql(full_text: FullText) -> str:
    """Write the statement that makes a full-text table."""
    unindexed = set(full_text.unindexed)
    parts = [quoted(column) + (" UNINDEXED" if column in unindexed else "") for column in full_text.columns]
    if full_text.content is not None:
        parts.append(f"content={literal(full_text.content)}")
    parts += [f"{key}={literal(value)}" for key, value in full_text.options.items()]
    return f"CREATE VIRTUAL TABLE {quoted(full_text.name)} USING fts5({', '.join(parts)})"


def trigger_sql(full_text: FullText, trigger: Trigger) -> str:
    """Write the statement that makes one of its triggers."""
    table, content = quoted(full_text.name), quoted(full_text.content or "")
    columns = ", ".join(map(quoted, full_text.columns))
    rowid = full_text.options.get("content_rowid", "rowid")

    def values(of: str) -> str:
        return ", ".join(f"{of}.{quoted(column)}" for column in (rowid, *full_text.columns))

    forget = f"INSERT INTO {table}({table}, rowid, {columns}) VALUES ('delete', {values('old')});"  # noqa: S608 (quoted)
    learn = f"INSERT INTO {table}(rowid, {columns}) VALUES ({values('new')});"  # noqa: S608 (quoted)
    does = {"INSERT": learn, "DELETE": forget, "UPDATE": f"{forget} {learn}"}[trigger.event]
    of = f" OF {', '.join(map(quoted, trigger.of))}" if trigger.of else ""
    return f"CREATE TRIGGER {quoted(trigger.name)} AFTER {trigger.event}{of} ON {content} BEGIN {does} END"


@contextmanager
def triggers_aside(connection: sqlite3.Connection) -> Iterator[None]:
    """Let no trigger of the store fire in the block, within a transaction; put them back as they were."""
    triggers = connection.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER main.{quoted(name)}")
    yield
    for _, sql in triggers:
        connection.execute(sql)


def _full_texts(connection: sqlite3.Connection) -> list[FullText]:
    rows = connection.execute(
        "SELECT m.name, m.sql FROM main.sqlite_master m JOIN pragma_table_list l ON l.schema = 'main' "
        "AND l.name = m.name AND l.type = 'virtual' ORDER BY m.rowid"
    ).fetchall()
    return [one for name, sql in rows if (one := full_text_of(name, sql))]


def rebuild(connection: sqlite3.Connection) -> None:
    """Make every full-text index anew, and have it checked. Raises `sqlite3.DatabaseError`."""
    for name in (one.name for one in _full_texts(connection) if one.content):
        connection.execute(f"INSERT INTO main.{quoted(name)}({quoted(name)}) VALUES ('rebuild')")  # noqa: S608 (quoted)
        _check(connection, name)


def damaged(connection: sqlite3.Connection) -> Iterator[str]:
    """Name the full-text tables that do not agree with what they hold or index.

    SQLite's own `integrity_check` does not see it.
    """
    for name in (one.name for one in _full_texts(connection)):
        try:
            _check(connection, name)
        except sqlite3.DatabaseError as error:
            if "malformed" not in str(error):
                raise
            yield name


def _check(connection: sqlite3.Connection, name: str) -> None:
    sql = f"INSERT INTO main.{quoted(name)}({quoted(name)}, rank) VALUES ('integrity-check', 1)"  # noqa: S608 (quoted)
    connection.execute(sql)
