"""Who may send events, and how many: write keys with their origins and rates, a token bucket a key and address."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from clickstream.errors import RequestRefused

BUCKETS_REMEMBERED: Final = 10_000

HEADER_EXPECTED: Final = "expected only characters that a header can carry: letters, digits and signs of ISO 8859-1"

_BURST_S: Final = 10  # a sender that was quiet may send this many seconds' worth at once
_ENTRY: Final = re.compile(r"\s*([a-z][a-z0-9_-]{0,31})=([A-Za-z0-9._~-]{1,128})((?:;[^;,]*)*)\s*")
_RATE: Final = re.compile(r"(?=.*[1-9])\d{1,9}(\.\d{1,3})?")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True)
class WriteKey:
    """One source of events: its public key, the pages that may use it (none named: all), its events a second."""

    source: str
    key: str
    origins: frozenset[str] = frozenset()
    rate_per_s: float | None = None


class TurnedAway(RequestRefused):
    """No key that fits; `reason` tells an operator why, in words of which the sender wrote none."""

    def __init__(self, code: str, message: str, *, reason: str) -> None:
        super().__init__(code, message)
        self.reason = reason


class RateLimited(RequestRefused):
    """Too many events; `retry_after_s` seconds from now there is room again."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__("rate_limited", message)
        self.retry_after_s = retry_after_s


def parse_write_keys(text: str) -> tuple[WriteKey, ...]:
    """Keys from `source=key;origins=https://a https://b;rate=500, source=key …`; raises ValueError."""
    keys = tuple(_parsed(entry) for entry in text.split(",") if entry.strip())
    if len({one.key for one in keys}) < len(keys) or len({one.source for one in keys}) < len(keys):
        raise ValueError("a key or source stands twice")
    return keys


def _parsed(entry: str) -> WriteKey:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise ValueError("an entry is not source=key")
    options = dict(option.strip().partition("=")[::2] for option in match[3].split(";") if option.strip())
    origins = frozenset(options.pop("origins", "").split())
    rate = options.pop("rate", "")
    if options:
        raise ValueError(f"{match[1]}: known options are origins=https://… and rate=…; a comma begins the next key")
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError(f"{match[1]}: an origin is a scheme and a host, https://shop.example, with no slash behind it")
    if rate and _RATE.fullmatch(rate) is None:
        raise ValueError(f"{match[1]}: rate is a number of events a second, above 0")
    return WriteKey(match[1], match[2], origins, float(rate) if rate else None)


def fits_header(secret: str) -> bool:
    """Whether a client can send `secret` in a header."""
    return secret.isprintable() and all(character <= "\xff" for character in secret)


class WriteAccess:
    """Decides over each request that brings events; used on one thread."""

    def __init__(self, keys: Sequence[WriteKey], *, rate_per_s: float, clock_s: Callable[[], float]) -> None:
        self._keys = keys
        self._rate_per_s = rate_per_s
        self._clock_s = clock_s
        # What is left at a moment; it may be negative, because a batch is let in before its events are counted.
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """True when nothing is asked of senders: no keys, no rate."""
        return not self._keys and not self._rate_per_s

    def admit(self, presented: str | None, *, origin: str | None, address: str, events: int) -> str | None:
        """Name of the source that `presented` belongs to, None without keys; raises RequestRefused.

        401 without a key, 403 with an unknown one or from a page that may not use it, 429 beyond the rate.
        """
        key = self._key(presented) if self._keys else None
        if key is not None and key.origins and origin is not None and origin not in key.origins:
            raise TurnedAway(
                "forbidden",
                f"pages of {origin[:100]} may not use the key of {key.source} (WRITE_KEYS)",
                reason=f"a page that is none of the origins of {key.source}",
            )
        rate = self._rate_per_s if key is None or key.rate_per_s is None else key.rate_per_s
        if rate:
            self._take(("" if key is None else key.key, address), rate, events)
        return None if key is None else key.source

    def _key(self, presented: str | None) -> WriteKey:
        if not presented:
            raise TurnedAway(
                "unauthorized",
                "send a write key (WRITE_KEYS), e.g. in the header X-Write-Key",
                reason="no write key",
            )
        found = None
        for key in self._keys:  # all of them, whatever is found: the time tells nothing about the keys
            if hmac.compare_digest(key.key.encode(), presented.encode("utf-8", "surrogateescape")):
                found = key
        if found is None:
            raise TurnedAway("forbidden", "this write key is unknown here (WRITE_KEYS)", reason="unknown write key")
        return found

    def _take(self, bucket: tuple[str, str], rate: float, events: int) -> None:
        now = self._clock_s()
        left, then = self._buckets.pop(bucket, (rate * _BURST_S, now))
        left = min(rate * _BURST_S, left + (now - then) * rate)
        if left <= 0:
            self._buckets[bucket] = (left, now)
            wait_s = max(1, int(-left / rate) + 1)
            raise RateLimited(f"more than {rate:g} events a second from here; wait {wait_s} s", retry_after_s=wait_s)
        self._buckets[bucket] = (left - events, now)
        if len(self._buckets) > BUCKETS_REMEMBERED:
            self._buckets.popitem(last=False)
