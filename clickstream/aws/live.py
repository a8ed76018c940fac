"""The live counters in DynamoDB as the Stats that the local platform keeps in memory: one snapshot serves both."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from clickstream.aws.consumer.table import (
    CountedMinute,
    CounterTable,
    ShardState,
    decode_minute,
    decode_state,
    hour_pk,
    shard_key,
)
from clickstream.recurring import Recurring
from clickstream.stats import Stats
from clickstream.stats.hour_tops import HourTops
from clickstream.stats.names import sum_of_currencies, sum_of_types
from clickstream.stats.top import merged
from clickstream.timestamps import MINUTE_MS, now_ms

_log: Final = logging.getLogger(__name__)
_UNBOUNDED: Final = 10**9  # the lists of minutes are bounded where they are written


MinuteCounts = dict[int, CountedMinute]


@dataclass(frozen=True, slots=True)
class _Hour:
    """An hour as it was read when it had been written so often; putting its lists together takes longest."""

    times_written: int
    minutes: MinuteCounts
    tops: HourTops


class LiveCounters:
    """Reads what the consumer has counted; hours that have not changed since are not read again."""

    def __init__(self, table: CounterTable, *, clock_ms: Callable[[], int] = now_ms) -> None:
        self._table = table
        self._clock_ms = clock_ms
        self._unread = Recurring(_log, "counters not read, tried again soon")
        self._hours: dict[int, _Hour] = {}

    def read(self) -> Stats:
        """All shards together, as of now. Shards are read one after the other: at rest it is exact."""
        states = self._states()
        stats = Stats()
        stats.types = sum_of_types(state.types for state in states)
        stats.revenue = sum_of_currencies(state.revenue for state in states)
        for state in states:
            stats.session_depths = [one + more for one, more in zip(stats.session_depths, state.depths, strict=True)]
        stats.users = sum(state.users for state in states)
        stats.first_ms = min((state.first_ms for state in states if state.first_ms is not None), default=None)
        stats.top = merged(state.top for state in states if state.top is not None)
        # Only of the hours that the counters still have: what they drop is not kept here either.
        self._hours = {hour: self._hour(hour, times) for hour, times in _sum_of_hours(states).items()}
        for hour, known in self._hours.items():
            stats.minutes.minutes.update(known.minutes)
            stats.minutes.hours[hour] = known.tops
            stats.minutes.seconds |= self._seconds(known.minutes)
        return stats

    def try_read(self) -> Stats | None:
        """The same, or None with a line in the log, now and then, while the counters cannot be read."""
        try:
            stats = self.read()
        except Exception as problem:  # noqa: BLE001 (whatever it was: the next try may read them, and numbers go on)
            self._unread.failed(problem)
            return None
        self._unread.over()
        return stats

    def events_between(self, first_minute: int, end_minute: int) -> int:
        """Events whose time lies in these minutes since 1970, the last one not included."""
        minutes: MinuteCounts = {}
        for hour in range(first_minute // 60, (end_minute - 1) // 60 + 1):
            minutes.update(self._read_hour(hour))
        return sum(
            sum(counts.types.values()) for minute, counts in minutes.items() if first_minute <= minute < end_minute
        )

    def _seconds(self, minutes: MinuteCounts) -> dict[int, int]:
        """Events by second since 1970, of the minutes in which the last 60 seconds lie while `minutes` are shown."""
        now = self._clock_ms() // MINUTE_MS
        return {
            60 * minute + second: count
            for minute in range(now - 1, now + 2)
            if minute in minutes
            for second, count in minutes[minute].seconds.items()
        }

    def _states(self) -> list[ShardState]:
        shards = self._table.query("shards")
        stored = self._table.load(shard_key(shard) for shard in shards)
        return [decode_state(item.body) for item in stored.values()]

    def _hour(self, hour: int, times_written: int) -> _Hour:
        known = self._hours.get(hour)
        if known is not None and known.times_written == times_written:
            return known
        minutes = self._read_hour(hour)
        return _Hour(times_written, minutes, _tops(minutes))

    def _read_hour(self, hour: int) -> MinuteCounts:
        parts: dict[int, list[CountedMinute]] = {}
        for sk, item in self._table.query(hour_pk(hour)).items():
            parts.setdefault(hour * 60 + int(sk[:2]), []).append(decode_minute(item.body))
        return {minute: _together(of_minute) for minute, of_minute in parts.items()}


def _tops(minutes: MinuteCounts) -> HourTops:
    tops = HourTops(most=_UNBOUNDED)
    for minute, counts in minutes.items():
        if counts.top is not None:
            tops.add(minute % 60, counts.top.counts)
            tops.exact = tops.exact and counts.top.exact
    return tops


def _together(parts: list[CountedMinute]) -> CountedMinute:
    if len(parts) == 1:
        return parts[0]
    tops = [part.top for part in parts if part.top is not None]
    return CountedMinute(
        types=sum_of_types(part.types for part in parts),
        revenue=sum_of_currencies(part.revenue for part in parts),
        first_sessions=[sum(column) for column in zip(*(part.first_sessions for part in parts), strict=True)],
        last_sessions=[sum(column) for column in zip(*(part.last_sessions for part in parts), strict=True)],
        last_users=sum(part.last_users for part in parts),
        top=merged(tops) if tops else None,
        seconds=dict(sum((Counter(part.seconds) for part in parts), Counter())),
    )


def _sum_of_hours(states: list[ShardState]) -> dict[int, int]:
    total: dict[int, int] = {}
    for state in states:
        for hour, times in state.hours.items():
            total[hour] = total.get(hour, 0) + times
    return total
