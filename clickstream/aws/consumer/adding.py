"""What a batch comes to, added to what the table has: sums, bounded top lists, the newest digests.

DynamoDB takes items of up to 400 kB. Whatever producers send, an item stays below MAX_ITEM_BYTES: top lists take at
most 25 kB each (there are 5), 500 names of types and as many of currencies 155 kB, everything else some kilobytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from clickstream.aws.consumer.heaviest import LIST_BYTES, Heaviest
from clickstream.aws.consumer.table import CountedMinute, ShardState
from clickstream.events import MAX_AHEAD_MS
from clickstream.stats import Stats
from clickstream.stats.minutes import MINUTES_KEPT, Minute
from clickstream.stats.names import sum_of_currencies, sum_of_types
from clickstream.stats.top import TopCounts
from clickstream.timestamps import MINUTE_MS

MAX_ITEM_BYTES: Final = 300_000

_TOP_TOTAL: Final = 100  # values of each top list, so that a shard's item stays at a few kilobytes
_TOP_PER_MINUTE: Final = 100
_DIGESTS_KEPT: Final = 400


def add_state(state: ShardState, delta: Stats, minutes: Iterable[int], digests: list[bytes], now_ms: int) -> ShardState:
    """Totals of a shard with those of a batch, which wrote into `minutes`."""
    top = state.top or Heaviest(most=_TOP_TOTAL)
    top.add(delta.top.counts)
    firsts = [ms for ms in (state.first_ms, delta.first_ms) if ms is not None]
    return ShardState(
        types=sum_of_types([state.types, delta.types]),
        revenue=sum_of_currencies([state.revenue, delta.revenue]),
        depths=[before + more for before, more in zip(state.depths, delta.session_depths, strict=True)],
        users=state.users + delta.users,
        first_ms=min(firsts, default=None),
        top=top,
        hours=_hours(state.hours, minutes, now_ms),
        digests=[*state.digests, *digests][-_DIGESTS_KEPT:],
    )


def _hours(before: Mapping[int, int], minutes: Iterable[int], now_ms: int) -> dict[int, int]:
    """How often each hour was written, of those that windows reach until a day from now."""
    first, last = now_ms // MINUTE_MS - MINUTES_KEPT, (now_ms + MAX_AHEAD_MS) // MINUTE_MS
    reached = range(first // 60, last // 60 + 1)
    if max(before, default=0) >= reached.stop:
        # A time of the far future let an earlier consumer forget the hours of now: their minutes are still there.
        before = {hour: before.get(hour, 0) + 1 for hour in reached}
    written = Counter(before) + Counter({minute // 60 for minute in minutes})
    return {hour: times for hour, times in written.items() if hour in reached}


def add_minutes(
    before: CountedMinute, delta: Minute, delta_top: TopCounts | None, seconds: Mapping[int, int]
) -> CountedMinute:
    """Counts of one minute with those of a batch, of which `seconds` came just now."""
    top = before.top
    if delta_top is not None:
        top = top or TopCounts(most=_TOP_PER_MINUTE)
        top.add(delta_top.counts)
        top.exact = top.exact and delta_top.exact
        top.shorten(LIST_BYTES)
    return CountedMinute(
        types=sum_of_types([before.types, delta.types]),
        revenue=sum_of_currencies([before.revenue, delta.revenue]),
        first_sessions=[one + more for one, more in zip(before.first_sessions, delta.first_sessions, strict=True)],
        last_sessions=[one + more for one, more in zip(before.last_sessions, delta.last_sessions, strict=True)],
        last_users=before.last_users + delta.last_users,
        top=top,
        seconds=Counter(before.seconds) + Counter(seconds),
    )
