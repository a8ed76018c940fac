"""What the API counted and kept: /stats in the few numbers that a run is compared with, and /export event by event."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import requests

from clickstream.errors import ClickstreamError

_TIMEOUT_S: Final = 30.0
_READY_WITHIN_S: Final = 120.0


class NotCounted(ClickstreamError):
    """The API did not say what it counted."""


class _Accounting(msgspec.Struct):
    duplicates: int
    rejected: int
    since: str


class _Step(msgspec.Struct):
    step: str
    sessions: int


class _Sessions(msgspec.Struct):
    total: int


class _Revenue(msgspec.Struct):
    orders: int
    by_currency: dict[str, int] = {}


class Stats(msgspec.Struct):
    """The numbers of GET /stats?window=all that a run changes."""

    total_events: int
    events_by_type: dict[str, int]
    accounting: _Accounting
    sessions: _Sessions
    funnel: list[_Step]
    revenue: _Revenue

    def comparable(self, currency: str) -> Counter[str]:
        """The counts that survive a restart of the API, by name."""
        counts = Counter(
            {
                "accepted events": self.total_events,
                "sessions": self.sessions.total,
                f"revenue {currency} cents": self.revenue.by_currency.get(currency, 0),
            }
        )
        counts.update({f"type {name}": count for name, count in self.events_by_type.items()})
        counts.update({f"funnel {step.step}": step.sessions for step in self.funnel})
        return counts


class StoredProperties(msgspec.Struct):
    """What is read from the properties of a stored event."""

    total: float | None = None


class StoredEvent(msgspec.Struct):
    """What is read from a stored event."""

    event_id: str
    event_type: str
    properties: StoredProperties = msgspec.field(default_factory=StoredProperties)


_stats: Final = msgspec.json.Decoder(Stats)
_events: Final = msgspec.json.Decoder(StoredEvent)


class CountingApi:
    """The reading side of the API that belongs to an endpoint."""

    def __init__(self, endpoint: str, read_token: str = "") -> None:
        parts = urlsplit(endpoint)
        self.base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/events')}"
        self._session = requests.Session()
        self._session.trust_env = False
        if read_token:
            self._session.headers["Authorization"] = f"Bearer {read_token}"

    def stats(self) -> Stats:
        """The counts since the journal began; waits while the API replays after a start."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            answer = self._get("/stats", {"window": "all"}, stream=False)
            if answer.status_code != 503 or time.monotonic() > give_up_at:
                break
            time.sleep(0.2)
        try:
            return _stats.decode(_checked(answer).content)
        except msgspec.MsgspecError as problem:
            raise NotCounted(f"{self.base}/stats: {problem}") from None

    def stored(self, run_id: str, since: str) -> Iterator[StoredEvent]:
        """The stored events of a run, in the order in which they were kept."""
        prefix = f"{run_id}-"
        marker = f'"{prefix}'.encode()
        with self._get("/export", {"format": "ndjson", "since": since}, stream=True) as answer:
            for line in _checked(answer).iter_lines(chunk_size=1 << 20):
                if marker in line and (event := _events.decode(line)).event_id.startswith(prefix):
                    yield event

    def _get(self, path: str, parameters: Mapping[str, Any], *, stream: bool) -> requests.Response:
        try:
            return self._session.get(self.base + path, params=parameters, timeout=_TIMEOUT_S, stream=stream)
        except requests.RequestException as problem:
            raise NotCounted(f"{self.base}{path}: no answer ({type(problem).__name__}); is the API running?") from None


def _checked(answer: requests.Response) -> requests.Response:
    if answer.status_code != 200:
        raise NotCounted(f"{answer.url}: answered {answer.status_code} {answer.text[:500]}")
    return answer
