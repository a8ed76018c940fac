"""The questions that can be asked, and the views they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickstream.analytics.breakdown import breakdown_sql
from clickstream.analytics.dimensions import name_of, type_of
from clickstream.analytics.steps import SHOP, funnel_by_sql, funnel_sql, steps_of
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
    "session_times",
    "session_pages",
    "session_values",
)

FUNNEL: Final = "funnel"
BREAKDOWN: Final = "breakdown"
# Which questions have what beside a scope, as parameters call it.
OPTIONS: Final = {"steps": (FUNNEL,), "by": (FUNNEL, BREAKDOWN), "of": (BREAKDOWN,)}
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
    BREAKDOWN: "events, sessions and orders by device, browser, country, campaign, or a property of yours",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One of QUESTIONS; a FUNNEL may have `steps` of its own, and go `by` one thing, a BREAKDOWN by that alone.

    A BREAKDOWN may be that `of` the events of one type.

    Raises RequestRefused for a name that is not in QUESTIONS, and for what that question does not have.
    """

    name: str
    steps: tuple[str, ...] = ()
    by: str = ""
    of: str = ""

    def __post_init__(self) -> None:
        if self.name not in QUESTIONS:
            there_are = f'no question "{self.name[:40]}"; there are {", ".join(QUESTIONS)}'
            raise RequestRefused("not_found", there_are, field="name")
        for option, those in OPTIONS.items():
            if getattr(self, option) and self.name not in those:
                only = f'only {" and ".join(those)} can have "{option}", {self.name} can not'
                raise RequestRefused("invalid_parameter", only, field=option)

    @property
    def sql(self) -> str:
        """Its SQL over VIEWS."""
        if self.name == BREAKDOWN and (self.by or self.of):
            return breakdown_sql(self.by, self.of)
        if self.by:
            return funnel_by_sql(self.steps or SHOP, self.by)
        return funnel_sql(self.steps) if self.steps else _read(self.name)


def question_of(name: str, parameters: Mapping[str, str]) -> Question:
    """The question that a request asks by `name` and those of OPTIONS among its parameters; raises RequestRefused."""
    steps = steps_of(parameters["steps"]) if "steps" in parameters else ()
    by = name_of(parameters["by"]) if "by" in parameters else ""
    return Question(name, steps, by, type_of(parameters["of"]) if "of" in parameters else "")


def options_of(name: str) -> tuple[str, ...]:
    """Which of OPTIONS the question `name` has."""
    return tuple(option for option, those in OPTIONS.items() if name in those)


def view_sql(name: str) -> str:
    """The SQL of one of VIEWS."""
    return _read(name)


def _read(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")
