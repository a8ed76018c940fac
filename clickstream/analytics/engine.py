"""Runs a question on a source of events in DuckDB, in this process, and gives its rows."""

from __future__ import annotations

import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clickstream.analytics.catalog import QUESTIONS, VIEWS, question_sql, view_sql
from clickstream.analytics.sources import literal
from clickstream.errors import ClickstreamError, RequestRefused
from clickstream.timestamps import text

if TYPE_CHECKING:
    import duckdb

_OF_COPY: Final = {"session_events": "copied_session_events"}
_MEMORY_LIMIT: Final = "1GB"  # beyond it DuckDB goes on in files, where it is given a directory for them


class SourceUnreadable(ClickstreamError):
    """The events cannot be read: the file is damaged or is not one of the formats."""


@dataclass(frozen=True, slots=True)
class Table:
    """An answer: column names and rows whose cells are JSON values."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    elapsed_ms: float
    truncated: bool = False  # there were more rows than asked for

    def as_dict(self) -> dict[str, Any]:
        """The body of `GET /analytics/<name>`."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {
            "name": self.name,
            "columns": self.columns,
            "rows": rows,
            "truncated": self.truncated,
            "elapsed_ms": round(self.elapsed_ms, 1),
        }


def answer(
    name: str,
    source: str,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
    derived: bool = False,
    limit: int | None = None,
    threads: int = 2,
    spill: Path | None = None,
) -> Table:
    """The answer to the question `name` over the events of `source` from `since_ms` up to, not including, `until_ms`.

    `source` is SQL from sources.py, or with `derived` SQL that gives those of sql/copied_events.sql already.
    At most `limit` rows. What does not fit into memory goes to `spill`, else to a directory of its own.
    Raises RequestRefused for a name that is not a question.
    """
    require_question(name)
    started = time.perf_counter()
    with _private(spill) as directory, connect(threads, directory) as connection, readable():
        _make_views(connection, source, since_ms, until_ms, derived=derived)
        result = connection.execute(question_sql(name))
        columns = [column[0] for column in result.description or []]
        found = result.fetchall() if limit is None else result.fetchmany(limit + 1)
    rows = [[json_value(cell) for cell in row] for row in found[:limit]]
    return Table(name, columns, rows, (time.perf_counter() - started) * 1000, truncated=len(rows) < len(found))


def require_question(name: str) -> None:
    """Raise RequestRefused, with the names that there are, for a name that is not in QUESTIONS."""
    if name not in QUESTIONS:
        raise RequestRefused("not_found", f'no question "{name[:40]}"; there are {", ".join(QUESTIONS)}', field="name")


@contextmanager
def readable() -> Iterator[None]:
    """Raises SourceUnreadable for what DuckDB says about files and values that it cannot read."""
    import duckdb  # noqa: PLC0415 (as below)

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.DataError) as problem:
        raise SourceUnreadable(str(problem).splitlines()[0]) from problem


@contextmanager
def _private(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="clickstream-sql-", ignore_cleanup_errors=True) as own:
        yield Path(own)


def connect(threads: int = 2, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own in memory, in UTC, bounded in memory and threads, that loads nothing from the network.

    `spill` is a directory that only its owner can read, for what does not fit into memory: it holds events of people.
    """
    import duckdb  # noqa: PLC0415 (60 ms and 30 MB that only those pay who ask a question)

    return duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": "" if spill is None else str(spill),
            "autoinstall_known_extensions": False,
            "TimeZone": "UTC",
            # Files of several hundred megabytes would otherwise be held in order while they are read.
            "preserve_insertion_order": False,
        }
    )


def events_view(source: str, since_ms: int | None, until_ms: int | None, *, derived: bool = False) -> str:
    """SQL of the view `events` over `source`, limited to a span of event time."""
    # Only SQL of our own files and of sources.py, whose literals are quoted, is put together here.
    events = source if derived else f"WITH raw_events AS ({source}) SELECT * FROM ({view_sql('events')}) AS derived"  # noqa: S608
    limits = [f"event_time >= {_timestamp(since_ms)}"] if since_ms is not None else []
    if until_ms is not None:
        limits.append(f"event_time < {_timestamp(until_ms)}")
    return f"SELECT * FROM ({events}) AS every_event WHERE {' AND '.join(limits)}" if limits else events  # noqa: S608


def _make_views(
    connection: duckdb.DuckDBPyConnection, source: str, since_ms: int | None, until_ms: int | None, *, derived: bool
) -> None:
    # JSON is parsed once, not once for each time that a question reads its events; columns are read where they are.
    kind = "VIEW" if derived else "TABLE"
    connection.execute(f"CREATE TEMP {kind} events AS {events_view(source, since_ms, until_ms, derived=derived)}")
    for name in VIEWS[1:]:
        connection.execute(f"CREATE TEMP VIEW {name} AS {view_sql(_OF_COPY.get(name, name) if derived else name)}")


def _timestamp(ms: int) -> str:
    return f"CAST({literal(text(ms)[:23].replace('T', ' '))} AS TIMESTAMP)"


def json_value(cell: object) -> object:
    """A cell of DuckDB as JSON holds it: whole decimals as integers, times as RFC 3339."""
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() and cell.as_tuple().exponent == 0 else float(cell)
    if isinstance(cell, dt.datetime):
        return text((cell.replace(tzinfo=dt.timezone.utc) - _EPOCH) // dt.timedelta(milliseconds=1))
    if isinstance(cell, dt.date):
        return cell.isoformat()
    return cell


_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
