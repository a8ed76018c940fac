"""Waiting for events: what a test of one's tracking expects, and what came instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Final

import msgspec

from clickstream.arrivals import Arrivals, Envelope, Refusal
from clickstream.errors import RequestRefused, Unavailable
from clickstream.events import AnyEvent
from clickstream.query import PROPERTY, Query, is_bot, is_same, product_of, written
from clickstream.timestamps import text

MAX_WAIT_S: Final = 60.0
# Each of them is asked about every event that is kept, on the loop thread, also when its client has long gone.
MOST_WAITING: Final = 200

_SHOWN_MISSES: Final = 5
_SHOWN_REJECTIONS: Final = 10
_COMPARED_LETTERS: Final = 64
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


@dataclass(eq=False, slots=True)
class _Waiting:
    query: Query
    scope: str | None
    least: int
    done: Callable[[Answer], None]
    # Numbers, not the events: what one who waits has found is held only as long as anything else that came.
    found: list[int] = field(default_factory=list)


class Expectations:
    """Remembers what came lately and answers who waits for it; everything on the loop thread."""

    def __init__(self) -> None:
        self._arrivals = Arrivals()
        self._waiting: list[_Waiting] = []

    def observe(self, _: Sequence[AnyEvent], records: Sequence[bytes]) -> None:
        """Take in events that have been kept; answers those whose expectation is now met."""
        group = self._arrivals.add(records)
        once = _remembering()
        for waiting in tuple(self._waiting):
            for number, envelope, record in group:
                if _matches(envelope, record, waiting.query, waiting.scope, once):
                    waiting.found.append(number)
            if len(waiting.found) >= waiting.least:
                self._waiting.remove(waiting)
                waiting.done(self._met(waiting))

    def note_refused(self, refusals: Sequence[Refusal]) -> None:
        """Take in records that have been refused, to be shown to those who wait in vain."""
        self._arrivals.add_refused(refusals)

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
        waiting.found.extend(
            number
            for number, envelope, record in self._arrivals.kept(scope)
            if _matches(envelope, record, query, scope)
        )
        if len(waiting.found) >= least:
            done(self._met(waiting))
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
        """Forget, for `scope`, everything that has come so far; also what those who wait have found."""
        self._arrivals.begin(scope)
        for waiting in self._waiting:
            if waiting.scope == scope:
                waiting.found.clear()

    def forget(self) -> None:
        """Drop everything that is remembered, because some of it has been erased."""
        self._arrivals.forget()
        for waiting in self._waiting:
            waiting.found.clear()

    def kept(self, scope: str | None) -> Iterator[bytes]:
        """The records that came since the scope began, oldest first."""
        return (record for _, _, record in self._arrivals.kept(scope))

    def refused(self, scope: str | None) -> list[Refusal]:
        """What was refused since the scope began, oldest first."""
        return self._arrivals.refused(scope)

    def _met(self, waiting: _Waiting) -> Answer:
        return {"status": "met", **self._found(waiting)}

    def _found(self, waiting: _Waiting) -> Answer:
        events = [msgspec.Raw(record) for record in self._arrivals.records(waiting.found)]
        return {"matched": len(waiting.found), "events": events}

    def _unmet(self, waiting: _Waiting) -> Answer:
        came = list(self._arrivals.kept(waiting.scope))
        found = set(waiting.found)
        records = [record for number, _, record in came if number not in found]
        near = [(_differences(_decode(record), waiting.query), record) for record in reversed(records[-1000:])]
        refused = self.refused(waiting.scope)[-_SHOWN_REJECTIONS:]
        return {
            "status": "unmet",
            **self._found(waiting),
            "near_misses": [
                {"differs": differences, "event": msgspec.Raw(record)} for differences, record in _nearest(near)
            ],
            "rejected": [refusal.shown() for refusal in refused],
            "seen": dict(Counter(envelope.event_type for _, envelope, _ in came).most_common()),
        }


def _remembering() -> _Decode:
    """Decodes each record once, however many ask for it."""
    known: dict[bytes, dict[str, Any]] = {}

    def once(record: bytes) -> dict[str, Any]:
        event = known.get(record)
        if event is None:
            event = known[record] = _decode(record)
        return event

    return once


def _matches(seen: Envelope, record: bytes, query: Query, scope: str | None, decode: _Decode = _decode) -> bool:
    for name, value in query.fields.items():
        if getattr(seen, name) != value:
            return False
    return scope in (None, seen.test_id) and query.matches_event(decode(record))


def _differences(event: dict[str, Any], query: Query) -> list[Answer]:
    """Each condition that `event` does not meet."""
    properties = event.get("properties") or {}
    fields = [
        {"field": name, "expected": value, "found": event.get(name), "message": _told(name, event, name, value)}
        for name, value in query.fields.items()
        if event.get(name) != value
    ]
    if query.product is not None and (found := product_of(properties)) != query.product:
        told = _told("product", {} if found is None else {"product": found}, "product", query.product)
        fields.append({"field": "product", "expected": query.product, "found": found, "message": told})
    if query.is_bot is not None and is_bot(event) is not query.is_bot:
        expected, found = written(query.is_bot), written(is_bot(event))
        told = f"is_bot is {found}, not {expected}"
        fields.append({"field": "is_bot", "expected": expected, "found": found, "message": told})
    return [*fields, *_untimely(event, query)] + [
        {
            "field": f"{PROPERTY}{name}",
            "expected": written(value),
            "found": written(properties[name]) if name in properties else None,
            "message": _told(f"{PROPERTY}{name}", properties, name, value),
        }
        for name, value in query.properties.items()
        if not is_same(properties.get(name), value)
    ]


def _nearest(misses: list[tuple[list[Answer], bytes]]) -> list[tuple[list[Answer], bytes]]:
    """Those with the fewest differences, of equally many those that look most alike: mostly somebody has mistyped."""
    fewest = sorted(misses, key=lambda miss: (len(miss[0]), -sum(map(_alikeness, miss[0]))))
    return fewest[:_SHOWN_MISSES]


def _alikeness(difference: Answer) -> float:
    """How much of the letters that were expected and found are the same: 0 to 1."""
    expected, found = difference["expected"], difference["found"]
    if not (isinstance(expected, str) and isinstance(found, str)):
        return 0.0
    return _share_of_same_letters(expected[:_COMPARED_LETTERS], found[:_COMPARED_LETTERS])


@lru_cache(maxsize=1024)  # most events have one of few types
def _share_of_same_letters(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).quick_ratio()


def _untimely(event: dict[str, Any], query: Query) -> list[Answer]:
    found = event.get("timestamp")
    return [
        {
            "field": name,
            "expected": text(bound_ms),
            "found": found,
            "message": f"timestamp is {found}, {'before' if name == 'since' else 'not before'} {text(bound_ms)}",
        }
        for name, bound_ms in query.bounds_missed(event)
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
