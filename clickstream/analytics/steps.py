"""A funnel of one's own steps, in place of those of a shop, or of the sessions with each value of something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clickstream.analytics.dimensions import counted_as
from clickstream.analytics.sources import literal
from clickstream.errors import RequestRefused
from clickstream.stats.sessions import FUNNEL

SHOP: Final = FUNNEL  # the steps of a shop, as /stats counts them
_FEWEST: Final = 2
_MOST: Final = 10
_MOST_VALUES: Final = 20
_NONE: Final = literal("-")


def steps_of(text: str) -> tuple[str, ...]:
    """The steps that `text` lists, with commas between them; raises RequestRefused where they make no funnel."""
    steps = tuple(step.strip() for step in text.split(","))
    if reason := wrong_with(steps):
        raise RequestRefused("invalid_parameter", reason, field="steps")
    return steps


def wrong_with(steps: Sequence[str]) -> str:
    """Why `steps` make no funnel; empty when they do."""
    if not _FEWEST <= len(steps) <= _MOST:
        return f"a funnel has {_FEWEST} to {_MOST} steps with commas between them, such as /pricing,signup,purchase"
    if not all(steps):
        return "a step is the type of an event, or a page such as /pricing: one of these is empty"
    if any("\ud800" <= character <= "\udfff" for character in "".join(steps)):  # as in scope.py
        return "the steps need to be a text in UTF-8"
    if twice := [step for step in steps if steps.count(step) > 1]:
        return f'the step "{twice[0][:40]}" stands twice: one event would take both'
    return ""


def funnel_sql(steps: Sequence[str]) -> str:
    """SQL of the question `funnel`, sql/funnel.sql, with other steps: types of events, or pages, which begin with "/".

    Per session the earliest time of each step at or after that of the step before, as in sql/session_funnel.sql.
    """
    reached = [_reached(number, step) for number, step in enumerate(steps)]
    counted = [_counted(number, step) for number, step in enumerate(steps)]
    return (
        f"WITH {', '.join(reached)}, steps AS ({' UNION ALL '.join(counted)}) "  # noqa: S608 (our own names, quoted literals)
        "SELECT step, sessions, sessions * 1.0 / nullif(lag(sessions) OVER (ORDER BY position), 0) AS conversion "
        "FROM steps ORDER BY position"
    )


def funnel_by_sql(steps: Sequence[str], by: str) -> str:
    """SQL of `funnel_sql` for the sessions with each value that events say under `by`: the 20 with the most sessions.

    A session counts at each value that one of its events says, whenever it says it. Those that say none come last, with
    null as their value.
    """
    reached = [_reached(number, step) for number, step in enumerate(steps)]
    counted = [_counted_by(number, step) for number, step in enumerate(steps)]
    return (
        f"WITH {', '.join(reached)}, "  # noqa: S608 (as above)
        f"told AS (SELECT DISTINCT session_key, {counted_as(by)} AS said_value FROM chosen_session_events "
        "WHERE session_key IS NOT NULL), "
        "silent AS (SELECT session_key, count(said_value) AS told_values FROM told GROUP BY session_key), "
        # A value stands behind a sign, for null is equal to nothing.
        "marked AS (SELECT session_key, '=' || said_value AS mark FROM told WHERE said_value IS NOT NULL UNION ALL "
        f"SELECT session_key, {_NONE} AS mark FROM silent WHERE told_values = 0), "
        "began AS (SELECT m.mark, count(*) AS sessions FROM marked AS m "
        "JOIN reached_0 AS r ON r.session_key = m.session_key GROUP BY m.mark), "
        f"ranked AS (SELECT mark, row_number() OVER (ORDER BY CASE WHEN mark = {_NONE} THEN 1 ELSE 0 END, "
        "sessions DESC, mark) AS place FROM began), "
        f"frequent AS (SELECT mark, place FROM ranked WHERE place <= {_MOST_VALUES} OR mark = {_NONE}), "
        f"steps AS ({' UNION ALL '.join(counted)}) "
        f"SELECT {literal(by)} AS dimension, CASE WHEN mark <> {_NONE} THEN substr(mark, 2) END AS dimension_value, "
        "step, sessions, "
        "sessions * 1.0 / nullif(lag(sessions) OVER (PARTITION BY place ORDER BY position), 0) AS conversion "
        "FROM steps ORDER BY place, position"
    )


def _reached(number: int, step: str) -> str:
    is_taken = f"e.event_type = {literal(step)}"
    if step.startswith("/"):
        is_taken = f"e.event_type = 'page_view' AND e.page = {literal(step)}"
    before = ""
    if number:
        before = f"JOIN reached_{number - 1} AS b ON b.session_key = e.session_key AND e.event_time >= b.reached_at "
    return (
        f"reached_{number} AS (SELECT e.session_key, min(e.event_time) AS reached_at "  # noqa: S608 (as above)
        f"FROM chosen_session_events AS e {before}WHERE e.session_key IS NOT NULL AND {is_taken} "
        "GROUP BY e.session_key)"
    )


def _counted(number: int, step: str) -> str:
    return f"SELECT {number} AS position, {literal(step)} AS step, count(*) AS sessions FROM reached_{number}"  # noqa: S608


def _counted_by(number: int, step: str) -> str:
    return (
        f"SELECT f.place, f.mark, {number} AS position, {literal(step)} AS step, "  # noqa: S608 (as above)
        "count(r.session_key) AS sessions "
        "FROM frequent AS f JOIN marked AS m ON m.mark = f.mark "
        f"LEFT JOIN reached_{number} AS r ON r.session_key = m.session_key GROUP BY f.place, f.mark"
    )
