"""Everything that /stats shows, computed at most twenty times a second however many ask."""

from __future__ import annotations

from typing import Any, Final

from clickstream.backends.base import Backend
from clickstream.meter import Meter
from clickstream.stats.recency import RecentIds
from clickstream.timestamps import text

_AGE_MS: Final = 50  # an event must show within 100 ms of its acknowledgement, the way of the answer included


class Numbers:
    """The statistics of `backend` with what this process has taken in."""

    def __init__(self, backend: Backend, meter: Meter, ids: RecentIds) -> None:
        self._backend = backend
        self._meter = meter
        self._ids = ids
        self._known: dict[str, tuple[int, dict[str, Any]]] = {}

    def of(self, window: str, now_ms: int) -> dict[str, Any]:
        """Those of `window`, at most 50 ms old."""
        known = self._known.get(window)
        if known is None or not 0 <= now_ms - known[0] < _AGE_MS:
            known = self._known[window] = (now_ms, self._computed(window, now_ms))
        return known[1]

    def clear(self) -> None:
        """Compute anew whatever is asked next."""
        self._known.clear()

    def _computed(self, window: str, now_ms: int) -> dict[str, Any]:
        meter = self._meter
        numbers = self._backend.statistics(window, now_ms)
        numbers["accounting"] = {**meter.accounting(), "since": text(meter.since_ms)}
        numbers["rejected_by_code"] = dict(meter.rejected.most_common())
        numbers["ingest"] = {
            "backend": self._backend.name,
            "events_per_second": meter.events_per_second(now_ms),
            "commit_latency_ms": meter.latency_ms(),
            "dedupe": {"window": self._ids.window, "ids": len(self._ids)},
            "last_event_at": None if meter.last_event_ms is None else text(meter.last_event_ms),
            "failed_commits": meter.failed_commits,
            **self._backend.condition(),
        }
        return numbers
