"""How SQLite sets about what it is asked."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from injection import connecting

if TYPE_CHECKING:
    from collections.abc import Callable


def plans_of(work: Callable[[], object]) -> dict[str, str]:
    """Do something with stores, and give SQLite's plan for every statement that reads one."""
    plans: dict[str, str] = {}

    class Explained(sqlite3.Connection):
        def execute(self, sql: str, /, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401 (as sqlite3's own)
            if sql not in plans and sql.startswith(("SELECT", "\nSELECT", "INSERT", "DELETE", "UPDATE")):
                plan = super().execute(f"EXPLAIN QUERY PLAN {sql}", *parameters).fetchall()
                plans[sql] = "; ".join(step for *_, step in plan)
            return super().execute(sql, *parameters)

    with connecting(Explained):
        work()
    return plans
