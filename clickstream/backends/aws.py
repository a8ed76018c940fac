"""Events go to Kinesis, in an outage into the spill journal; numbers come from DynamoDB, exports from the lake."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream.analytics.catalog import Question
from clickstream.analytics.engine import Table, answer
from clickstream.analytics.scope import Scope
from clickstream.aws.clients import client, producer
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import Lake, LakeCopy
from clickstream.aws.live import LiveCounters
from clickstream.aws.packing import MAX_EVENT_BYTES
from clickstream.aws.sink import KinesisSink, Outcome
from clickstream.aws.spill import Spill
from clickstream.backends.base import OnReplay, Page
from clickstream.csv_rows import COLUMNS
from clickstream.errors import BackendUnavailable, ConfigError, RequestRefused, Unavailable
from clickstream.events import AnyEvent
from clickstream.export import encoded
from clickstream.journal import Quarantine
from clickstream.query import Query
from clickstream.recurring import Recurring
from clickstream.stats import Stats, snapshot
from clickstream.timestamps import text

_log: Final = logging.getLogger(__name__)

RECENT_KEPT: Final = 10_000  # what /events reaches back to; everything else is in the lake
RECENT_SHOWN: Final = 50

_DEADLINE_S: Final = 2.0  # until a group goes to the spill journal; its senders wait as long
_DRAIN_DEADLINE_S: Final = 30.0
_DRAIN_PAUSE_S: Final = 1.0
_REFRESH_S: Final = 1.0
_FIRST_LOOK_S: Final = 5.0  # what the start waits for the first counters; DynamoDB may be away as well
_LAST_LOOK_S: Final = 0.5  # what the stop waits for counters that are being read; nobody will see them
_COUNTERS_AGE_MS: Final = 30_000  # older counters are not shown as if they were current


class AwsBackend:
    """`write` returns once Kinesis has confirmed every record, or the spill journal has it on disk."""

    name = "aws"

    def __init__(
        self, sink: KinesisSink, spill: Spill, counters: LiveCounters, lake: Lake, quarantine: Quarantine,
        *, clock_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._sink = sink
        self._spill = spill
        self._counters = counters
        self._lake = lake
        self._lake_copy = LakeCopy(lake)
        self._quarantine = quarantine
        self._clock_ms = clock_ms
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=RECENT_KEPT)
        self._arrived = 0
        self._stats: tuple[int, Stats] | None = None  # when it was read, and what
        self._stopping = threading.Event()
        self._spilled = threading.Event()
        self._looked = threading.Event()  # the counters were read, or could not be
        self._drain = threading.Thread(target=self._drain_until_stopped, name="spill-drain", daemon=True)
        self._counting = threading.Thread(target=self._refresh_until_stopped, name="counters", daemon=True)

    def recover(self, on_replay: OnReplay) -> None:
        """Take up the spill journal and begin to drain it; nothing else is kept on this machine."""
        self._spill.recover(self._quarantine, lambda ids: on_replay(ids, 0.5))
        if not self._spill.is_empty:
            self._spilled.set()
        self._drain.start()
        self._counting.start()
        self._looked.wait(_FIRST_LOOK_S)

    def write(self, records: Sequence[bytes]) -> None:
        """Keep all of `records`, or raise BackendUnavailable; while anything waits in the spill, behind it."""
        if not self._spill.is_empty:
            self._spill.append(records)
            self._spilled.set()
            return
        outcome = self._sink.put(records, deadline_s=_DEADLINE_S)
        if outcome.unsent:
            self._spill_rest(records, outcome)
            # An operator must see the first; the drain reports the end.
            level = logging.ERROR if outcome.is_permanent else logging.WARNING
            _log.log(level, "spilling begins records=%d reason=%s", len(outcome.unsent), outcome.reason)
            self._spilled.set()

    def _spill_rest(self, records: Sequence[bytes], outcome: Outcome) -> None:
        try:
            self._spill.append([records[index] for index in outcome.unsent])
        except BackendUnavailable as problem:
            # Kinesis may have taken a part. It is not to be sent anew with each repeat of the group.
            kept = sorted(set(range(len(records))).difference(outcome.unsent))
            raise BackendUnavailable(str(problem), retry_after_s=problem.retry_after_s, kept=kept) from problem

    def count(self, events: Sequence[AnyEvent], records: Sequence[bytes], times_ms: Sequence[int], now_ms: int) -> None:
        """Remember the newest; the consumer counts."""
        self._recent.extend(enumerate(records, self._arrived))
        self._arrived += len(records)

    def statistics(self, window: str, now_ms: int) -> dict[str, Any]:
        """The numbers of one window as the consumer has counted them, about two seconds behind."""
        if self._stats is None or now_ms - self._stats[0] > _COUNTERS_AGE_MS:
            raise Unavailable(
                "the live counters in DynamoDB cannot be read now; see the log of the API", retry_after_s=5
            )
        numbers = snapshot(self._stats[1], window, now_ms)
        newest = [record for _, record in list(self._recent)[-RECENT_SHOWN:]]
        numbers["recent_events"] = [msgspec.Raw(record) for record in reversed(newest)]
        return numbers

    def condition(self) -> dict[str, Any]:
        """Size, cap and age of the spill journal, and how old the counters are."""
        spill = self._spill.state()
        age_s = 0.0 if spill.since_ms is None else (self._clock_ms() - spill.since_ms) / 1000
        return {
            "journal_bytes": spill.size,
            "damaged_records": 0,
            "fsync": "always",
            "spill": {
                "bytes": spill.size,
                "cap_bytes": spill.cap,
                "age_s": round(age_s, 1),
                "since": None if spill.since_ms is None else text(spill.since_ms),
            },
            "counters_at": None if self._stats is None else text(self._stats[0]),
            "kinesis": dict(self._sink.counts),
        }

    def events(self, query: Query, *, limit: int, cursor: str | None) -> Page:
        """The newest events that this process has accepted, at most RECENT_KEPT back; older ones are in the lake."""
        before = None if cursor is None else _number(cursor)
        records: list[bytes] = []
        last = 0
        for number, record in reversed(list(self._recent)):
            if (before is None or number < before) and query.matches(record):
                if len(records) == limit:
                    return Page(records, str(last))
                records.append(record)
                last = number
        return Page(records, None)

    def export(self, query: Query, form: str, *, columns: Sequence[str] = COLUMNS) -> Iterator[bytes]:
        """Everything that has reached the lake, oldest partition first; Firehose delivers every few minutes."""
        records = self._lake.records()
        found = records if query.is_everything else filter(query.matches, records)
        return encoded(found, form, _workplace, columns=columns)

    def ask(self, question: Question, scope: Scope, *, limit: int) -> Table:
        """Over everything that has reached the lake."""
        return answer(question, self._lake_copy.source(scope.since_ms), scope, limit=limit)

    def hurry(self) -> None:
        """Wait no longer than a second for AWS from now on: what it does not confirm goes to the spill journal."""
        self._stopping.set()
        self._looked.set()
        self._spilled.set()
        self._sink.hurry()

    def close(self, ids: Sequence[str] | None) -> None:
        """Stop the threads; what waits in the spill journal is drained after the next start."""
        self.hurry()
        if self._drain.is_alive():
            self._drain.join()
        if self._counting.is_alive():
            self._counting.join(_LAST_LOOK_S)
        self._sink.close()
        self._lake_copy.close()
        self._spill.close(ids)

    def _drain_until_stopped(self) -> None:
        stuck = Recurring(_log, "spill not drained, tried again every second")
        while not self._stopping.is_set():
            self._spilled.wait()
            if self._stopping.is_set():
                return
            self._spilled.clear()  # first: whoever spills from here on sets it again
            try:
                self._drain_once()
            except Exception as problem:  # noqa: BLE001 - outermost frame of this thread; without it nothing is drained again
                stuck.failed(problem)
                self._spilled.set()
                self._stopping.wait(_DRAIN_PAUSE_S)
            else:
                stuck.over()

    def _drain_once(self) -> None:
        if not self._spill.drain(self._send):
            self._spilled.set()
            self._stopping.wait(_DRAIN_PAUSE_S)
        elif self._spill.is_empty:
            _log.info("spill drained; events go to Kinesis directly again")
        else:
            self._spilled.set()

    def _send(self, records: Sequence[bytes]) -> Sequence[int]:
        return self._sink.put(records, deadline_s=_DRAIN_DEADLINE_S).unsent

    def _refresh_until_stopped(self) -> None:
        self._refresh()
        self._looked.set()
        while not self._stopping.wait(_REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        asked_ms = self._clock_ms()
        stats = self._counters.try_read()
        if stats is not None:
            self._stats = (asked_ms, stats)


def open_aws_backend(
    *, region: str, stream: str, bucket: str, table: str, spill_file: Path, max_spill_bytes: int, max_event_bytes: int,
    quarantine: Quarantine, clock_ms: Callable[[], int],
) -> AwsBackend:  # fmt: skip
    """The backend of ENV=aws on the given resources; raises ConfigError where an event could not fit a record."""
    if max_event_bytes > MAX_EVENT_BYTES:
        raise ConfigError(
            f"MAX_EVENT_BYTES={max_event_bytes}: a Kinesis record holds at most {MAX_EVENT_BYTES} of an event"
        )
    return AwsBackend(
        KinesisSink(producer(region).put_records, stream),
        Spill(spill_file, cap=max_spill_bytes, clock_ms=clock_ms),
        LiveCounters(CounterTable(client("dynamodb", region), table)),
        Lake(client("s3", region), bucket),
        quarantine,
        clock_ms=clock_ms,
    )


@contextmanager
def _workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="clickstream-export-") as directory:
        yield Path(directory)


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise RequestRefused("invalid_parameter", f"cursor={cursor[:40]} was not given by this server", field="cursor")
    return int(cursor)
