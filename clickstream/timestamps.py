"""RFC 3339 times: text to milliseconds since 1970 and back, UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_SECOND: Final = re.compile(r":[0-5]\d", re.ASCII)
_FRACTION: Final = re.compile(r"(?:\.\d{1,18})?Z", re.ASCII)
_REMEMBERED: Final = 100_000


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00Z, by the clock of this machine."""
    return time.time_ns() // 1_000_000


def parse(text: str) -> int:
    """Milliseconds since 1970-01-01T00:00Z of an RFC 3339 time; raises ValueError with the reason."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        if _RFC3339.fullmatch(text + "Z"):
            raise ValueError("has no time zone; append Z for UTC")
        raise ValueError("is not an RFC 3339 time such as 2026-01-15T10:30:00Z")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    leap = second == "60"  # legal in RFC 3339, unknown to datetime
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second), tzinfo=timezone.utc
        )
        moment += timedelta(seconds=leap) - _offset(zone)
    except (ValueError, OverflowError) as problem:
        raise ValueError(f"is not a time: {problem}") from None
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int(((fraction or "") + "000")[:3])


def text(ms: int) -> str:
    """`2026-01-15T10:30:00.123Z`: RFC 3339 in UTC with milliseconds."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second_text(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def minute_text(minute: int) -> str:
    """`2026-01-15T10:30:00Z` for a minute counted since 1970."""
    return f"{_EPOCH + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


class UtcClockReader:
    """Reads the canonical form `YYYY-MM-DDTHH:MM:SS[.fff]Z` fast by remembering the pieces that it has parsed.

    Three pieces, because few minutes, 60 seconds and 1,000 milliseconds stay in the processor's cache.
    """

    def __init__(self) -> None:
        self._minutes = _Minutes()
        self._seconds = _Seconds()
        self._fractions = _Fractions()

    def canonical_ms(self, stamp: str) -> int | None:
        """Milliseconds since 1970, or None when `stamp` is not in the canonical UTC form or not a time."""
        try:
            return self._minutes[stamp[:16]] + self._seconds[stamp[16:19]] + self._fractions[stamp[19:]]
        except ValueError:
            return None

    def all_canonical_ms(self, stamps: Sequence[str]) -> list[int] | None:
        """Milliseconds since 1970 of each of `stamps`, or None when any is not canonical."""
        minutes, seconds, fractions = self._minutes, self._seconds, self._fractions
        try:
            return [minutes[stamp[:16]] + seconds[stamp[16:19]] + fractions[stamp[19:]] for stamp in stamps]
        except ValueError:
            return None


class _Minutes(dict[str, int]):
    """`2026-01-15T10:30` -> milliseconds since 1970; raises ValueError for what is not a minute."""

    def __missing__(self, minute: str) -> int:
        if minute[10:11] != "T":
            raise ValueError
        return _remember(self, minute, parse(minute + ":00Z"))


class _Seconds(dict[str, int]):
    """`:05` -> milliseconds within the minute; raises ValueError for what is not a second."""

    def __missing__(self, second: str) -> int:
        if _SECOND.fullmatch(second) is None:
            raise ValueError
        return _remember(self, second, int(second[1:]) * 1000)


class _Fractions(dict[str, int]):
    """`Z` or `.123Z` -> milliseconds within the second; raises ValueError for what is neither."""

    def __missing__(self, fraction: str) -> int:
        if _FRACTION.fullmatch(fraction) is None:
            raise ValueError
        return _remember(self, fraction, int((fraction[1:-1] + "000")[:3]))


def _remember(known: dict[str, int], key: str, ms: int) -> int:
    if len(known) >= _REMEMBERED:
        known.clear()
    known[key] = ms
    return ms


def _offset(zone: str) -> timedelta:
    if zone in "Zz":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"{zone} is not an offset from UTC")
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if zone[0] == "+" else -offset
