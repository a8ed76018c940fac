"""Where spans of time begin and end: at an RFC 3339 time, or with a whole day of a time zone."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from clickstream.timestamps import parse

UTC: Final = ZoneInfo("UTC")
_NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
# Files beside the zones on many systems: copies of them, with leap seconds counted in one case, and this machine's own.
_NO_NAME: Final = re.compile(r"(posix|right)/|localtime|posixrules")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (what a clock on the wall shows, in any zone)
_FIRST_MS: Final = parse("0001-01-01T00:00:00Z")
_LAST_MS: Final = parse("9999-12-31T23:59:59.999Z")


def zone_of(name: str) -> ZoneInfo:
    """The time zone called `name`, such as Europe/Berlin; raises ValueError with what is wrong and what was meant."""
    try:
        if _NAME.fullmatch(name) and not _NO_NAME.match(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a directory of the system's database
        pass
    raise ValueError(f"is no time zone; {_near(name)}")


def parse_since(text: str, zone: ZoneInfo = UTC) -> int:
    """Where a span begins, in milliseconds since 1970: an RFC 3339 time, or the start of a day of `zone`.

    Raises ValueError with the reason.
    """
    return _start_ms(_day(text), zone) if _DAY.fullmatch(text) else _parse_time(text)


def parse_until(text: str, zone: ZoneInfo = UTC) -> int:
    """Where a span ends, itself not included: an RFC 3339 time, or the end of a day of `zone`, which so is included.

    Raises ValueError with the reason.
    """
    if not _DAY.fullmatch(text):
        return _parse_time(text)
    day = _day(text)
    return _LAST_MS if day == date.max else _start_ms(day + timedelta(days=1), zone)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise ValueError(f"is not a time: {problem}") from None


def _start_ms(day: date, zone: ZoneInfo) -> int:
    """When `day` begins in `zone`; where its midnight is skipped, at the first moment after it."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 (as above)
    offset = midnight.replace(tzinfo=zone).utcoffset() or timedelta()
    return min(max((midnight - _EPOCH - offset) // timedelta(milliseconds=1), _FIRST_MS), _LAST_MS)


def _parse_time(text: str) -> int:
    try:
        return parse(text)
    except ValueError as problem:
        raise ValueError(f"{problem}; a whole day is written 2026-01-15") from None


def _near(name: str) -> str:
    import difflib  # noqa: PLC0415 (milliseconds, as listing the zones takes, that only a wrong name costs)

    known = {zone.lower(): zone for zone in available_timezones() if not _NO_NAME.match(zone)}
    found = difflib.get_close_matches(name[:40].lower(), known, n=1)
    return f"did you mean {known[found[0]]}?" if found else "one is Europe/Berlin"
