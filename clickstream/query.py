"""Which events a reader asks for: one filter for /events, /export and whatever else selects events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from clickstream.bounds import UTC, parse_since, parse_until, zone_of
from clickstream.errors import RequestRefused
from clickstream.stored import TimeReader

PROPERTY: Final = "property."  # what stands before the name of a property, wherever one is asked for
_NAMES: Final = ("event_id", "event_type", "user_id", "anonymous_id", "session_id")
FILTERS: Final = (*_NAMES, "product", "is_bot", "since", "until", f"{PROPERTY}NAME")  # as they are told to people
BOUNDS: Final = {"since": parse_since, "until": parse_until}
_times: Final = TimeReader(0)
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_any: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that all hold; `since_ms` is included, `until_ms` is not (event time)."""

    fields: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, object] = field(default_factory=dict)  # JSON values
    since_ms: int | None = None
    until_ms: int | None = None
    product: str | None = None  # by the name that the top lists count it under
    is_bot: bool | None = None  # whether its sender said that it is a robot

    @property
    def is_everything(self) -> bool:
        """True when no event is left out."""
        return self == Query()

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
        for name, text in self.fields.items():  # loops: this is asked of each event for each that waits in /expect
            if event.get(name) != text:
                return False
        for name, value in self.properties.items():
            if not is_same((event.get("properties") or {}).get(name), value):
                return False
        if self.product is not None and product_of(event.get("properties") or {}) != self.product:
            return False
        if self.is_bot is not None and is_bot(event) is not self.is_bot:
            return False
        if self.since_ms is None and self.until_ms is None:
            return True
        return not self.bounds_missed(event)

    def bounds_missed(self, event: Mapping[str, Any]) -> list[tuple[str, int]]:
        """Those of `since` and `until`, in milliseconds since 1970, that the decoded `event` is outside of."""
        ms = _happened_ms(event)
        missed = []
        if self.since_ms is not None and (ms is None or ms < self.since_ms):
            missed.append(("since", self.since_ms))
        if self.until_ms is not None and (ms is None or ms >= self.until_ms):
            missed.append(("until", self.until_ms))
        return missed


def from_parameters(parameters: Mapping[str, str], *, also: frozenset[str]) -> Query:
    """The query in a request's parameters; raises RequestRefused for a name that is neither a filter nor in `also`."""
    fields: dict[str, str] = {}
    properties: dict[str, object] = {}
    times: dict[str, int] = {}
    product: str | None = None
    bot: bool | None = None
    for name, value in parameters.items():
        if name in _NAMES:
            fields[name] = value
        elif name == "product":
            product = value
        elif name == "is_bot":
            if value not in ("true", "false"):
                raise RequestRefused("invalid_parameter", f"is_bot={value[:40]} is neither true nor false", field=name)
            bot = value == "true"
        elif name.startswith(PROPERTY) and len(name) > len(PROPERTY):
            properties[name[len(PROPERTY) :]] = meant(value)
        elif name in BOUNDS:
            times[name] = time_parameter(name, value)
        elif name not in also:
            known = ", ".join([*sorted(also), *FILTERS])
            raise RequestRefused("invalid_parameter", f"{name} is not a parameter here; known: {known}", field=name)
    return Query(fields, properties, times.get("since"), times.get("until"), product, bot)


def _happened_ms(event: Mapping[str, Any]) -> int | None:
    """When the event happened, as the statistics read it; None where it has no usable time."""
    for name in ("timestamp", "received_at"):
        stamp = event.get(name)
        if isinstance(stamp, str) and (ms := _times.usable_ms(stamp)) is not None:
            return ms
    return None


def is_bot(event: Mapping[str, Any]) -> bool:
    """Whether the sender of an event said that it is a robot."""
    said = event.get("is_bot")
    return said is True or said == "true"  # a text counts too, as in the questions in SQL


def product_of(properties: Mapping[str, Any]) -> object:
    """What the top lists call the product: its name, else its id."""
    name = properties.get("product_name")
    return name if type(name) is str and name else properties.get("product_id")


def meant(text: str) -> object:
    """The value that `text` means in a filter: the JSON that it is (`25.5`, `"25.5"`), else the text itself."""
    try:
        return _decode_any(text.encode())
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return text


def written(value: object) -> str:
    """How a filter asks for `value`: JSON, but for text that is not JSON itself, which is written without quotes."""
    if isinstance(value, str) and meant(value) == value:
        return value
    return msgspec.json.encode(value).decode()


def is_same(found: object, wanted: object) -> bool:
    """Whether both are the same JSON value: 5 is 5.0, and neither is the text "5" or true."""
    return found == wanted and _has_same_truths(found, wanted)  # nearly none is equal, and containers can be long


def _has_same_truths(found: object, wanted: object) -> bool:
    """Whether two values that are equal to Python, to which true is 1, have true and false in the same places."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(_has_same_truths(value, wanted[name]) for name, value in found.items())
    if isinstance(found, list) and isinstance(wanted, list):
        return all(map(_has_same_truths, found, wanted))
    return isinstance(found, bool) == isinstance(wanted, bool)


def zone_parameter(value: str) -> ZoneInfo:
    """The time zone that a request names; raises RequestRefused."""
    try:
        return zone_of(value)
    except ValueError as problem:
        raise RequestRefused("invalid_parameter", f"zone={value[:40]} {problem}", field="zone") from None


def time_parameter(name: str, value: str, zone: ZoneInfo = UTC) -> int:
    """One of BOUNDS of a request in milliseconds since 1970, its days those of `zone`; raises RequestRefused."""
    try:
        # A "+" in a URL's query arrives as a space.
        return BOUNDS[name](value.replace(" ", "+") if value[-6:-5] == " " else value, zone)
    except ValueError as problem:
        raise RequestRefused("invalid_parameter", f"{name}={value} {problem}", field=name) from None
