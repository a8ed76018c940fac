"""What a question is asked of: a span of time, and all visits or only those in which something was said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zoneinfo import ZoneInfo

from clickstream.analytics.dimensions import counted_as, is_counted_as, said, wrong_with_name
from clickstream.analytics.sources import literal, timestamp
from clickstream.bounds import UTC
from clickstream.errors import RequestRefused

VISIT: Final = "visit."  # what stands before a name in a request's parameter
WITHOUT: Final = "without."
_HOST: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Scope:
    """Events from `since_ms` up to, not including, `until_ms` (None: from the first, to the last), of chosen visits.

    A visit is chosen when its events of that time say all that `visit` names of dimensions.py, each by any of them, and
    none of them anything of `without`. An event that belongs to no visit is chosen by what it says itself. Days are
    those of `zone`.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    visit: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo = UTC

    @property
    def chooses(self) -> bool:
        """False when it holds all visits."""
        return bool(self.visit or self.without)

    @property
    def is_bounded(self) -> bool:
        """False when it holds all times."""
        return self.since_ms is not None or self.until_ms is not None

    def holds(self, first: str, last: str | None = None) -> str:
        """SQL that is true when the times between the columns `first` and `last` lie inside."""
        limits = [] if self.since_ms is None else [f"{first} >= {timestamp(self.since_ms)}"]
        if self.until_ms is not None:
            limits.append(f"{last or first} < {timestamp(self.until_ms)}")
        return " AND ".join(limits) or "true"

    def touches(self, first: str, last: str) -> str:
        """SQL that is true when some time between the columns `first` and `last` may lie inside."""
        return self.holds(last, first)

    def chosen_events(self, events: str, keys: str = "") -> str:
        """SQL of the rows of `events`, with session_key and person, that are in chosen visits.

        `keys` is a table of what `chosen_keys` selects, where there is one.
        """
        if not self.chooses:
            return f"SELECT * FROM {events}"  # noqa: S608 (here and below: names of our own, and quoted literals)
        # An event of no session has no person; that is said because sessions are put together by person: so none are.
        unsaid = [f"{_number(condition)} = 0" for condition in _conditions(self.without)]
        alone = " AND ".join(["person IS NULL", "session_key IS NULL", *_conditions(self.visit), *unsaid])
        return (
            f"SELECT e.* FROM {events} AS e JOIN {keys or f'({self.chosen_keys(events)})'} AS chosen "  # noqa: S608
            f"ON chosen.session_key = e.session_key UNION ALL "
            f"SELECT * FROM {events} WHERE {alone}"
        )

    def chosen_keys(self, events: str) -> str:
        """SQL of the session_key of each visit in `events` that is chosen."""
        conditions = [*_conditions(self.visit), *_conditions(self.without)]
        said = [f"max({_number(condition)}) AS said_{number}" for number, condition in enumerate(conditions)]
        # Who must say something is among those who say any of it; who only must not is among all.
        of_interest = f" AND ({' OR '.join(conditions)})" if self.visit else ""
        told = (
            f"SELECT session_key, {', '.join(said)} FROM {events} "  # noqa: S608
            f"WHERE session_key IS NOT NULL{of_interest} GROUP BY session_key"
        )
        wanted = [f"said_{number} = {int(number < len(self.visit))}" for number in range(len(said))]
        return f"SELECT session_key FROM ({told}) AS told WHERE {' AND '.join(wanted)}"  # noqa: S608


def _conditions(texts: Mapping[str, str]) -> list[str]:
    return [_condition(name, value) for name, value in texts.items()]


def _number(condition: str) -> str:
    """SQL of 1 where `condition` holds, and 0 where it does not or is unknown."""
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def _condition(name: str, value: str) -> str:
    """SQL that is true when an event says `value`, or counts as it: a referrer as its host, however that is written."""
    found = [f"{said(name)} = {literal(value)}"]
    if counted_as(name) != said(name):
        hosts = {value, value.lower().removeprefix("www.")} if _HOST.fullmatch(value) else {value}
        found += [is_counted_as(name, host) for host in sorted(hosts)]
    return f"({' OR '.join(found)})"


EVERYTHING: Final = Scope()


def texts_of(prefix: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """What a request says of visits behind `prefix`, VISIT or WITHOUT; raises RequestRefused for what none can say."""
    texts: dict[str, str] = {}
    for parameter, value in parameters.items():
        if parameter.startswith(prefix):
            name = parameter.removeprefix(prefix)
            if reason := wrong_with(name, value):
                raise RequestRefused("invalid_parameter", reason, field=parameter[:40])
            texts[name] = value
    return texts


def choosing_parameters(parameters: Iterable[str]) -> tuple[str, ...]:
    """Those of `parameters` that choose visits, and what people are told of all that could."""
    return (*(name for name in parameters if name.startswith((VISIT, WITHOUT))), f"{VISIT}NAME", f"{WITHOUT}NAME")


def wrong_with(name: str, value: str) -> str:
    """Why no visit can be asked for by `name` and `value`; empty when it can."""
    if reason := wrong_with_name(name):
        return reason
    if not value:
        return f"{name} needs a text that is not empty"
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes of a command line that are no UTF-8
        return f"{name} needs a text in UTF-8"
    return ""
