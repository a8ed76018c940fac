"""The API with ENV=aws on an emulator, behind the strict proxy, and what a client sends to it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import requests

from clickstream.aws.clients import client
from clickstream.aws.consumer.consumer import Consumer, delivered
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.local.emulator import emulator_environment
from clickstream.aws.local.resources import Names
from clickstream.timestamps import text
from tests.support.platform import Platform, platform
from tests.support.stream_reader import events_in, shard_records
from tests.support.strict_kinesis import StrictKinesis


class Cloud:
    """The resources, the strict proxy before them, and the API that uses both."""

    def __init__(self, emulator_url: str, proxy: StrictKinesis, names: Names, directory: Path) -> None:
        self.emulator_url, self.proxy, self.names, self.directory = emulator_url, proxy, names, directory
        self.kinesis = client("kinesis", "us-east-1")

    def api(self, *, wait: bool = True, **settings: str) -> AbstractContextManager[Platform]:
        places = {**emulator_environment(self.emulator_url), "AWS_ENDPOINT_URL_KINESIS": self.proxy.url}
        return platform(self.directory, wait=wait, **{**places, **self.names.environment(), **settings})

    def ids(self) -> list[str]:
        return [event["event_id"] for event in events_in(self.kinesis, self.names.stream)]

    def count(self) -> None:
        """Do once what Lambda does all the time."""
        table = CounterTable(client("dynamodb", "us-east-1"), self.names.table)
        consumer = Consumer(table, client("s3", "us-east-1").put_object, self.names.bucket, clock_ms=now_ms)
        for shard, records in shard_records(self.kinesis, self.names.stream).items():
            assert consumer.consume(delivered(shard, records)) == {"batchItemFailures": []}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def batch(begin: int, count: int) -> list[dict[str, Any]]:
    stamp = text(now_ms())
    return [
        {
            "event_id": f"e{index}",
            "event_type": ["page_view", "add_to_cart", "checkout", "purchase"][index % 4],
            "session_id": f"s{index // 4}",
            "user_id": f"u{index // 8}",
            "timestamp": stamp,
            "properties": {"page": "/p", "total": 1.5, "nested": {"deep": [1, "ü 🙂"]}},
            "country": "DE",
        }
        for index in range(begin, begin + count)
    ]


def send(api: Platform, begin: int, count: int) -> requests.Response:
    return requests.post(f"{api.url}/events", json={"records": batch(begin, count)}, timeout=30)
