"""Events as they stand in a journal, of this version or an older one, and when they happened."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from clickstream.timestamps import UtcClockReader, parse

_anything: Final = msgspec.json.Decoder()


class StoredEvent(msgspec.Struct, kw_only=True, gc=False):
    """An event as it stands in the journal, to be read like an Event; older versions may lack anything but the type.

    A replay decodes every event and asks few of them for their properties, so these stay as they are until then.
    """

    event_type: str
    event_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    received_at: str | None = None
    raw_properties: msgspec.Raw = msgspec.field(name="properties", default=msgspec.Raw(b"{}"))

    @property
    def properties(self) -> dict[str, Any]:
        """The properties, decoded anew; none where an older version wrote something else than an object."""
        properties = _anything.decode(self.raw_properties)
        return properties if isinstance(properties, dict) else {}


class TimeReader:
    """When a stored event happened; older versions wrote times without a zone, and meant UTC."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._clock = UtcClockReader()

    def all_ms(self, events: Sequence[StoredEvent]) -> list[int]:
        """Milliseconds since 1970 of each of `events`; of those without a usable time, now."""
        stamps = [event.timestamp for event in events if event.timestamp is not None]
        times_ms = self._clock.all_canonical_ms(stamps) if len(stamps) == len(events) else None
        if times_ms is not None:
            return times_ms
        return [self.first_ms(event.timestamp, event.received_at) for event in events]

    def first_ms(self, *stamps: str | None) -> int:
        """Milliseconds since 1970 of the first usable one of `stamps`; now, where there is none."""
        for stamp in stamps:
            if stamp is not None and (ms := self.usable_ms(stamp)) is not None:
                return ms
        return self._now_ms

    def usable_ms(self, stamp: str) -> int | None:
        """Milliseconds since 1970 of `stamp`; None where it is no time."""
        ms = self._clock.canonical_ms(stamp)
        if ms is not None:
            return ms
        for form in (stamp, stamp + "Z"):
            with contextlib.suppress(ValueError):
                return parse(form)
        return None
