"""A consumer over tables and buckets of its own, and the records that it is given."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from clickstream.aws.clients import client
from clickstream.aws.consumer.consumer import Consumer
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.resources import Names, table_schema
from clickstream.aws.packing import pack
from clickstream.events import Event
from clickstream.stats import Stats, snapshot
from clickstream.timestamps import parse
from tests.support.event_sample import START_MS

NOW_MS = START_MS + 3 * 86_400_000
DONE: dict[str, Any] = {"batchItemFailures": []}
SHARD = "shardId-000000000000"


def encoded(events: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]


def delivered(
    datas: list[bytes],
    *,
    shard: str = SHARD,
    key: str = "lane-000",
    first: int = 49_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000,
) -> list[dict[str, Any]]:
    """Records as Lambda delivers them; sequence numbers have more digits than DynamoDB's numbers."""
    return [
        {
            "eventID": f"{shard}:{first + index}",
            "kinesis": {
                "sequenceNumber": str(first + index),
                "partitionKey": key,
                "data": base64.b64encode(data).decode(),
                "approximateArrivalTimestamp": NOW_MS / 1000,
            },
        }
        for index, data in enumerate(datas)
    ]


def packed(events: list[dict[str, Any]], *, at_once: int = 40, **place: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    records = encoded(events)
    packs = [one for begin in range(0, len(records), at_once) for one in pack(records[begin : begin + at_once])]
    return delivered([one.data for one in packs], **place)


def expected_numbers(events: list[dict[str, Any]], window: str, *, now_ms: int = NOW_MS) -> dict[str, Any]:
    """What the local platform shows at `now_ms` for the same events."""
    stats = Stats()
    for event in events:
        known = {
            name: event.get(name)
            for name in ("event_type", "event_id", "user_id", "anonymous_id", "session_id", "properties")
        }
        stats.fold([Event(**known)], [parse(event["timestamp"])], NOW_MS)
    return snapshot(stats, window, now_ms)


class Setting:
    def __init__(self, names: Names) -> None:
        self.dynamodb, self.s3 = client("dynamodb", "us-east-1"), client("s3", "us-east-1")
        self.dynamodb.create_table(TableName=names.table, **table_schema())
        self.s3.create_bucket(Bucket=names.bucket)
        self.bucket = names.bucket
        self.table = CounterTable(self.dynamodb, names.table)
        self.consumer = self.make()

    def make(
        self,
        table: CounterTable | None = None,
        put_object: Callable[..., object] | None = None,
        *,
        now_ms: int = NOW_MS,
    ) -> Consumer:
        return Consumer(table or self.table, put_object or self.s3.put_object, self.bucket, clock_ms=lambda: now_ms)

    def numbers(self, window: str = "all", *, now_ms: int = NOW_MS) -> dict[str, Any]:
        return snapshot(LiveCounters(self.table, clock_ms=lambda: now_ms).read(), window, now_ms)

    def quarantined(self) -> list[dict[str, Any]]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="quarantine/").get("Contents", [])
        return [json.loads(self.s3.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read()) for one in listed]
