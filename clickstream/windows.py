"""Event-time tumbling windows with allowed lateness and deduplication, as pure functions over a state.

The same rules run locally, in the Lambda consumer, in infra/flink/ (as SQL) and in the tests that compare them:

- A window covers [start, start + size) of event time; an event belongs to exactly one.
- The watermark is the highest event time seen minus `out_of_orderness_ms`. It never goes back.
- A window fires once when the watermark reaches its end, again for each later event within
  `allowed_lateness_ms` after that, and then never again. Events later than that are counted as late, not lost:
  they are in the journal and the lake, and the SQL counts them.
- An event_id counts once for as long as its window is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from clickstream.timestamps import MINUTE_MS

_BEGINNING: Final = -(2**62)


@dataclass(frozen=True, slots=True)
class WindowRules:
    """Size and patience; all in milliseconds of event time."""

    size_ms: int = MINUTE_MS
    out_of_orderness_ms: int = 5_000
    allowed_lateness_ms: int = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What a window needs of an event: identity, kind, event time and cents of revenue."""

    event_id: str
    event_type: str
    ms: int
    cents: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """The count of one window; `is_final` when no further event can change it."""

    start_ms: int
    events: int = 0
    by_type: dict[str, int] = field(default_factory=dict)
    cents: int = 0
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class WindowState:
    """Open windows, ids seen in them, and the watermark; a value: `advance` returns the next one."""

    open: dict[int, Window] = field(default_factory=dict)
    seen: dict[int, frozenset[str]] = field(default_factory=dict)
    watermark_ms: int = _BEGINNING
    late: int = 0
    duplicates: int = 0


def window_start(ms: int, size_ms: int = MINUTE_MS) -> int:
    """Start of the window that `ms` belongs to, also before 1970."""
    return ms - ms % size_ms


def advance(state: WindowState, events: Iterable[Occurrence], rules: WindowRules) -> tuple[WindowState, list[Window]]:
    """The state after `events` in order of arrival, and the windows that fired, in the order they did.

    How `events` are cut into batches changes nothing: not the state, not what fires, not its order.
    """
    working = _Working(state, rules)
    for event in events:
        working.take(event)
    return working.state(), working.fired


def finish(state: WindowState) -> list[Window]:
    """The windows still open at the end of a bounded input, oldest first, as final."""
    return [replace(state.open[start], is_final=True) for start in sorted(state.open)]


class _Working:
    """A private copy of the state while one call advances it."""

    def __init__(self, state: WindowState, rules: WindowRules) -> None:
        self._rules = rules
        self._open = dict(state.open)
        self._seen = {start: set(ids) for start, ids in state.seen.items()}
        self._watermark = state.watermark_ms
        self._late, self._duplicates = state.late, state.duplicates
        self.fired: list[Window] = []

    def take(self, event: Occurrence) -> None:
        start = window_start(event.ms, self._rules.size_ms)
        if self._closes_at(start) <= self._watermark:
            self._late += 1
        elif event.event_id in self._seen.setdefault(start, set()):
            self._duplicates += 1
        else:
            self._seen[start].add(event.event_id)
            self._open[start] = _with(self._open.get(start, Window(start)), event)
            if start + self._rules.size_ms <= self._watermark:
                self.fired.append(self._open[start])
        self._move_watermark(event.ms - self._rules.out_of_orderness_ms)

    def state(self) -> WindowState:
        seen = {start: frozenset(ids) for start, ids in self._seen.items()}
        return WindowState(self._open, seen, self._watermark, self._late, self._duplicates)

    def _closes_at(self, start: int) -> int:
        return start + self._rules.size_ms + self._rules.allowed_lateness_ms

    def _move_watermark(self, ms: int) -> None:
        if ms <= self._watermark:
            return
        before, self._watermark = self._watermark, ms
        for start in sorted(self._open):
            if self._closes_at(start) <= ms:
                final = replace(self._open.pop(start), is_final=True)
                self._seen.pop(start, None)
                # Without lateness to wait for, ending and closing are one; else this says only that it is final now.
                self.fired.append(final)
            elif before < start + self._rules.size_ms <= ms:
                self.fired.append(self._open[start])


def _with(window: Window, event: Occurrence) -> Window:
    by_type = {**window.by_type, event.event_type: window.by_type.get(event.event_type, 0) + 1}
    return replace(window, events=window.events + 1, by_type=by_type, cents=window.cents + event.cents)
