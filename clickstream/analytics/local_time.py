"""What a clock in a time zone showed, as SQL that DuckDB and Athena read alike, and in a twentieth of ICU's time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from clickstream.analytics.scope import Scope
from clickstream.analytics.sources import timestamp
from clickstream.bounds import UTC
from clickstream.timestamps import DAY_MS, now_ms

# In the SQL of questions `local_time(column)` is that of the asked zone; texts and remarks are left alone.
_CALL: Final = re.compile(r"--.*|'[^']*'|\blocal_time\((\w+(?:\.\w+)?)\)")
_FORESEEN_MS: Final = 366 * DAY_MS  # what is not over yet: no clock of a sender is that wrong


def in_zone(sql: str, scope: Scope) -> str:
    """`sql` with each `local_time(column)` written out: what a clock in the zone of `scope` showed at that time."""
    return _CALL.sub(lambda call: local_time(call[1], scope) if call[1] else call[0], sql)


def local_time(column: str, scope: Scope) -> str:
    """SQL of what a clock in the zone of `scope` showed at `column`, a time of `scope` in UTC.

    Before 1970 it goes by the first offset of 1970.
    """
    if scope.zone is UTC:
        return column
    until_ms = now_ms() // DAY_MS * DAY_MS + _FORESEEN_MS if scope.until_ms is None else scope.until_ms
    first, *changes = offsets(scope.zone, scope.since_ms or 0, until_ms)
    shifted = _shifted(column, first[1])
    if not changes:
        return f"({shifted})"
    # The newest first: most events are young.
    whens = [f"WHEN {column} >= {timestamp(ms)} THEN {_shifted(column, offset)}" for ms, offset in reversed(changes)]
    return f"(CASE {' '.join(whens)} ELSE {shifted} END)"


@lru_cache(maxsize=100)
def offsets(zone: ZoneInfo, since_ms: int, until_ms: int) -> tuple[tuple[int, int], ...]:
    """From when on clocks in `zone` are how many seconds ahead of UTC, from `since_ms` on, but not before 1970."""
    return tuple(_offsets(zone, max(0, since_ms), until_ms))


def _offsets(zone: ZoneInfo, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    at, last = since_ms // 1000, -(-until_ms // 1000)
    offset = _ahead(zone, at)
    yield at * 1000, offset
    while at < last:  # no zone has changed its clocks twice within a day
        following = min(at + DAY_MS // 1000, last)
        if (changed := _ahead(zone, following)) != offset:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _ahead(zone, middle) == offset else (low, middle)
            yield high * 1000, changed
            offset = changed
        at = following


def _ahead(zone: ZoneInfo, seconds: int) -> int:
    return round((datetime.fromtimestamp(seconds, zone).utcoffset() or timedelta()).total_seconds())


def _shifted(column: str, offset: int) -> str:
    return f"{column} {'-' if offset < 0 else '+'} INTERVAL '{abs(offset)}' SECOND"
