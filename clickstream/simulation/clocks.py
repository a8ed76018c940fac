"""When an event happens: live and fast share one timeline, backfill bends it along the hours of the day.

A clock places whole sessions on the time of the run (milliseconds since its start); what happens in them never changes.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import accumulate, pairwise
from threading import Event
from typing import Final, NamedTuple, Protocol

import msgspec

from clickstream.simulation.shopper import Session

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HOUR_MS: Final = 3_600_000
_NEVER_MS: Final = 2**63


class Placed(NamedTuple):
    """A session on the time of the run: the moments (ms) of those of its first events that happen within the run."""

    session: Session
    moments: Sequence[int]


class Happening(msgspec.Struct, frozen=True, gc=False):
    """One event, number `number` of its session, at its moment; `is_last` when its session has no later one."""

    at_ms: int
    session: Session
    number: int
    is_last: bool


class Clock(Protocol):
    """Places sessions on the time of a run."""

    @property
    def epoch_ms(self) -> int:
        """Start of the run in milliseconds since 1970."""

    @property
    def scale(self) -> float:
        """Milliseconds of the run for each simulated one."""

    def place(self, sessions: Iterable[Session]) -> Iterator[Placed]:
        """The sessions of the run, ordered by start; `sessions` may be endless."""


class SteadyClock:
    """Real time, or `speed` times as fast, for `duration_s` real seconds (0: without end)."""

    def __init__(self, epoch_ms: int, *, speed: float, duration_s: float) -> None:
        self.epoch_ms = epoch_ms
        self.scale = 1.0 / speed
        self._end_ms = round(duration_s * 1000) if duration_s else None

    def place(self, sessions: Iterable[Session]) -> Iterator[Placed]:
        """Every session that starts within the run."""
        for session in sessions:
            placed = _placed(session, round(session.start_ms * self.scale), self.scale, self._end_ms)
            if not placed.moments:
                return
            yield placed


class BackfillClock:
    """Exactly `events` events over the past `period_ms`, denser where the day curve is high.

    A session starts where the curve has as large a share of the period behind it as the run has of its events, so the
    count comes out exactly without simulating twice.
    """

    scale = 1.0

    def __init__(self, epoch_ms: int, *, period_ms: int, events: int, curve: Curve) -> None:
        self.epoch_ms = epoch_ms
        self._events = events
        self._period_ms = period_ms
        self._moments = curve.over(epoch_ms, period_ms)

    def place(self, sessions: Iterable[Session]) -> Iterator[Placed]:
        """Sessions until the events are used up; none reaches beyond the end of the period."""
        done = 0
        for session in sessions:
            placed = _placed(session, self._moments.at(done / self._events), self.scale, self._period_ms)
            yield Placed(session, placed.moments[: self._events - done])
            done += len(placed.moments)
            if done >= self._events:
                return


class Curve:
    """How busy a shop is: 24 weights for the hours (UTC), 7 for the days from Monday."""

    def __init__(self, hours: Sequence[float], days: Sequence[float]) -> None:
        self._hours = hours
        self._days = days

    def weight(self, ms: int) -> float:
        """How busy it is at `ms` since 1970, in no unit."""
        moment = _EPOCH + timedelta(milliseconds=ms)
        return self._hours[moment.hour] * self._days[moment.weekday()]

    def over(self, epoch_ms: int, period_ms: int) -> Moments:
        """The moments of one period by share of its traffic."""
        edges = [epoch_ms]
        while edges[-1] < epoch_ms + period_ms:
            edges.append(min((edges[-1] // _HOUR_MS + 1) * _HOUR_MS, epoch_ms + period_ms))
        weights = [(until - since) * self.weight(since) for since, until in pairwise(edges)]
        return Moments([edge - epoch_ms for edge in edges], [0.0, *accumulate(weights)])


class Moments:
    """Inverse of a cumulative curve, linear between its corners."""

    def __init__(self, edges_ms: Sequence[int], cumulated: Sequence[float]) -> None:
        self._edges_ms = edges_ms
        self._cumulated = cumulated

    def at(self, share: float) -> int:
        """Milliseconds after the start by which `share` (0 to 1) of the traffic has happened."""
        wanted = share * self._cumulated[-1]
        index = min(bisect_right(self._cumulated, wanted), len(self._edges_ms) - 1)
        below, above = self._cumulated[index - 1], self._cumulated[index]
        since, until = self._edges_ms[index - 1], self._edges_ms[index]
        return since + (round((until - since) * (wanted - below) / (above - below)) if above > below else 0)


def happenings(placed: Iterable[Placed], stop: Event) -> Iterator[Happening]:
    """The events of all sessions in the order in which they happen, until `stop` is set."""
    heap: list[tuple[int, int, int, Placed]] = []
    for order, one in enumerate(placed):
        if not one.moments:
            continue
        start_ms = one.moments[0]
        if heap and heap[0][0] < start_ms:
            yield from _until(heap, start_ms, stop)
        if stop.is_set():
            return
        heapq.heappush(heap, (start_ms, order, 0, one))
    yield from _until(heap, _NEVER_MS, stop)


def _until(heap: list[tuple[int, int, int, Placed]], limit_ms: int, stop: Event) -> Iterator[Happening]:
    replace, pop, is_stopped = heapq.heapreplace, heapq.heappop, stop.is_set
    while heap and heap[0][0] < limit_ms and not is_stopped():
        at_ms, order, number, placed = heap[0]
        session, moments = placed
        following = number + 1
        if following < len(moments):
            replace(heap, (moments[following], order, following, placed))
            yield Happening(at_ms, session, number, False)
        else:
            pop(heap)
            yield Happening(at_ms, session, number, True)


def _placed(session: Session, start_ms: int, scale: float, end_ms: int | None) -> Placed:
    if scale == 1.0:
        moments = [start_ms + step.offset_ms for step in session.steps]
    else:
        moments = [start_ms + round(step.offset_ms * scale) for step in session.steps]
    if end_ms is not None and moments[-1] >= end_ms:
        moments = [moment for moment in moments if moment < end_ms]
    return Placed(session, moments)
