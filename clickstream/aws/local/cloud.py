"""Everything that AWS runs by itself, on this machine: consumer and delivery work on a thread until told to finish."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from clickstream.aws.consumer.consumer import Consumer
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import Lake
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.accounting import Accounts, balance
from clickstream.aws.local.delivery import Delivery
from clickstream.aws.local.resources import Names, create, trigger_settings
from clickstream.aws.local.runner import EventSource
from clickstream.aws.local.shards import ShardReader

_PAUSE_S: Final = 0.2
_FLUSH_S: Final = 10.0  # Firehose would wait for 300 s or 128 MB


class LocalCloud:
    """Stream, bucket and table, and what works on them."""

    def __init__(self, connect: Callable[[str], Any], names: Names, *, shards: int) -> None:
        create(names, connect, shards=shards)
        self._names = names
        self._kinesis = connect("kinesis")
        s3, self._table = connect("s3"), CounterTable(connect("dynamodb"), names.table)
        self._lake = Lake(s3, names.bucket)

        def function(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
            # A new one each time, because shards are counted at once and a Consumer has its metrics in itself.
            return Consumer(self._table, s3.put_object, names.bucket, clock_ms=_now_ms).consume(records)

        reader = ShardReader(self._kinesis, names.stream)
        self.events = EventSource(
            reader, function, trigger_settings(), put_object=s3.put_object, bucket=names.bucket, at_once=shards
        )
        self.delivery = Delivery(self._kinesis, s3, names.stream, names.bucket)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._count, name="event-source", daemon=True),
            threading.Thread(target=self._deliver, name="delivery", daemon=True),
        ]

    def start(self) -> None:
        """Begin to count and deliver."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Count and deliver what is in the stream by now, then stop."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self.events.deliver()
        self.delivery.take()
        self.delivery.flush()

    def accounts(self, acknowledged: set[str]) -> Accounts:
        """Where the acknowledged ids are."""
        return balance(acknowledged, self._kinesis, self._names.stream, self._lake, LiveCounters(self._table))

    def _count(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self.events.deliver()

    def _deliver(self) -> None:
        flushed = time.monotonic()
        while not self._stopping.wait(_PAUSE_S):
            self.delivery.take()
            if time.monotonic() - flushed > _FLUSH_S:
                self.delivery.flush()
                flushed = time.monotonic()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
