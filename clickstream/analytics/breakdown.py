"""A breakdown by one thing that events say, in place of those that every breakdown goes by."""

from __future__ import annotations

from typing import Final

from clickstream.analytics.dimensions import said
from clickstream.analytics.sources import literal

_MOST_VALUES: Final = 100


def breakdown_sql(by: str, of: str = "") -> str:
    """SQL of the question `breakdown` by what events, only those of the type `of`, say under `by`: its 100 top values.

    As in sql/breakdown.sql, a session has the orders of all of its events at each value that one of them says, and an
    event without a session its own.
    """
    counted = f" WHERE event_type = {literal(of)}" if of else ""
    return (
        f"WITH told AS (SELECT session_key, event_type, {said(by)} AS said_value FROM chosen_session_events{counted}), "  # noqa: S608 (our own names, quoted literals)
        "together AS (SELECT session_key, said_value, count(*) AS events, "
        "count(*) FILTER (WHERE event_type = 'purchase') AS own_orders "
        "FROM told WHERE said_value IS NOT NULL GROUP BY session_key, said_value), "
        "bought AS (SELECT session_key, count(*) AS orders FROM chosen_session_events "
        "WHERE session_key IS NOT NULL AND event_type = 'purchase' GROUP BY session_key) "
        f"SELECT {literal(by)} AS dimension, t.said_value AS dimension_value, "
        "CAST(sum(t.events) AS BIGINT) AS events, count(t.session_key) AS sessions, "
        "CAST(sum(CASE WHEN t.session_key IS NULL THEN t.own_orders ELSE coalesce(b.orders, 0) END) AS BIGINT) "
        "AS orders "
        "FROM together AS t LEFT JOIN bought AS b ON b.session_key = t.session_key "
        f"GROUP BY t.said_value ORDER BY events DESC, dimension_value LIMIT {_MOST_VALUES}"
    )
