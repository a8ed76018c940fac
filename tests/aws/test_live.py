"""The live counters as the API reads them, whatever becomes of the reading."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from clickstream.aws.clients import client
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.resources import Names
from tests.support.aws_cloud import Cloud, send
from tests.support.consuming import Setting, packed
from tests.support.event_sample import sample_events
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


@pytest.fixture
def at(names: Names) -> Setting:
    return Setting(names)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_busy_table_is_said_now_and_then_and_read_again_afterwards(
    at: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    at.consumer.consume(packed(sample_events(30, seed=40)))
    busy, waited, clock = [True], [], Clock()

    def keep_back(parsed: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
        """As DynamoDB answers when partitions are throttled."""
        if busy[0]:
            parsed["UnprocessedKeys"] = {at.table._name: {"Keys": [{"pk": {"S": "a"}, "sk": {"S": "b"}}]}}

    at.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", keep_back)
    live = LiveCounters(CounterTable(at.dynamodb, at.table._name, wait=waited.append), clock_s=clock)

    with caplog.at_level(logging.INFO):
        for second in range(40):
            clock.now_s = second
            assert live.try_read() is None
        busy[0] = False
        stats = live.try_read()

    assert stats is not None and sum(stats.types.values()) == 30
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert waited


def test_the_api_shows_numbers_again_once_what_could_not_be_read_is_gone(cloud: Cloud) -> None:
    dynamodb = client("dynamodb", "us-east-1")
    damaged = {"pk": {"S": "shard#damaged"}, "sk": {"S": "state"}}
    with cloud.api() as api:
        send(api, 0, 100)
        cloud.count()
        until(lambda: api.get("/stats")["total_events"] == 100)

        dynamodb.put_item(TableName=cloud.names.table, Item={**damaged, "body": {"B": b"not msgpack"}})
        dynamodb.put_item(TableName=cloud.names.table, Item={"pk": {"S": "shards"}, "sk": {"S": "damaged"}})
        until(lambda: "counters not read" in (cloud.directory / "api.log").read_text())
        assert api.get("/stats")["total_events"] == 100
        dynamodb.delete_item(TableName=cloud.names.table, Key=damaged)
        send(api, 100, 100)
        cloud.count()

        until(lambda: api.get("/stats")["total_events"] == 200)
