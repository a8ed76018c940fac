"""Which events a reader asks for: one filter for /events, /export and whatever else selects events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from clickstream.errors import RequestRefused
from clickstream.timestamps import UtcClockReader, parse

_PROPERTY: Final = "property."
_NAMES: Final = ("event_type", "user_id", "anonymous_id", "session_id")
_clock: Final = UtcClockReader()
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that all hold; `since_ms` is included, `until_ms` is not (event time)."""

    fields: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_everything(self) -> bool:
        """True when no event is left out."""
        return not self.fields and not self.properties and self.since_ms is None and self.until_ms is None

    def matches(self, record: bytes) -> bool:
        """Whether the event in `record` is asked for."""
        if b"\\" not in record and any(
            value.isalnum() and value.encode() not in record for value in self.fields.values()
        ):
            return False  # most records are out without being decoded
        try:
            return self.matches_event(_decode(record))
        except msgspec.MsgspecError:
            return False

    def matches_event(self, event: Mapping[str, Any]) -> bool:
        """Whether the decoded `event` is asked for."""
        if any(event.get(name) != value for name, value in self.fields.items()):
            return False
        properties = event.get("properties") or {}
        if any(as_text(properties.get(name)) != value for name, value in self.properties.items()):
            return False
        if self.since_ms is None and self.until_ms is None:
            return True
        ms = _clock.canonical_ms(event["timestamp"]) if isinstance(event.get("timestamp"), str) else None
        if ms is None:
            return False
        return (self.since_ms is None or ms >= self.since_ms) and (self.until_ms is None or ms < self.until_ms)


def from_parameters(parameters: Mapping[str, str], *, also: frozenset[str]) -> Query:
    """The query in a request's parameters; raises RequestRefused for a name that is neither a filter nor in `also`."""
    fields: dict[str, str] = {}
    properties: dict[str, str] = {}
    times: dict[str, int] = {}
    for name, value in parameters.items():
        if name in _NAMES:
            fields[name] = value
        elif name.startswith(_PROPERTY) and len(name) > len(_PROPERTY):
            properties[name[len(_PROPERTY) :]] = value
        elif name in ("since", "until"):
            times[name] = time_parameter(name, value)
        elif name not in also:
            known = ", ".join([*sorted(also), *_NAMES, "since", "until", "property.NAME"])
            raise RequestRefused("invalid_parameter", f"{name} is not a parameter here; known: {known}", field=name)
    return Query(fields, properties, times.get("since"), times.get("until"))


def as_text(value: object) -> str:
    """How a property's value is written in a filter: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def time_parameter(name: str, value: str) -> int:
    """The RFC 3339 time of a request's parameter in milliseconds since 1970; raises RequestRefused."""
    try:
        # A "+" in a URL's query arrives as a space.
        return parse(value.replace(" ", "+") if value[-6:-5] == " " else value)
    except ValueError as problem:
        raise RequestRefused("invalid_parameter", f"{name}={value} {problem}", field=name) from None
