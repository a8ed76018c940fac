"""What Athena would answer: its statement, read back as Trino's dialect, runs in DuckDB."""

from __future__ import annotations

from functools import lru_cache

import duckdb
import sqlglot

from clickstream.analytics import athena, engine
from clickstream.analytics.catalog import Question
from clickstream.analytics.engine import Table
from clickstream.analytics.scope import EVERYTHING, Scope


def by_athena(question: Question, source: str, scope: Scope = EVERYTHING, *, times: int = 2) -> Table:
    """The answer over a lake to which each event of `source` was delivered so many times, its properties as text.

    What `source` reads stays as it is from one question to the next: the lake is made once.
    """
    statement = athena.statement(question, scope, database="lake")
    result = _lake(source, times).execute(sqlglot.transpile(statement, read="trino", write="duckdb")[0])
    columns = [column[0] for column in result.description or []]
    return Table(question.name, columns, [list(map(engine.json_value, row)) for row in result.fetchall()])


@lru_cache(maxsize=1)
def _lake(source: str, times: int) -> duckdb.DuckDBPyConnection:
    """A DuckDB with that lake, kept for the next statement, which only reads."""
    texts = "* EXCLUDE (is_bot) REPLACE (CAST(properties AS VARCHAR) AS properties)"
    extra = "CAST(json_object('is_bot', is_bot) AS VARCHAR) AS extra"
    lake = f"SELECT {texts}, {extra}, '2026-01-15' AS dt FROM ({source})"
    connection = engine.connect()
    connection.execute("CREATE SCHEMA lake")
    connection.execute(f"CREATE TABLE lake.events AS {' UNION ALL '.join([lake] * times)}")
    return connection
