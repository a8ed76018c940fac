"""Waiting for events: what a test of one's tracking expects, and what came instead."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import msgspec

from clickstream.errors import RequestRefused, Unavailable
from clickstream.events import AnyEvent, Rejection
from clickstream.query import Query, is_same, written

# Events and rejections that an expectation can look back on; enough for any test, little memory (about 10 MB).
REMEMBERED: Final = 10_000
MAX_WAIT_S: Final = 60.0
# Each of them is asked about every event that is kept, on the loop thread, also when its client has long gone.
MOST_WAITING: Final = 200

_SHOWN_MISSES: Final = 5
_SHOWN_REJECTIONS: Final = 10
_SHOWN_RAW_BYTES: Final = 2_000
_SCOPES_REMEMBERED: Final = 10_000
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|)")
_SCOPE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode

Answer = dict[str, Any]
_Decode = Callable[[bytes], dict[str, Any]]


def seconds(text: str) -> float:
    """A duration such as `5s`, `500ms` or `2`; raises RequestRefused beyond a minute."""
    match = _DURATION.fullmatch(text)
    value = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else -1.0
    if not 0 <= value <= MAX_WAIT_S:
        raise RequestRefused(
            "invalid_parameter",
            f"timeout={text[:40]}: expected 0s to {MAX_WAIT_S:g}s, such as 5s or 500ms",
            field="timeout",
        )
    return value


def checked_scope(text: str | None) -> str | None:
    """A test id, or None when there is none; raises RequestRefused for one that could not be compared safely."""
    if not text:
        return None
    if _SCOPE.fullmatch(text) is None:
        raise RequestRefused(
            "invalid_parameter", "a test id has 1 to 128 of the characters A-Z a-z 0-9 . _ : -", field="test_id"
        )
    return text


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record, as an expectation shows it."""

    scope: str | None
    family: str  # of the SDK that sent it, or native
    code: str
    field: str | None
    message: str
    raw: bytes

    def shown(self) -> Answer:
        """For an answer: the reason, and the beginning of the record."""
        raw = self.raw[:_SHOWN_RAW_BYTES].decode("utf-8", "replace")
        return {"code": self.code, "field": self.field, "message": self.message, "raw": raw}


@dataclass(eq=False, slots=True)
class _Waiting:
    query: Query
    scope: str | None
    least: int
    done: Callable[[Answer], None]
    found: list[bytes] = field(default_factory=list)


class Expectations:
    """Remembers what came lately and answers who waits for it; everything on the loop thread."""

    def __init__(self) -> None:
        self._arrivals = 0
        # By group, and which arrival the first of each was: all traffic passes here, and hardly ever asks anybody.
        self._kept: deque[tuple[int, Sequence[AnyEvent], Sequence[bytes]]] = deque()
        self._refused: deque[tuple[int, Refusal]] = deque(maxlen=REMEMBERED)
        self._began: dict[str | None, int] = {}
        self._waiting: list[_Waiting] = []

    def observe(self, events: Sequence[AnyEvent], records: Sequence[bytes]) -> None:
        """Take in events that have been kept; answers those whose expectation is now met."""
        first = self._arrivals
        self._arrivals += len(events)
        self._kept.append((first, events, records))
        while len(self._kept) > 1 and self._kept[1][0] <= self._arrivals - REMEMBERED:
            self._kept.popleft()
        once = _remembering()
        for waiting in tuple(self._waiting):
            for event, record in zip(events, records, strict=True):
                if _matches(event, record, waiting.query, waiting.scope, once):
                    waiting.found.append(record)
            if len(waiting.found) >= waiting.least:
                self._waiting.remove(waiting)
                waiting.done(_met(waiting.found))

    def note_refused(self, refusals: Sequence[Refusal]) -> None:
        """Take in records that have been refused, to be shown to those who wait in vain."""
        self._refused.extend((self._arrivals, refusal) for refusal in refusals)

    def expect(
        self,
        query: Query,
        *,
        scope: str | None,
        least: int,
        done: Callable[[Answer], None],
    ) -> Callable[[], None]:
        """Call `done` once `least` matching events have come since the scope began, those already here included.

        Returns what to call when the time is over: `done` is then told what came instead.
        Raises Unavailable when too many wait already.
        """
        waiting = _Waiting(query, scope, least, done)
        waiting.found.extend(record for event, record in self._in_scope(scope) if _matches(event, record, query, scope))
        if len(waiting.found) >= least:
            done(_met(waiting.found))
            return lambda: None
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(f"{MOST_WAITING} requests wait for events already; ask again shortly", retry_after_s=5)
        self._waiting.append(waiting)

        def time_is_over() -> None:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                done(self._unmet(waiting))

        return time_is_over

    def reset(self, scope: str | None) -> None:
        """Forget, for `scope`, everything that has come so far."""
        if len(self._began) >= _SCOPES_REMEMBERED:
            del self._began[next(iter(self._began))]
        self._began[scope] = self._arrivals

    def forget(self) -> None:
        """Drop everything that is remembered, because some of it has been erased."""
        self._kept.clear()
        self._refused.clear()

    def kept(self, scope: str | None) -> Iterator[bytes]:
        """The records that came since the scope began, oldest first."""
        return (record for _, record in self._in_scope(scope))

    def refused(self, scope: str | None) -> list[Refusal]:
        """What was refused since the scope began, oldest first."""
        began = self._began.get(scope, 0)
        return [one for at, one in self._refused if at >= began and scope in (None, one.scope)]

    def _in_scope(self, scope: str | None) -> Iterator[tuple[AnyEvent, bytes]]:
        began = max(self._began.get(scope, 0), self._arrivals - REMEMBERED)
        mark = b"" if scope is None else f'"test_id":"{scope}"'.encode()
        for first, events, records in self._kept:
            for at, event, record in zip(count(first), events, records):
                if at >= began and mark in record:
                    yield event, record

    def _unmet(self, waiting: _Waiting) -> Answer:
        records = [record for event, record in self._in_scope(waiting.scope) if record not in waiting.found]
        near = [(_differences(_decode(record), waiting.query), record) for record in reversed(records[-1000:])]
        refused = self.refused(waiting.scope)[-_SHOWN_REJECTIONS:]
        return {
            "status": "unmet",
            "matched": len(waiting.found),
            "events": [msgspec.Raw(record) for record in waiting.found],
            "near_misses": [
                {"differs": differences, "event": msgspec.Raw(record)}
                for differences, record in sorted(near, key=lambda one: len(one[0]))[:_SHOWN_MISSES]
            ],
            "rejected": [refusal.shown() for refusal in refused],
            "seen": dict(Counter(event.event_type for event, _ in self._in_scope(waiting.scope)).most_common()),
        }


def refusals_of(rejections: Sequence[Rejection], scope: str | None, family: str) -> list[Refusal]:
    """The verdicts of one request for Expectations.note_refused."""
    return [Refusal(scope, family, one.code, one.field, one.message, one.record) for one in rejections]


def _met(found: Sequence[bytes]) -> Answer:
    return {"status": "met", "matched": len(found), "events": [msgspec.Raw(record) for record in found]}


def _remembering() -> _Decode:
    """Decodes each record once, however many ask for it."""
    known: dict[bytes, dict[str, Any]] = {}

    def once(record: bytes) -> dict[str, Any]:
        event = known.get(record)
        if event is None:
            event = known[record] = _decode(record)
        return event

    return once


def _matches(event: AnyEvent, record: bytes, query: Query, scope: str | None, decode: _Decode = _decode) -> bool:
    for name, value in query.fields.items():
        if getattr(event, name) != value:
            return False
    return (scope is None or f'"test_id":"{scope}"'.encode() in record) and query.matches_event(decode(record))


def _differences(event: dict[str, Any], query: Query) -> list[Answer]:
    """Each condition that `event` does not meet."""
    properties = event.get("properties") or {}
    fields = [
        {"field": name, "expected": value, "found": event.get(name), "message": _told(name, event, name, value)}
        for name, value in query.fields.items()
        if event.get(name) != value
    ]
    return fields + [
        {
            "field": f"property.{name}",
            "expected": written(value),
            "found": written(properties[name]) if name in properties else None,
            "message": _told(f"property.{name}", properties, name, value),
        }
        for name, value in query.properties.items()
        if not is_same(properties.get(name), value)
    ]


def _told(shown_name: str, values: Mapping[str, Any], name: str, expected: object) -> str:
    """How a value differs from the `expected` one; one of another type is the fault that is hardest to see."""
    if name not in values:
        return f"{shown_name} is missing, you asked for {written(expected)}"
    found = values[name]
    kinds = _kind(found), _kind(expected)
    if kinds[0] == kinds[1]:
        return f"{shown_name} is {written(found)}, not {written(expected)}"
    return f"{shown_name} is {_named(found)}, you asked for {_named(expected)}"


def _kind(value: object) -> str:
    return "number" if type(value) in (int, float) else _KINDS.get(type(value), "")


def _named(value: object) -> str:
    kind = _kind(value)
    return f"the {kind} {msgspec.json.encode(value).decode()}" if kind else written(value)


_KINDS: Final[dict[type, str]] = {str: "text", list: "list", dict: "object"}
