"""Makes the views that questions read: over a source of events, or over the Parquet copy of a journal.

The copy knows most sessions as a whole: what the views say about them stands in its parts. Only the others, called
loose here, are put together from their events, by the same SQL: those in several parts or in the part of the journal
that is not copied yet, those that the ends of the asked span cut, and those of events without a session_id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clickstream.analytics.catalog import VIEWS, view_sql
from clickstream.analytics.sources import literal, only
from clickstream.timestamps import text

if TYPE_CHECKING:
    import duckdb

EVENTS: Final = "events"  # tables of a part, beside one for each of SESSION_VIEWS
VISITS: Final = "visits"  # of session_spans, with the session's key and its number
SHARED: Final = "shared"
LOOSE_EVENTS: Final = "loose_events"
SESSION_VIEWS: Final = tuple(name for name in VIEWS if name.startswith("session_") and name != "session_events")
SPANS: Final = "session_spans"


@dataclass(frozen=True, slots=True)
class Span:
    """Event times from `since_ms` up to, not including, `until_ms`; None: from the first, to the last."""

    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, first: str, last: str | None = None) -> str:
        """SQL that is true when the times between the columns `first` and `last` lie inside."""
        limits = [] if self.since_ms is None else [f"{first} >= {_timestamp(self.since_ms)}"]
        if self.until_ms is not None:
            limits.append(f"{last or first} < {_timestamp(self.until_ms)}")
        return " AND ".join(limits) or "true"

    def touches(self, first: str, last: str) -> str:
        """SQL that is true when some time between the columns `first` and `last` may lie inside."""
        return self.holds(last, first)


@dataclass(frozen=True, slots=True)
class Copied:
    """Directories of the parts of a Parquet copy in the order of the journal, and a file of events behind them."""

    parts: tuple[Path, ...]
    young: Path


def events_view(source: str, span: Span) -> str:
    """SQL of the view `events` over `source`, limited to `span`."""
    # Only SQL of our own files and of sources.py, whose literals are quoted, is put together here.
    return _within(f"WITH raw_events AS ({source}) SELECT * FROM ({view_sql('events')}) AS derived", span)  # noqa: S608


def over_source(connection: duckdb.DuckDBPyConnection, source: str, span: Span) -> None:
    """Make VIEWS over the events of `source`."""
    # JSON is parsed once, not once for each time that a question reads its events.
    connection.execute(f"CREATE TEMP TABLE events AS {events_view(source, span)}")
    for name in VIEWS[1:]:
        _view(connection, name, view_sql(name))


def over_copy(connection: duckdb.DuckDBPyConnection, copied: Copied, span: Span, question: str) -> None:
    """Make those of VIEWS that `question` names over the Parquet copy.

    Whole sessions come out of its tables, loose ones out of events.
    """
    files = [*tables(copied.parts, EVENTS), copied.young]
    _view(connection, "events", _within(parquet(files), span))
    needed = [name for name in SESSION_VIEWS if name in question]
    if not copied.parts:
        over_loose_events(connection, "SELECT * FROM events", needed)
    elif needed:
        opened = _open(connection, copied, span)
        over_loose_events(connection, _loose_events(copied, opened, span), needed, prefix="loose_")
        for name in needed:
            _view(connection, name, f"{_whole(copied, name, span)} UNION ALL BY NAME {_loose(name)}")


def over_loose_events(
    connection: duckdb.DuckDBPyConnection, events: str, names: Sequence[str], *, prefix: str = ""
) -> None:
    """Make the views `names` of SESSION_VIEWS, called so behind `prefix`, over rows of sql/copied_events.sql."""
    _view(connection, "loose_events", events)
    _view(connection, "session_events", view_sql("copied_session_events"))
    for name in names:
        _view(connection, prefix + name, view_sql(name))


def table_file(part: Path, table: str) -> Path:
    """The file of one of a part's tables."""
    return part / f"{table}.parquet"


def tables(parts: Iterable[Path], table: str) -> list[Path]:
    """The files of one table of `parts`."""
    return [table_file(part, table) for part in parts]


def parquet(files: Iterable[Path], *, filename: bool = False) -> str:
    """SQL of the rows of `files`, on demand with the column `filename`."""
    names = ", ".join(map(only, files))
    return f"SELECT * FROM read_parquet([{names}], filename = {str(filename).lower()})"  # noqa: S608 (quoted paths)


def _open(connection: duckdb.DuckDBPyConnection, copied: Copied, span: Span) -> list[Path]:
    """Find the loose sessions; parts that have events of such in no table of loose events."""
    first_and_last = ("started_at", "ended_at")
    cut = f"NOT ({span.holds(*first_and_last)}) AND {span.touches(*first_and_last)}"
    _view(connection, "visits", parquet(tables(copied.parts, VISITS), filename=True))
    _view(connection, "shared", parquet(tables(copied.parts, SHARED)))
    _view(connection, "young_events", parquet([copied.young]))
    _view(connection, "cut_visits", f"SELECT * FROM visits WHERE {cut}")  # noqa: S608 (here and below: our own names)
    connection.execute(f"CREATE TEMP TABLE opened AS {view_sql('copied_opened')}")
    connection.execute("CREATE TEMP TABLE loose_visits AS SELECT visit FROM shared UNION ALL SELECT visit FROM opened")
    names = connection.execute("SELECT DISTINCT filename FROM opened").fetchall()
    return [Path(name).parent for (name,) in names]


def _loose_events(copied: Copied, opened: list[Path], span: Span) -> str:
    known = _within(parquet([*tables(copied.parts, LOOSE_EVENTS), copied.young]), span)
    without_session = _within(parquet(tables(copied.parts, EVENTS)), span)
    loose = f"{known} UNION ALL SELECT * FROM ({without_session}) AS e WHERE session_key IS NULL"  # noqa: S608
    if opened:
        of_parts = _within(parquet(tables(opened, EVENTS)), span)
        loose += f" UNION ALL SELECT e.* FROM ({of_parts}) AS e SEMI JOIN opened AS o ON o.session_key = e.session_key"  # noqa: S608
    return loose


def _whole(copied: Copied, name: str, span: Span) -> str:
    table, keys = (VISITS, "visit, session_key") if name == SPANS else (name, "visit, started_at, ended_at")
    return (
        f"SELECT w.* EXCLUDE ({keys}) FROM ({parquet(tables(copied.parts, table))}) AS w "  # noqa: S608
        f"ANTI JOIN loose_visits AS l ON l.visit = w.visit WHERE {span.holds('w.started_at', 'w.ended_at')}"
    )


def _loose(name: str) -> str:
    return f"SELECT * EXCLUDE (session_key) FROM loose_{name}"  # noqa: S608


def _within(events: str, span: Span) -> str:
    if span == Span():
        return events
    return f"SELECT * FROM ({events}) AS every_event WHERE {span.holds('event_time')}"  # noqa: S608


def _view(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")


def _timestamp(ms: int) -> str:
    return f"CAST({literal(text(ms)[:23].replace('T', ' '))} AS TIMESTAMP)"
