"""Makes the views that questions read: over a source of events, or over the Parquet copy of a journal.

The copy knows most sessions as a whole: what the views say about them stands in its parts. Only the others, called
loose here, are put together from their events, by the same SQL: those in several parts or in the part of the journal
that is not copied yet, those that the ends of the asked span cut, and those of events without a session_id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clickstream.analytics.catalog import VIEWS, view_sql
from clickstream.analytics.scope import Scope
from clickstream.analytics.sources import only

if TYPE_CHECKING:
    import duckdb

EVENTS: Final = "events"  # tables of a part, beside one for each of SESSION_VIEWS
VISITS: Final = "visits"  # of session_spans, with the session's key and its number
SHARED: Final = "shared"
LOOSE_EVENTS: Final = "loose_events"
SESSION_VIEWS: Final = tuple(name for name in VIEWS if name.startswith("session_") and name != "session_events")
SPANS: Final = "session_spans"
TIMES: Final = "session_times"
CHOSEN_EVENTS: Final = "chosen_events"
CHOSEN_SESSION_EVENTS: Final = "chosen_session_events"
_NAMES: Final = re.compile(r"--.*|'[^']*'|(\w+)")  # a step of a funnel may be called as a view is: texts are no names
# Over the copy: an event with a session_id is found by its key, for one without it the sessions were put together.
_CHOSEN_BY_ID: Final = (
    "SELECT e.* FROM events AS e SEMI JOIN chosen AS c ON c.session_key = e.session_key "
    "UNION ALL BY NAME SELECT * FROM chosen_session_events WHERE session_id IS NULL"
)


@dataclass(frozen=True, slots=True)
class Copied:
    """Directories of the parts of a Parquet copy in the order of the journal, and a file of events behind them."""

    parts: tuple[Path, ...]
    young: Path


def events_view(source: str, scope: Scope) -> str:
    """SQL of the view `events` over `source`, limited to the time of `scope`."""
    # Only SQL of our own files and of sources.py, whose literals are quoted, is put together here.
    return _within(f"WITH raw_events AS ({source}) SELECT * FROM ({view_sql('events')}) AS derived", scope)  # noqa: S608


def views(scope: Scope) -> dict[str, str]:
    """SQL of VIEWS but the first, each behind those that it reads."""
    chosen = {CHOSEN_SESSION_EVENTS: scope.chosen_events("session_events"), CHOSEN_EVENTS: _chosen_events(scope)}
    return {name: chosen.get(name) or view_sql(name) for name in VIEWS[1:]}


def over_source(connection: duckdb.DuckDBPyConnection, source: str, scope: Scope) -> None:
    """Make VIEWS over the events of `source`."""
    # JSON is parsed once, not once for each time that a question reads its events.
    connection.execute(f"CREATE TEMP TABLE events AS {events_view(source, scope)}")
    for name, sql in views(scope).items():
        _view(connection, name, sql)


def leave_chosen(connection: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Leave in VIEWS that `over_source` has made nothing but the chosen visits of `scope`: in those before them too."""
    described = connection.execute("SELECT * FROM events LIMIT 0").description or []
    columns = ", ".join(name for name, *_ in described)
    connection.execute(f"CREATE TEMP TABLE chosen_alone AS SELECT {columns} FROM {CHOSEN_SESSION_EVENTS}")  # noqa: S608 (our own names)
    connection.execute("DROP TABLE events")
    connection.execute("ALTER TABLE chosen_alone RENAME TO events")
    for name, sql in views(Scope(scope.since_ms, scope.until_ms)).items():
        _view(connection, name, sql)


def over_copy(connection: duckdb.DuckDBPyConnection, copied: Copied, scope: Scope, question: str) -> None:
    """Make those of VIEWS that `question` names over the Parquet copy.

    Whole sessions come out of its tables, loose ones out of events.
    """
    files = [*tables(copied.parts, EVENTS), copied.young]
    _view(connection, "events", _within(parquet(files), scope))
    named = set(_NAMES.findall(question))
    needed = [name for name in SESSION_VIEWS if name in named]
    if not copied.parts:
        over_loose_events(connection, "SELECT * FROM events", needed, scope)
        _view(connection, CHOSEN_EVENTS, _chosen_events(scope))
        return
    if scope.chooses:
        connection.execute(f"CREATE TEMP TABLE chosen AS {scope.chosen_keys('events')}")
    if needed:
        opened = _open(connection, copied, scope)
        over_loose_events(connection, _loose_events(copied, opened, scope), needed, scope, prefix="loose_")
        for name in needed:
            _view(connection, name, f"{_whole(copied, name, scope)} UNION ALL BY NAME {_loose(name)}")
    elif CHOSEN_SESSION_EVENTS in named:
        over_loose_events(connection, "SELECT * FROM events", needed, scope)
    elif scope.chooses:
        over_loose_events(connection, "SELECT * FROM events WHERE session_key IS NULL", needed, scope)
    _view(connection, CHOSEN_EVENTS, _CHOSEN_BY_ID if scope.chooses else "SELECT * FROM events")


def over_loose_events(
    connection: duckdb.DuckDBPyConnection, events: str, names: Sequence[str], scope: Scope, *, prefix: str = ""
) -> None:
    """Make the views `names` of SESSION_VIEWS, called so behind `prefix`, over rows of sql/copied_events.sql."""
    _view(connection, "loose_events", events)
    _view(connection, "session_events", view_sql("copied_session_events"))
    if scope.chooses:  # sessions are put together once to know the chosen ones, not once more for each view
        connection.execute(f"CREATE TEMP TABLE chosen_loose AS {scope.chosen_keys('session_events')}")
    _view(connection, CHOSEN_SESSION_EVENTS, scope.chosen_events("session_events", "chosen_loose"))
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


def _chosen_events(scope: Scope) -> str:
    return "SELECT * FROM chosen_session_events" if scope.chooses else "SELECT * FROM events"


def _open(connection: duckdb.DuckDBPyConnection, copied: Copied, scope: Scope) -> list[Path]:
    """Find the loose sessions; parts that have events of such in no table of loose events."""
    first_and_last = ("started_at", "ended_at")
    cut = f"NOT ({scope.holds(*first_and_last)}) AND {scope.touches(*first_and_last)}"
    _view(connection, "visits", parquet(tables(copied.parts, VISITS), filename=True))
    _view(connection, "shared", parquet(tables(copied.parts, SHARED)))
    _view(connection, "young_events", parquet([copied.young]))
    _view(connection, "cut_visits", f"SELECT * FROM visits WHERE {cut}")  # noqa: S608 (here and below: our own names)
    connection.execute(f"CREATE TEMP TABLE opened AS {view_sql('copied_opened')}")
    connection.execute("CREATE TEMP TABLE loose_visits AS SELECT visit FROM shared UNION ALL SELECT visit FROM opened")
    if scope.chooses:
        _view(connection, "chosen_visits", "SELECT v.visit FROM visits AS v SEMI JOIN chosen AS c USING (session_key)")
    names = connection.execute("SELECT DISTINCT filename FROM opened").fetchall()
    return [Path(name).parent for (name,) in names]


def _loose_events(copied: Copied, opened: list[Path], scope: Scope) -> str:
    known = _within(parquet([*tables(copied.parts, LOOSE_EVENTS), copied.young]), scope)
    without_session = _within(parquet(tables(copied.parts, EVENTS)), scope)
    loose = f"{known} UNION ALL SELECT * FROM ({without_session}) AS e WHERE session_key IS NULL"  # noqa: S608
    if opened:
        of_parts = _within(parquet(tables(opened, EVENTS)), scope)
        loose += f" UNION ALL SELECT e.* FROM ({of_parts}) AS e SEMI JOIN opened AS o ON o.session_key = e.session_key"  # noqa: S608
    return loose


def _whole(copied: Copied, name: str, scope: Scope) -> str:
    table, keys = (VISITS, "visit, session_key") if name == SPANS else (name, "visit, started_at, ended_at")
    chosen = "SEMI JOIN chosen_visits AS c ON c.visit = w.visit " if scope.chooses else ""
    return (
        f"SELECT w.* EXCLUDE ({keys}) FROM ({parquet(tables(copied.parts, table))}) AS w {chosen}"  # noqa: S608
        f"ANTI JOIN loose_visits AS l ON l.visit = w.visit WHERE {scope.holds('w.started_at', 'w.ended_at')}"
    )


def _loose(name: str) -> str:
    return f"SELECT * EXCLUDE (session_key) FROM loose_{name}"  # noqa: S608


def _within(events: str, scope: Scope) -> str:
    if not scope.is_bounded:
        return events
    return f"SELECT * FROM ({events}) AS every_event WHERE {scope.holds('event_time')}"  # noqa: S608


def _view(connection: duckdb.DuckDBPyConnection, name: str, sql: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {sql}")
