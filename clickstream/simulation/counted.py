"""What the API counted and kept: /stats in the few numbers that a run is compared with, and /export event by event."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests

from clickstream.client.reading import ApiProblem, ApiReader
from clickstream.errors import ClickstreamError

_TIMEOUT_S: Final = 30.0
_READY_WITHIN_S: Final = 60.0
_PART_BYTES: Final = 1 << 20


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


_events: Final = msgspec.json.Decoder(StoredEvent)


class CountingApi:
    """The reading side of the API that belongs to an endpoint."""

    def __init__(self, endpoint: str, read_token: str = "") -> None:
        parts = urlsplit(endpoint)
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/events')}"
        self._read_token = read_token
        self._reader = ApiReader(self.url, read_token=read_token, read_timeout_s=_TIMEOUT_S)

    def stats(self) -> Stats:
        """The counts since the journal began; waits while the API starts and replays."""
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                return msgspec.convert(self._reader.stats(), Stats)
            except msgspec.ValidationError as problem:
                raise NotCounted(f"{self.url}/stats: {problem}") from None
            except ApiProblem as problem:
                if problem.kind not in ("replaying", "unreachable") or time.monotonic() > give_up_at:
                    raise NotCounted(str(problem)) from None
            time.sleep(0.2)

    def stored(self, run_id: str, since: str) -> Iterator[StoredEvent]:
        """The stored events of a run, in the order in which they were kept."""
        prefix = f"{run_id}-"
        marker = f'"{prefix}'.encode()
        try:
            for line in self._exported_lines(since):
                if marker in line and (event := _events.decode(line)).event_id.startswith(prefix):
                    yield event
        except requests.RequestException as problem:
            raise NotCounted(f"{self.url}/export broke off: {problem}") from None

    def _exported_lines(self, since: str) -> Iterator[bytes]:
        headers = {"Authorization": f"Bearer {self._read_token}"} if self._read_token else {}
        with requests.Session() as session:
            session.trust_env = False
            parameters = {"format": "ndjson", "since": since}
            with session.get(
                f"{self.url}/export", params=parameters, headers=headers, timeout=_TIMEOUT_S, stream=True
            ) as answer:
                if answer.status_code != 200:
                    raise NotCounted(f"{answer.url}: answered {answer.status_code} {answer.text[:500]}")
                yield from answer.iter_lines(chunk_size=_PART_BYTES)
