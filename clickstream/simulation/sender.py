"""Batches in, deliveries out: several connections behind one bounded queue, with counters that add up."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from clickstream.client.sending import (
    ACKNOWLEDGED,
    MAX_BODY_BYTES,
    REFUSED,
    Delivery,
    RetryPolicy,
    SendingClient,
    turned_away,
)

STOPPED_PATIENCE_S: Final = 10.0
_IDS_LISTED: Final = 1_000
_REASONS_KEPT: Final = 20
_STOPPED: Final = "stopped before it could be sent"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that travel together; `due` is the moment (time.monotonic) at which they should be sent."""

    records: Sequence[bytes]
    due: float


@dataclass(slots=True)
class Counters:
    """Events unless said otherwise: generated = acknowledged + refused + unacknowledged + in_flight."""

    generated: int = 0
    in_flight: int = 0
    acknowledged: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0
    unacknowledged: int = 0
    requests: int = 0
    retries: int = 0  # requests beyond the first of each batch
    maybe_stored: int = 0  # events in attempts whose outcome is unknown: the most that can come back as duplicates
    largest_lag_s: float = 0.0

    @property
    def lost(self) -> int:
        """Events without an answer that settles them; those still in flight when a run has ended are among them."""
        return self.generated - self.acknowledged


class Latencies:
    """Seconds counted in buckets 9 % wide, so that an hour costs as much memory as a minute."""

    _STEP: Final = math.log(1.09)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._total = 0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        bucket = math.ceil(math.log(max(seconds, 1e-5)) / self._STEP)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._total += 1

    def quantile(self, share: float) -> float | None:
        """Upper bound of the bucket below which `share` of the latencies lie; None when there are none."""
        left = share * self._total
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return math.exp(bucket * self._STEP)
        return None


@dataclass(slots=True)
class Failures:
    """What was never acknowledged: the first ids and the first reasons; the counters hold the totals."""

    event_ids: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    remedy: str = ""  # what to do when the address or the key is at fault

    def add(self, records: Sequence[bytes], reason: str) -> None:
        """Note a failed batch."""
        self.event_ids.extend(event_id_of(record) for record in records[: max(0, _IDS_LISTED - len(self.event_ids))])
        if reason not in self.reasons and len(self.reasons) < _REASONS_KEPT:
            self.reasons.append(reason)


class Sender:
    """Sends batches over `connections` connections; `offer` waits while the queue is full, and nothing is ever dropped.

    `on_delivery` is called with each batch and what became of it, one call at a time. An answer that concerns the
    address or the key sets `stop`: every other batch would get it too.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        key: str = "",
        stop: threading.Event | None = None,
        connections: int = 4,
        queued_batches: int = 64,
        patience_s: float = STOPPED_PATIENCE_S,
        policy: RetryPolicy | None = None,
        on_delivery: Callable[[Batch, Delivery], None] | None = None,
    ) -> None:
        self.failures = Failures()
        self.latencies = Latencies()
        self._endpoint = endpoint
        self._stop = stop
        self._counters = Counters()
        self._on_delivery = on_delivery
        self._patience_s = patience_s
        self._queue: queue.Queue[Batch | None] = queue.Queue(queued_batches)
        self._lock = threading.Lock()
        self._unanswered: dict[float, int] = {}
        self._abandon = threading.Event()
        clients = [SendingClient(endpoint, key=key, policy=policy, wait=self._pause) for _ in range(connections)]
        self._threads = [threading.Thread(target=self._work, args=(client,), daemon=True) for client in clients]
        for thread in self._threads:
            thread.start()

    def offer(self, batch: Batch, stop: threading.Event | None = None) -> None:
        """Queue `batch`, waiting for room; once `stop` is set it waits no longer than the patience of a stopped run."""
        self._count_offered(batch)
        give_up_at: float | None = None
        while True:
            try:
                return self._queue.put(batch, timeout=0.2)
            except queue.Full:
                if not any(thread.is_alive() for thread in self._threads):
                    return self._note(batch, Delivery(reason="every connection has ended"))
                if stop is None or not stop.is_set():
                    continue
            give_up_at = give_up_at or time.monotonic() + self._patience_s
            if time.monotonic() > give_up_at:
                return self._note(batch, Delivery(reason=_STOPPED))

    def finish(self, stop: threading.Event) -> Counters:
        """Wait until every batch is answered or given up; retries end early some seconds after `stop` is set."""
        deadline: float | None = None
        ends = 0
        while any(thread.is_alive() for thread in self._threads):
            if ends < len(self._threads) and self._queue_end():
                ends += 1
            self._threads[ends - 1].join(0.05)
            if stop.is_set():
                deadline = deadline or time.monotonic() + self._patience_s
                if time.monotonic() > deadline:
                    self.abandon()
        return self.snapshot()

    def abandon(self) -> None:
        """Stop retrying: what its next attempt brings no answer for is unacknowledged, and so is what follows it."""
        self._abandon.set()

    def lag_s(self) -> float:
        """How far the oldest event that is not answered yet lies behind its schedule; 0 when all are."""
        with self._lock:
            oldest = min(self._unanswered, default=None)
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    def snapshot(self) -> Counters:
        """One consistent copy of the counters."""
        with self._lock:
            return replace(self._counters)

    def _count_offered(self, batch: Batch) -> None:
        with self._lock:
            self._counters.generated += len(batch.records)
            self._counters.in_flight += len(batch.records)
            self._count_unanswered(batch.due, 1)

    def _count_unanswered(self, due: float, sign: int) -> None:
        left = self._unanswered.get(due, 0) + sign
        if left:
            self._unanswered[due] = left
        else:
            del self._unanswered[due]

    def _queue_end(self) -> bool:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return False
        return True

    def _pause(self, seconds: float) -> bool:
        if self._abandon.wait(seconds):
            return True
        with self._lock:
            self._counters.retries += 1
        return False

    def _work(self, client: SendingClient) -> None:
        is_answered = True
        while (batch := self._queue.get()) is not None:
            lag_s = time.monotonic() - batch.due
            with self._lock:
                self._counters.largest_lag_s = max(self._counters.largest_lag_s, lag_s)
            if is_answered or not self._abandon.is_set():
                delivery = _sent(client, batch.records)
                is_answered = delivery.status is not None
            else:  # nobody answers, and each attempt may take as long as a request may
                delivery = Delivery(reason=_STOPPED)
            self._note(batch, delivery)
        client.close()

    def _note(self, batch: Batch, delivery: Delivery) -> None:
        count = len(batch.records)
        with self._lock:
            counters = self._counters
            counters.in_flight -= count
            self._count_unanswered(batch.due, -1)
            counters.requests += delivery.attempts
            counters.maybe_stored += delivery.maybe_stored * count
            if delivery.outcome == ACKNOWLEDGED:
                counters.acknowledged += count
                counters.accepted += delivery.accepted
                counters.duplicates += delivery.duplicates
                counters.rejected += len(delivery.rejected)
                self.latencies.add(time.monotonic() - batch.due)
            else:
                if delivery.outcome == REFUSED:
                    counters.refused += count
                else:
                    counters.unacknowledged += count
                self.failures.add(batch.records, delivery.reason)
            if delivery.is_turned_away:
                self.failures.remedy = turned_away(self._endpoint, delivery)
                if self._stop is not None:
                    self._stop.set()
            if self._on_delivery is not None:
                self._on_delivery(batch, delivery)


def _sent(client: SendingClient, records: Sequence[bytes]) -> Delivery:
    try:
        return client.send(records)
    except Exception as problem:  # noqa: BLE001 - outermost frame of its thread; what it held must not be lost silently
        return Delivery(attempts=1, maybe_stored=1, reason=f"a fault here: {type(problem).__name__}: {problem}")


class Batcher:
    """Collects records into batches that respect the limits of one request."""

    def __init__(self, batch_size: int, linger_s: float) -> None:
        self._batch_size = batch_size
        self._linger_s = linger_s
        self._records: list[bytes] = []
        self._bytes = 0
        self._first_due = self._last_due = 0.0

    def add(self, record: bytes, due: float) -> Batch | None:
        """Take one record; the full batch, if the record had no room in it or filled it."""
        full = self.take() if self._bytes + len(record) > MAX_BODY_BYTES else None
        if not self._records:
            self._first_due = due
        self._last_due = due
        self._records.append(record)
        self._bytes += len(record) + 1
        return self.take() if full is None and len(self._records) >= self._batch_size else full

    def ready_at(self) -> float | None:
        """The moment at which the waiting records should go even though the batch is not full; None when none wait."""
        return self._first_due + self._linger_s if self._records else None

    def take(self) -> Batch | None:
        """The waiting records, or None."""
        if not self._records:
            return None
        batch = Batch(self._records, min(self._last_due, self._first_due + self._linger_s))
        self._records, self._bytes = [], 0
        return batch


class _Identified(msgspec.Struct):
    event_id: str | None = None


_identified: Final = msgspec.json.Decoder(_Identified)


def event_id_of(record: bytes) -> str:
    """The event_id in `record`, or a word for a record that has none."""
    try:
        return _identified.decode(record).event_id or "(none)"
    except (msgspec.MsgspecError, RecursionError):
        return "(unreadable)"
