"""A store's schema as a description: what its tables are made of, in words of our own.

An archive carries this and no SQL. Whoever makes a store from it writes the SQL anew (`store.making`), from names that
are quoted and from expressions of a small language (`store.expressions`): nothing an archive says is ever executed.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from ecm_agent.model.records import Cell

MEMORY_TABLES = frozenset(
    ("chunks", "edges", "clusters", "chunk_clusters", "vector_clocks", "vectors", "schema_version")
)
"""The tables without which there is no memory: those that have sections of their own, and what says their version."""

VERSION_TABLE = "schema_version"

Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""What SQLite keeps in the header of a database."""


class Column(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A column; `default` and `generated` are expressions, `type` is as its owner wrote it."""

    name: str
    type: str = ""
    not_null: bool = False
    default: str | None = None
    collation: str | None = None
    generated: str | None = None
    stored: bool = False
    """Whether a generated column is kept in the row, rather than worked out on reading."""


class Part(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What an index or a key is made of: a column, or an expression."""

    column: str | None = None
    expression: str | None = None
    descending: bool = False
    collation: str = "BINARY"


class ForeignKey(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Columns that refer to another table; without `to`, to its primary key."""

    columns: list[str]
    table: str
    to: list[str] = []
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"


class Index(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An index; one without a name is a UNIQUE constraint of its table. `where` makes it a partial one."""

    parts: list[Part]
    name: str | None = None
    unique: bool = False
    where: str | None = None


class Table(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An ordinary table. `rows` is how many of its rows are in the section `rows`; absent where its rows are not there.

    `row_number`: the primary key is another name of SQLite's own row number. `sequence` is the highest such number
    ever given out, where they are never given out twice.
    """

    name: str
    columns: list[Column]
    rows: int | None = None
    primary_key: list[Part] = []
    row_number: bool = False
    sequence: int | None = None
    without_rowid: bool = False
    strict: bool = False
    foreign_keys: list[ForeignKey] = []
    indexes: list[Index] = []
    checks: list[str] = []

    @property
    def written(self) -> list[str]:
        """The columns that can be written."""
        return [column.name for column in self.columns if column.generated is None]

    @property
    def valued(self) -> list[str]:
        """What the values of its rows in an archive are values of, in their order."""
        return self.written


class Trigger(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A trigger that keeps a full-text table in step with the table it indexes; `of` names columns of an update."""

    name: str
    event: Literal["INSERT", "DELETE", "UPDATE"]
    of: list[str] = []


class FullText(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A full-text table (FTS5). With `content` it indexes that table and is rebuilt; without, it holds its own rows.

    `options` are others of FTS5's: tokenize, prefix, detail, columnsize, content_rowid. `rows` is as for a table; such
    a row begins with its row number.
    """

    name: str
    columns: list[str]
    unindexed: list[str] = []
    content: str | None = None
    options: dict[str, str] = {}
    triggers: list[Trigger] = []
    rows: int | None = None

    @property
    def valued(self) -> list[str]:
        """As for a table."""
        return ["rowid", *self.columns]


class Foreign(Struct, frozen=True, rename="camel"):
    """What cannot be described: a view, a trigger, a virtual table of another kind. `sql` is for a person to read."""

    kind: str
    name: str
    sql: str


class Schema(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Everything a store is made of, in the order in which it was made."""

    tables: list[Table] = []
    full_texts: list[FullText] = []
    foreign: list[Foreign] = []
    version_rows: list[list[Cell]] = []
    """The rows of the table `schema_version`: which generation this is, and since when."""
    user_version: Int32 = 0
    """A number of the owning program's own, by which many tell what they have to migrate."""
    application_id: Int32 = 0
    """Whose database this is, as far as `file` and its like are concerned."""

    @property
    def with_rows(self) -> list[Table | FullText]:
        """The tables whose rows are in the archive."""
        described: tuple[Table | FullText, ...] = (*self.tables, *self.full_texts)
        return [table for table in described if table.rows is not None]

    @property
    def writable(self) -> list[Table | FullText]:
        """The tables that hold rows of their own."""
        return [*self.tables, *(table for table in self.full_texts if table.content is None)]
