"""What came lately, kept and refused, in one order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import msgspec

from clickstream.events import Rejection

# Enough for any test of one's tracking. Bytes are bounded as well, because one event may have as many as 10,000 others.
REMEMBERED: Final = 10_000
MOST_EVENT_BYTES: Final = 16 * 1024 * 1024
MOST_REFUSED_BYTES: Final = 8 * 1024 * 1024
SHOWN_RAW_BYTES: Final = 2_000

_SCOPES_REMEMBERED: Final = 10_000


class Envelope(msgspec.Struct, gc=False):
    """What tells nearly all events apart that nobody asked for; whatever is not named here is not decoded."""

    event_type: Any
    event_id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    session_id: Any = None
    test_id: Any = None


_envelope: Final = msgspec.json.Decoder(Envelope).decode


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused record, as an expectation shows it."""

    scope: str | None
    family: str  # of the SDK that sent it, or native
    code: str
    field: str | None
    message: str
    raw: bytes

    def shown(self) -> dict[str, Any]:
        """For an answer: the reason, and the beginning of the record."""
        raw = self.raw[:SHOWN_RAW_BYTES].decode("utf-8", "replace")
        return {"code": self.code, "field": self.field, "message": self.message, "raw": raw}


def refusals_of(rejections: Sequence[Rejection], scope: str | None, family: str) -> list[Refusal]:
    """The verdicts of one request for Arrivals.add_refused."""
    return [Refusal(scope, family, one.code, one.field, one.message, one.record) for one in rejections]


class Group:
    """Events that were kept together; decoded once, and only when somebody asks."""

    def __init__(self, first: int, records: Sequence[bytes]) -> None:
        self.first = first
        self.records = records
        self.size = sum(map(len, records))
        self._envelopes: list[Envelope] | None = None

    def __iter__(self) -> Iterator[tuple[int, Envelope, bytes]]:
        """Number, envelope and record of each event."""
        if self._envelopes is None:
            self._envelopes = list(map(_envelope, self.records))
        return zip(count(self.first), self._envelopes, self.records)

    def without(self, least_bytes: int) -> Group:
        """The group without as many of its oldest events as have `least_bytes`."""
        number = freed = 0
        while freed < least_bytes:
            freed += len(self.records[number])
            number += 1
        return Group(self.first + number, self.records[number:])


class Arrivals:
    """The last 10,000 events and as many refusals, fewer where they are large; each has a number."""

    def __init__(self) -> None:
        self._next = 0
        # By group, because all traffic passes here, and hardly ever asks anybody.
        self._groups: deque[Group] = deque()
        self._events = 0
        self._event_bytes = 0
        self._refused: deque[tuple[int, Refusal]] = deque()
        self._refused_bytes = 0
        # The number at which each scope began; that of everything is no entry, so that no other one displaces it.
        self._all_began = 0
        self._began: dict[str, int] = {}

    def add(self, records: Sequence[bytes]) -> Group:
        """Take in events that have been kept; returns all of them, also those that are not remembered any more."""
        group = Group(self._next, records)
        self._next += len(records)
        self._groups.append(group)
        self._events += len(records)
        self._event_bytes += group.size
        while self._events - len(self._groups[0].records) >= REMEMBERED:
            self._drop_group()
        while self._event_bytes > MOST_EVENT_BYTES:
            oldest = self._groups[0]
            if self._event_bytes - oldest.size >= MOST_EVENT_BYTES:
                self._drop_group()
            else:
                kept = self._groups[0] = oldest.without(self._event_bytes - MOST_EVENT_BYTES)
                self._event_bytes -= oldest.size - kept.size
                self._events -= len(oldest.records) - len(kept.records)
        return group

    def _drop_group(self) -> None:
        dropped = self._groups.popleft()
        self._events -= len(dropped.records)
        self._event_bytes -= dropped.size

    def add_refused(self, refusals: Sequence[Refusal]) -> None:
        """Take in records that have been refused: of each its beginning, at once, as a body can have megabytes."""
        for refusal in refusals:
            short = replace(refusal, raw=refusal.raw[:SHOWN_RAW_BYTES])
            self._refused.append((self._next, short))
            self._next += 1
            self._refused_bytes += _size(short)
        while len(self._refused) > REMEMBERED or self._refused_bytes > MOST_REFUSED_BYTES:
            self._refused_bytes -= _size(self._refused.popleft()[1])

    def begin(self, scope: str | None) -> None:
        """From now on `scope` is without everything that has come so far."""
        if scope is None:
            self._all_began = self._next
            return
        self._began.pop(scope, None)  # the one that began last is also the last to be forgotten
        if len(self._began) >= _SCOPES_REMEMBERED:
            del self._began[next(iter(self._began))]
        self._began[scope] = self._next

    def forget(self) -> None:
        """Drop everything that is remembered."""
        self._groups.clear()
        self._refused.clear()
        self._events = self._event_bytes = self._refused_bytes = 0

    def kept(self, scope: str | None) -> Iterator[tuple[int, Envelope, bytes]]:
        """Number, envelope and record of the events that came since the scope began, oldest first."""
        began = self._beginning(scope)
        for group in self._groups:
            if group.first + len(group.records) > began:
                for number, envelope, record in group:
                    if number >= began and scope in (None, envelope.test_id):
                        yield number, envelope, record

    def records(self, numbers: Sequence[int]) -> list[bytes]:
        """The events of these ascending `numbers`, as far as they are still remembered."""
        found: list[bytes] = []
        left = list(numbers)
        for group in reversed(self._groups):
            while left and left[-1] >= group.first:
                found.append(group.records[left.pop() - group.first])
            if not left:
                break
        return found[::-1]

    def refused(self, scope: str | None) -> list[Refusal]:
        """What was refused since the scope began, oldest first."""
        began = self._beginning(scope)
        return [one for number, one in self._refused if number >= began and scope in (None, one.scope)]

    def _beginning(self, scope: str | None) -> int:
        return self._all_began if scope is None else self._began.get(scope, 0)


def _size(refusal: Refusal) -> int:
    return len(refusal.raw) + len(refusal.message)
