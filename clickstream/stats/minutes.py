"""What happened in each minute of the last two days, so that any window is a sum over minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from clickstream.stats.hour_tops import HourTops
from clickstream.stats.money import storable
from clickstream.stats.top import TopCounts
from clickstream.timestamps import MINUTE_MS

MINUTES_KEPT: Final = 2 * 24 * 60 + 1  # the 24 h window and the one before it
_SECONDS_KEPT: Final = 240
_HOURS_KEPT: Final = 26


M = TypeVar("M", bound="Minute")


class Minute(msgspec.Struct, array_like=True):
    """Events of one minute, and the sessions and users whose first or last event lies in it."""

    types: dict[str, int] = {}
    revenue: dict[str, int] = {}
    first_sessions: list[int] = msgspec.field(default_factory=lambda: [0] * 5)  # by funnel depth
    last_sessions: list[int] = msgspec.field(default_factory=lambda: [0] * 5)  # by funnel depth
    last_users: int = 0

    def storable(self: M) -> M:
        """The same for an encoder, whatever the revenue has come to."""
        return msgspec.structs.replace(self, revenue=storable(self.revenue))


class Minutes:
    """Minute and hour counts, indexed by minutes and hours since 1970; old ones are dropped as time goes on."""

    def __init__(self) -> None:
        self.minutes: dict[int, Minute] = {}
        self.hours: dict[int, HourTops] = {}
        self.seconds: dict[int, int] = {}
        self._seconds_before_pruning = _SECONDS_KEPT
        self.horizon = 0  # no window reaches an earlier minute any more
        self._out_of_reach = Minute()

    def at(self, minute: int) -> Minute:
        """The counts of `minute`; for minutes before the horizon, counts that nobody reads."""
        found = self.minutes.get(minute)
        if found is None:
            if minute < self.horizon:
                return self._out_of_reach
            found = self.minutes[minute] = Minute()
        return found

    def add_top(self, minute: int, found: dict[str, Counter[str]]) -> None:
        """Add to the top lists of one minute."""
        if minute < self.horizon:
            return
        hour, of_hour = divmod(minute, 60)
        tops = self.hours.get(hour)
        if tops is None:
            tops = self.hours[hour] = HourTops()
        tops.add(of_hour, found)

    def count_seconds(self, times_ms: Sequence[int], now_ms: int) -> None:
        """Count events of the last minute by second."""
        oldest_ms = now_ms - MINUTE_MS
        for second, count in Counter([ms // 1000 for ms in times_ms if ms > oldest_ms]).items():
            self.seconds[second] = self.seconds.get(second, 0) + count
        if len(self.seconds) > self._seconds_before_pruning:
            self.seconds = {second: count for second, count in self.seconds.items() if second * 1000 > oldest_ms}
            # Clocks up to a day ahead leave many that must stay: looking through them at each fold would cost.
            self._seconds_before_pruning = max(_SECONDS_KEPT, 2 * len(self.seconds))

    def rolling(self, now_ms: int) -> int:
        """Events of the last 60 seconds; those that claim to be of the future are not among them yet."""
        now = now_ms // 1000
        return sum(count for second, count in self.seconds.items() if now - 60 < second <= now)

    def move_horizon(self, now_minute: int) -> None:
        """Forget what no window that ends at `now_minute` or later can reach."""
        horizon = now_minute - MINUTES_KEPT
        if horizon > self.horizon:
            self.horizon = horizon
            self.minutes = {minute: counts for minute, counts in self.minutes.items() if minute >= horizon}
            self.hours = {hour: tops for hour, tops in self.hours.items() if hour > now_minute // 60 - _HOURS_KEPT}

    def between(self, first: int, last: int) -> Iterator[Minute]:
        """The counts of the minutes from `first` to `last` that had any event."""
        if last - first > len(self.minutes):
            return (counts for minute, counts in self.minutes.items() if first <= minute <= last)
        return (counts for minute in range(first, last + 1) if (counts := self.minutes.get(minute)) is not None)

    def top_between(self, first: int, last: int) -> Iterator[TopCounts]:
        """The top lists of the hours that `first` to `last` touch, each of those minutes only."""
        for hour in range(first // 60, last // 60 + 1):
            if (tops := self.hours.get(hour)) is not None:
                yield tops.between(first - 60 * hour, last - 60 * hour)
