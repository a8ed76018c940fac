"""A batch that Lambda delivers: every record is decoded, counted or quarantined, or named for another delivery."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from clickstream.aws.consumer.counting import Arrival, ShardCounter
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.consumer.watermark import sortable
from clickstream.aws.packing import REPLAYED, Line, NotAnEvent, properties_of, unpack
from clickstream.events import MAX_AHEAD_MS, MAX_ID_LENGTH, Event
from clickstream.timestamps import UtcClockReader, text

_log: Final = logging.getLogger(__name__)

NAMESPACE: Final = "Clickstream"
METRICS: Final = ("CountedEvents", "QuarantinedRecords", "SkippedEvents")

# Only these types are counted by what is in their properties; of the others they are only looked at.
_READ_PROPERTIES: Final = frozenset({"page_view", "purchase"})
_LONGEST_TYPE: Final = 64

_clock: Final = UtcClockReader()


class Consumer:
    """Counts batches into `table` and keeps in `bucket` what nobody can decode."""

    def __init__(
        self, table: CounterTable, put_object: Callable[..., object], bucket: str, *, clock_ms: Callable[[], int]
    ) -> None:
        self._table = table
        self._put_object = put_object
        self._bucket = bucket
        self._clock_ms = clock_ms
        self.metrics: Counter[str] = Counter()

    def consume(self, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Lambda's answer for `records` of one shard: from which record on it shall deliver again, if any.

        A line that cannot be decoded concerns that line only. A failure of DynamoDB or S3 is answered with the
        first record that is not counted yet; a second delivery of what is counted changes nothing.
        """
        self.metrics = Counter()
        if not records:
            return {"batchItemFailures": []}
        shard = records[0]["eventID"].partition(":")[0]
        now_ms = self._clock_ms()
        counter = ShardCounter(self._table, shard, now_ms)
        arrivals: list[Arrival] = []
        try:
            arrivals = [one for record in records for one in self._read(shard, record, now_ms)]
            counted = counter.count(arrivals)
        except Exception:  # noqa: BLE001 (outermost frame: whatever it was, Lambda shall deliver again)
            _log.exception("batch not counted shard=%s records=%d", shard, len(records))
            return {"batchItemFailures": [{"itemIdentifier": _first_left(counter.position, arrivals, records)}]}
        self.metrics["CountedEvents"] += counted
        self.metrics["SkippedEvents"] += len(arrivals) - counted
        return {"batchItemFailures": []}

    def _read(self, shard: str, record: dict[str, Any], now_ms: int) -> Iterator[Arrival]:
        sequence = record["kinesis"]["sequenceNumber"]
        data = base64.b64decode(record["kinesis"]["data"])
        is_replayed = record["kinesis"]["partitionKey"].startswith(REPLAYED)
        digest = hashlib.blake2b(data, digest_size=8).digest()
        lines = []
        for number, line, raw in unpack(data):
            try:
                lines.append((number, *_event(line, now_ms + MAX_AHEAD_MS)))
            except NotAnEvent as problem:
                self._quarantine(shard, sequence, number, raw, record, reason=str(problem))
        for number, event, ms in lines:
            is_last = number == lines[-1][0]
            yield Arrival(sortable(sequence), number, event, ms, digest, is_last, is_replayed)

    def _quarantine(
        self, shard: str, sequence: str, number: int, raw: bytes, record: dict[str, Any], *, reason: str
    ) -> None:
        """Keep a line; its place in the stream is its name, so that a second delivery writes the same object."""
        arrived = text(int(record["kinesis"].get("approximateArrivalTimestamp", 0) * 1000))
        body = {
            "reason": reason,
            "shard": shard,
            "sequence_number": sequence,
            "line": number,
            "arrived_at": arrived,
            "raw": base64.b64encode(raw).decode(),
        }
        self._put_object(
            Bucket=self._bucket,
            Key=f"quarantine/dt={arrived[:10]}/{shard}-{sequence}-{number}.json",
            Body=json.dumps(body).encode(),
        )
        self.metrics["QuarantinedRecords"] += 1


def _first_left(position: str, arrivals: Sequence[Arrival], records: Sequence[dict[str, Any]]) -> str:
    """Sequence number of the first record with an event beyond `position`: one that is wholly counted is not named."""
    left = next((one.record for one in arrivals if one.position > position), "")
    numbers = [str(record["kinesis"]["sequenceNumber"]) for record in records]
    return next(number for number in numbers if sortable(number) >= left)


def metrics_line(metrics: Counter[str], stream: str, now_ms: int) -> str:
    """`metrics` in CloudWatch's embedded metric format: a line of log that becomes numbers without a call."""
    declared = {
        "Namespace": NAMESPACE,
        "Dimensions": [["StreamName"]],
        "Metrics": [{"Name": name, "Unit": "Count"} for name in METRICS],
    }
    values: dict[str, Any] = {name: metrics[name] for name in METRICS}
    return json.dumps({"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [declared]}, "StreamName": stream, **values})


def delivered(shard: str, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records of GetRecords in the shape in which Lambda delivers them."""
    return [
        {
            "eventID": f"{shard}:{record['SequenceNumber']}",
            "eventSource": "aws:kinesis",
            "kinesis": {
                "sequenceNumber": record["SequenceNumber"],
                "partitionKey": record["PartitionKey"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            },
        }
        for record in records
    ]


def _event(line: Line | NotAnEvent, latest_ms: int) -> tuple[Event, int]:
    """The event and its time; raises NotAnEvent for what validation would not have let into the stream."""
    if isinstance(line, NotAnEvent):
        raise line
    ms = _clock.canonical_ms(line.timestamp)
    if ms is None:
        raise NotAnEvent(f"timestamp {line.timestamp[:40]!r} is not in the stored form")
    if ms > latest_ms:
        raise NotAnEvent(f"timestamp {line.timestamp} is more than a day ahead")
    ids = (line.event_id, line.user_id, line.anonymous_id, line.session_id)
    if any(one is not None and not 0 < len(one) <= MAX_ID_LENGTH for one in ids) or not any(ids[1:]):
        raise NotAnEvent("an id is empty or too long, or none says who it was")
    if not 0 < len(line.event_type) <= _LONGEST_TYPE:
        raise NotAnEvent("event_type is empty or too long")
    properties = properties_of(line)
    event = Event(
        event_type=line.event_type,
        event_id=line.event_id,
        user_id=line.user_id,
        anonymous_id=line.anonymous_id,
        session_id=line.session_id,
        timestamp=line.timestamp,
        properties=properties if line.event_type in _READ_PROPERTIES else None,
    )
    return event, ms
