"""The questions that can be asked, and the views they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from clickstream.analytics.steps import funnel_sql
from clickstream.errors import RequestRefused

_SQL: Final = Path(__file__).parent / "sql"

# Each view reads only those before it. The chosen ones are made by views.py, for the visits that a question is about.
VIEWS: Final = (
    "events",
    "session_events",
    "chosen_session_events",
    "chosen_events",
    "session_spans",
    "session_funnel",
    "session_days",
    "session_pages",
    "session_values",
)

FUNNEL: Final = "funnel"
QUESTIONS: Final = {
    FUNNEL: "sessions that reached each step in order",
    "traffic": "events, page views and people by day",
    "sessions": "sessions, bounces and durations by day",
    "retention": "people who came back N days after their first",
    "paths": "from which page sessions go on to which",
    "top_pages": "pages by views, entries and exits",
    "top_products": "products by views and units bought",
    "revenue": "orders and revenue by day and currency",
    "conversion_by_hour": "sessions and buyers by hour",
    "breakdown": "events, sessions and orders by device, browser, country, campaign",
}


def question_sql(name: str, steps: Sequence[str] = ()) -> str:
    """The SQL of one question, of FUNNEL with `steps` where some are given.

    Raises KeyError for a name that is not in QUESTIONS, RequestRefused for steps of another question.
    """
    if name not in QUESTIONS:
        raise KeyError(name)
    if not steps:
        return _read(name)
    if name != FUNNEL:
        raise RequestRefused("invalid_parameter", f"steps are those of {FUNNEL}: {name} has none", field="steps")
    return funnel_sql(steps)


def view_sql(name: str) -> str:
    """The SQL of one of VIEWS."""
    return _read(name)


def _read(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
