"""Events as they stand in a journal, of this version or an older one, and when they happened."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from clickstream.events import Event
from clickstream.timestamps import UtcClockReader, parse


class StoredEvent(Event, kw_only=True, gc=False):
    """An event as it stands in the journal; files of older versions may lack anything but the type."""

    received_at: str | None = None


class TimeReader:
    """When a stored event happened; older versions wrote times without a zone, and meant UTC."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._clock = UtcClockReader()

    def all_ms(self, events: Sequence[StoredEvent]) -> list[int]:
        """Milliseconds since 1970 of each of `events`; of those without a usable time, now."""
        stamps = [event.timestamp for event in events if event.timestamp is not None]
        times_ms = self._clock.all_canonical_ms(stamps) if len(stamps) == len(events) else None
        return [self._ms(event) for event in events] if times_ms is None else times_ms

    def _ms(self, event: StoredEvent) -> int:
        for stamp in (event.timestamp, event.received_at):
            if stamp is None:
                continue
            ms = self._clock.canonical_ms(stamp)
            if ms is not None:
                return ms
            for form in (stamp, stamp + "Z"):
                with contextlib.suppress(ValueError):
                    return parse(form)
        return self._now_ms
