"""The times that SDKs send, by clocks that are wrong: read, corrected, and written as ours."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from clickstream.timestamps import UtcClockReader, parse, text
from clickstream.wire.mapping import NUMBER, Json, Record, Sdk, number

# A sender's clock that is less wrong than this is left alone: the difference is mostly the way of the request,
# and adding it would reorder events of different requests.
SKEW_TOLERANCE_MS: Final = 5_000

_MILLISECONDS_FROM: Final = 100_000_000_000  # as seconds this is the year 5138
_MILLISECONDS_TO: Final = 100_000_000_000_000  # no time that we know: the year 5138 again
_MILLISECOND_TEXTS: Final = tuple(f".{ms:03d}Z" for ms in range(1000))
_OURS: Final = "2026-01-15T10:30:00.123Z"
_OF_SNOWPLOW: Final = "1768473000123"
_OF_PYTHON: Final = "2026-01-15T10:30:00.123+00:00"  # or with microseconds, which we do not keep

_clock: Final = UtcClockReader()


def epoch_ms(stamp: Json) -> int | None:
    """Milliseconds since 1970 of a time as SDKs write it; None when it is not a time.

    Numbers are seconds or milliseconds, by their size. A text without a zone is UTC.
    """
    if type(stamp) is str:
        stamp = int(stamp) if stamp.isdecimal() and len(stamp) < 16 else _parsed(stamp)
    if type(stamp) is int and _MILLISECONDS_FROM <= stamp < _MILLISECONDS_TO:
        return stamp
    if isinstance(stamp, bool) or not isinstance(stamp, NUMBER) or not 0 <= stamp < _MILLISECONDS_TO:
        return None
    return int(stamp) if stamp >= _MILLISECONDS_FROM else int(stamp * 1000)


def _parsed(stamp: str) -> Json:
    for form in (stamp, stamp + "Z"):
        try:
            return parse(form)
        except ValueError:
            continue
    return number(stamp)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return int(moment.timestamp() * 1000)


def skew_ms(sent_at: Json, received_ms: int) -> int:
    """How far the sender's clock is behind ours, by the moment it says it sent the request; 0 within the tolerance."""
    # Snowplow says it in each event of a request.
    return _skew_ms_of_text(sent_at, received_ms) if type(sent_at) is str else _skew_ms(epoch_ms(sent_at), received_ms)


@lru_cache(maxsize=1000)
def _skew_ms_of_text(sent_at: str, received_ms: int) -> int:
    return _skew_ms(epoch_ms(sent_at), received_ms)


def _skew_ms(sent_ms: int | None, received_ms: int) -> int:
    if sent_ms is None or abs(received_ms - sent_ms) <= SKEW_TOLERANCE_MS:
        return 0
    return received_ms - sent_ms


def set_time(record: Record, sdk: Sdk, stamp: Json, skew: int) -> None:
    """Give `record` the corrected time; what the sender wrote stays in `sdk` wherever ours says less or another."""
    if skew == 0 and type(stamp) is str and (ours := _rewritten(stamp)) is not None:
        record.timestamp = ours
        if ours is not stamp and len(stamp) != len(_OF_PYTHON):
            sdk.original_timestamp = stamp
        return
    ms = epoch_ms(stamp)
    if ms is None:
        record.timestamp = stamp
        return
    if ms + skew < 0:  # no clock goes wrong by so much: the moment of sending is nonsense
        skew = 0
    ms += skew
    record.timestamp = corrected = _second_text(ms // 1000) + _MILLISECOND_TEXTS[ms % 1000]
    if corrected != stamp:
        sdk.original_timestamp = stamp
    if skew:
        sdk.clock_skew_ms = skew


def _rewritten(stamp: str) -> str | None:
    """`stamp` in our notation, where that is only another way to write it; None where it takes arithmetic."""
    length = len(stamp)
    if length == len(_OURS) and stamp[-1] == "Z":
        # Blanks, a small t and leap seconds are written anew; what is no time at all is left to validation.
        return stamp if stamp[10] == "T" and stamp[17] != "6" else None
    if length == len(_OF_SNOWPLOW) and stamp[0] != "0" and stamp.isdecimal() and stamp.isascii():
        return f"{_second_text(int(stamp[:10]))}.{stamp[10:]}Z"
    if (
        length >= len(_OF_PYTHON)
        and stamp[-6:] == "+00:00"
        and stamp[19] == "."
        and stamp[20:-6].isdecimal()
        and _is_second(stamp[:19])
    ):
        return f"{stamp[:23]}Z"
    return None


@lru_cache(maxsize=10_000)
def _is_second(text: str) -> bool:
    return text.isascii() and _clock.canonical_ms(f"{text}Z") is not None


@lru_cache(maxsize=10_000)
def _second_text(seconds: int) -> str:
    return text(seconds * 1000)[:-5]
