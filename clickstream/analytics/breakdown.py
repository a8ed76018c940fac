"""A breakdown by one thing that events say, or of the events of one type: not by all, or of all."""

from __future__ import annotations

from typing import Final

from clickstream.analytics.dimensions import counted_as
from clickstream.analytics.sources import literal

_DIMENSIONS: Final = ("device", "browser", "os", "country", "utm_source", "utm_medium", "utm_campaign")
_MOST_OF_EACH: Final = 20
_MOST_OF_ONE: Final = 100


def breakdown_sql(by: str, of: str) -> str:
    """SQL of the question `breakdown` by what events say under `by`, else by all of sql/session_values.sql.

    It counts events of the type `of`, else all. Of one thing it has the 100 most frequent values, of several 20 each.
    As in sql/breakdown.sql, a session has the orders of all of its events at each value that one of them says, and an
    event without a session its own.
    """
    counted = f" WHERE event_type = {literal(of)}" if of else ""
    told = " UNION ALL ".join(
        f"SELECT {literal(name)} AS dimension, {counted_as(name)} AS said_value, session_key, event_type "  # noqa: S608 (our own names, quoted literals)
        f"FROM chosen_session_events{counted}"
        for name in ([by] if by else _DIMENSIONS)
    )
    return (
        f"WITH told AS ({told}), "  # noqa: S608 (as above)
        "together AS (SELECT dimension, said_value, session_key, count(*) AS events, "
        "count(*) FILTER (WHERE event_type = 'purchase') AS own_orders "
        "FROM told WHERE said_value IS NOT NULL GROUP BY dimension, said_value, session_key), "
        "bought AS (SELECT session_key, count(*) AS orders FROM chosen_session_events "
        "WHERE session_key IS NOT NULL AND event_type = 'purchase' GROUP BY session_key), "
        "counted AS (SELECT t.dimension, t.said_value, "
        "CAST(sum(t.events) AS BIGINT) AS events, count(t.session_key) AS sessions, "
        "CAST(sum(CASE WHEN t.session_key IS NULL THEN t.own_orders ELSE coalesce(b.orders, 0) END) AS BIGINT) "
        "AS orders "
        "FROM together AS t LEFT JOIN bought AS b ON b.session_key = t.session_key "
        "GROUP BY t.dimension, t.said_value), "
        "ranked AS (SELECT *, row_number() OVER (PARTITION BY dimension ORDER BY events DESC, said_value) AS place "
        "FROM counted) "
        "SELECT dimension, said_value AS dimension_value, events, sessions, orders FROM ranked "
        f"WHERE place <= {_MOST_OF_ONE if by else _MOST_OF_EACH} ORDER BY dimension, place"
    )
