"""Makes one part of the Parquet copy: a directory with its events, and what the views say about their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clickstream.analytics import sources
from clickstream.analytics.catalog import view_sql
from clickstream.analytics.engine import connect, readable
from clickstream.analytics.scope import Scope
from clickstream.analytics.sources import literal
from clickstream.analytics.views import (
    EVENTS,
    LOOSE_EVENTS,
    SESSION_VIEWS,
    SHARED,
    SPANS,
    TIMES,
    VISITS,
    events_view,
    over_loose_events,
    parquet,
    table_file,
    tables,
)

if TYPE_CHECKING:
    import duckdb

# Whoever reads or writes a row group holds it whole: where events are long, DuckDB's 122,880 rows need gigabytes.
_ROW_GROUP: Final = "16MB"
_QUARTER: Final = "time_bucket(INTERVAL '15 minutes', seen_at)"
_ORDERS: Final = {"session_values": "dimension, dimension_value, visit"}  # value by value: a third of the room


def write_events(lines: Sequence[Path], target: Path, *, spill: Path) -> None:
    """Write the events of NDJSON files with the columns of sql/copied_events.sql."""
    with connect(spill=spill) as connection, readable():
        connection.execute(f"CREATE TEMP VIEW events AS {events_view(sources.ndjson(*lines), Scope())}")
        _copy(connection, view_sql("copied_events"), target)


def write_tables(part: Path, start: int, earlier: Sequence[Path], *, spill: Path) -> None:
    """Write the other tables of `part` beside its events; `start` is its first byte, `earlier` the parts before it."""
    with connect(spill=spill) as connection, readable():
        connection.execute(f"CREATE TEMP VIEW events AS {parquet([table_file(part, EVENTS)])}")
        over_loose_events(connection, "SELECT * FROM events WHERE session_key IS NOT NULL", SESSION_VIEWS, Scope())
        connection.execute(f"SET VARIABLE part_start = CAST({start} AS BIGINT)")
        connection.execute(f"CREATE TEMP TABLE visits AS {view_sql('part_visits')}")
        _copy(connection, "SELECT * FROM visits ORDER BY visit", table_file(part, VISITS))
        for name in SESSION_VIEWS:
            if name != SPANS:
                _copy(connection, _numbered(name), table_file(part, name))
        _write_loose(connection, part, earlier)


def _write_loose(connection: duckdb.DuckDBPyConnection, part: Path, earlier: Sequence[Path]) -> None:
    """Write which sessions are in several parts, and all events of theirs that no part has written so yet."""
    nobody = "SELECT session_key, visit, '' AS filename FROM visits WHERE false"
    for table, files in ((VISITS, tables(earlier, VISITS)), (SHARED, tables(earlier, SHARED))):
        rows = parquet(files, filename=True) if files else nobody
        connection.execute(f"CREATE TEMP VIEW earlier_{table} AS {rows}")
    connection.execute(f"CREATE TEMP TABLE shared AS {view_sql('part_shared')}")
    _copy(connection, "SELECT * FROM shared", table_file(part, SHARED))
    found = connection.execute(
        "SELECT DISTINCT e.filename FROM earlier_visits AS e SEMI JOIN shared AS s ON s.session_key = e.session_key"
    ).fetchall()
    files = [table_file(Path(name).parent, EVENTS) for (name,) in found]
    rows = parquet(files) if files else "SELECT * FROM events WHERE false"
    connection.execute(f"CREATE TEMP VIEW earlier_events AS {rows}")
    _copy(connection, view_sql("part_loose_events"), table_file(part, LOOSE_EVENTS))


def _numbered(name: str) -> str:
    told = "SELECT v.visit, v.started_at, v.ended_at, s.* EXCLUDE (session_key)"
    if name == TIMES:  # once a quarter of an hour is enough: on those, days begin in all time zones
        told = f"SELECT DISTINCT v.visit, v.started_at, v.ended_at, person, {_QUARTER} AS seen_at"
    return (
        f"{told} FROM {name} AS s "
        f"JOIN visits AS v ON v.session_key = s.session_key ORDER BY {_ORDERS.get(name, 'visit')}"
    )


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, target: Path) -> None:
    form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE_BYTES '{_ROW_GROUP}'"
    connection.execute(f"COPY ({rows}) TO {literal(str(target))} ({form})")
