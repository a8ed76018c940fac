"""SQL of one's own over the views that questions read: it only reads, and its answer is JSON whatever its types are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from clickstream.analytics.engine import SourceUnreadable, Table, connect, private, readable
from clickstream.analytics.local_time import local_time
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.analytics.views import leave_chosen, over_source
from clickstream.errors import RequestRefused

if TYPE_CHECKING:
    import duckdb

OWN: Final = "query"  # what its answer is called, in the place of a question's name
_READING: Final = "SELECT"  # what DuckDB calls WITH, FROM, VALUES, DESCRIBE, SHOW and SUMMARIZE as well
_TIMES: Final = ("TIMESTAMP", "DATETIME")
_TIME: Final = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00)?")
_LONGEST_NUMBER: Final = 1000  # of its digits; Python reads no more than 4,300


def answer(sql: str, source: str, scope: Scope = EVERYTHING) -> Table:
    """The rows of `sql` over the views of those events of `source` (SQL from sources.py) that are in `scope`.

    Every view holds the chosen visits alone. Raises RequestRefused for what is no single reading statement, and with
    what DuckDB says for what it cannot answer.
    """
    with private(None) as spill, connect(spill=spill) as connection:
        statement = _reading(connection, sql)
        with readable():
            over_source(connection, _typed(source), scope)
            if scope.chooses:
                leave_chosen(connection, scope)
            connection.execute(f"CREATE TEMP MACRO local_time(moment) AS {local_time('moment', scope)}")
        with _asked():
            return _rows(connection, statement)


def _typed(source: str) -> str:
    """Properties are JSON where they are read from JSON, and a text in Parquet; here they are one."""
    return f"SELECT * REPLACE (CAST(properties AS JSON) AS properties) FROM ({source}) AS stored"  # noqa: S608 (SQL of sources.py)


def _reading(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The one statement of `sql`; raises RequestRefused for none, for several, and for what does not only read."""
    with _asked():
        statements = connection.extract_statements(_in_utf8(sql))
    if len(statements) != 1:
        raise _refused(f"the query has {len(statements)} statements, not one" if statements else "the query is empty")
    kind = statements[0].type.name
    if kind != _READING:
        what = "a PIVOT without IN (…)" if kind == "MULTI" else kind  # such a PIVOT makes a type first
        raise _refused(f"the query is {what}, which does not only read: ask with SELECT, WITH, FROM, DESCRIBE or SHOW")
    return _without_end(statements[0].query)


def _without_end(statement: str) -> str:
    """`statement` without the semicolons that end it, and the comments behind them."""
    import duckdb  # noqa: PLC0415 (as in engine.py)

    written = statement.encode()
    for start, kind in reversed(duckdb.tokenize(statement)):  # where a token begins, in bytes
        if kind == duckdb.token_type.comment:
            continue
        if written[start : start + 1] != b";":
            break
        written = written[:start]
    return written.decode()


def _in_utf8(sql: str) -> str:
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise _refused("the query needs to be a text in UTF-8") from None
    return sql


def _rows(connection: duckdb.DuckDBPyConnection, statement: str) -> Table:
    # Inside the brackets a statement can only read: of one that changes something in its WITH, DuckDB says so.
    # The line break ends a comment.
    described = connection.execute(f"SELECT * FROM ({statement}\n) LIMIT 0").description or []  # noqa: S608 (it is theirs)
    # DuckDB itself writes each value as JSON: what Python makes of months, or of times with a zone, would be less.
    names = [f"column_{number}" for number in range(len(described))]
    values = ", ".join(f"CAST(to_json({name}) AS VARCHAR)" for name in names)
    found = connection.execute(f"SELECT {values} FROM ({statement}\n) AS own({', '.join(names)})").fetchall()  # noqa: S608 (as above)
    are_times = [str(kind).startswith(_TIMES) for _, kind, *_ in described]
    rows = [[_value(cell, is_time) for cell, is_time in zip(row, are_times, strict=True)] for row in found]
    return Table(OWN, [name for name, *_ in described], rows)


def _value(written: str | None, is_time: bool) -> Any:  # noqa: ANN401 (a value of JSON)
    if written is None:
        return None
    value = json.loads(written, parse_constant=str, parse_int=_whole, parse_float=_number)
    # Not of `infinity`, and not of years before Christ. The name of the type of a list of times begins alike.
    if is_time and isinstance(value, str) and (found := _TIME.fullmatch(value)):
        day, clock, fraction = found.groups(default="")
        return f"{day}T{clock}.{fraction:0<3}Z"
    return value


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < _LONGEST_NUMBER else digits


def _number(written: str) -> float | str:
    """`written` as a number, or as it is where that would be another one."""
    number = float(written)
    return number if Decimal(written) == Decimal(repr(number)) else written


@contextmanager
def _asked() -> Iterator[None]:
    """Raises RequestRefused with what DuckDB says about a query; all else as `readable` does."""
    try:
        with readable():
            yield
    except SourceUnreadable as problem:
        said = str(problem.__cause__).partition("\n\nLINE ")[0]  # behind it the query is shown, with brackets of ours
        raise _refused(f"the query fails: {' '.join(said.split())}") from problem


def _refused(reason: str) -> RequestRefused:
    return RequestRefused("invalid_parameter", reason, field=OWN)
