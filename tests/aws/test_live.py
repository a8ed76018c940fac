"""The live counters as the API reads them, whatever becomes of the reading."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from clickstream.aws.clients import client
from clickstream.aws.consumer.table import CounterTable, Put, minute_key
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.resources import Names
from clickstream.stats.minutes import Minute
from clickstream.timestamps import text
from tests.support.aws_cloud import Cloud, send
from tests.support.consuming import DONE, NOW_MS, SHARD, Setting, expected_numbers, packed
from tests.support.event_sample import sample_events
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


@pytest.fixture
def at(names: Names) -> Setting:
    return Setting(names)


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def test_a_busy_table_is_said_once_and_read_again_afterwards(at: Setting, caplog: pytest.LogCaptureFixture) -> None:
    at.consumer.consume(packed(sample_events(30, seed=40)))
    busy, waited = [True], []

    def keep_back(parsed: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
        """As DynamoDB answers when partitions are throttled."""
        if busy[0]:
            parsed["UnprocessedKeys"] = {at.table._name: {"Keys": [{"pk": {"S": "a"}, "sk": {"S": "b"}}]}}

    at.dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", keep_back)
    live = LiveCounters(CounterTable(at.dynamodb, at.table._name, wait=waited.append))

    with caplog.at_level(logging.INFO):
        for _ in range(40):
            assert live.try_read() is None
        busy[0] = False
        stats = live.try_read()

    assert stats is not None and sum(stats.types.values()) == 30
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
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


def test_the_rolling_minute_is_that_of_the_local_platform(at: Setting) -> None:
    """Events of the last minutes through two shards, some late, some of the future; a minute is read as it moves on."""
    events = [
        {**event, "timestamp": text(NOW_MS + 700 * (index - 250))}
        for index, event in enumerate(sample_events(300, seed=41))
    ]
    for begin in range(0, 300, 50):
        assert at.consumer.consume(packed(events[begin : begin + 50 : 2], first=5 * 10**55 + begin)) == DONE
        other = packed(events[begin + 1 : begin + 50 : 2], first=5 * 10**55 + begin, shard="shardId-000000000001")
        assert at.consumer.consume(other) == DONE

    for later_s in (0, 1, 20, 59, 61, 100):
        now_ms = NOW_MS + 1000 * later_s
        local = expected_numbers(events, "15m", now_ms=now_ms)["rolling_minute"]
        assert at.numbers("15m", now_ms=now_ms)["rolling_minute"] == local
        assert local["events"] == {0: 86, 1: 85, 20: 85, 59: 50, 61: 47, 100: 0}[later_s]


def test_a_minute_that_an_earlier_consumer_counted_is_read_and_counted_on(at: Setting) -> None:
    earlier = Minute(types={"click": 3}, last_users=1)
    key = minute_key(NOW_MS // 60_000, SHARD)
    at.table.commit([Put(key, msgspec.msgpack.encode(earlier))])
    event = {**sample_events(1, seed=42)[0], "event_type": "click", "timestamp": text(NOW_MS)}

    assert at.consumer.consume(packed([event])) == DONE

    numbers = at.numbers("15m")
    assert numbers["events_by_type"] == {"click": 4}
    assert numbers["rolling_minute"] == {"events": 1}


def test_hours_that_the_counters_have_dropped_leave_the_memory_of_the_api(at: Setting) -> None:
    clock = Clock()
    live = LiveCounters(at.table, clock_ms=clock)
    counted = [{**one, "timestamp": text(NOW_MS - 600_000 * i)} for i, one in enumerate(sample_events(200, seed=43))]
    at.consumer.consume(packed(counted))
    assert len(live.read().minutes.hours) > 30

    clock.now_ms = NOW_MS + 4 * 86_400_000
    later = [{**sample_events(1, seed=44)[0], "event_id": "later", "timestamp": text(clock.now_ms)}]
    at.make(now_ms=clock.now_ms).consume(packed(later, first=9 * 10**55))
    stats = live.read()

    assert stats.minutes.hours.keys() == live._hours.keys() == {clock.now_ms // 3_600_000}


def test_only_the_lists_of_hours_that_changed_are_put_together_anew(at: Setting) -> None:
    events = [{**one, "timestamp": text(NOW_MS - 60_000 * i)} for i, one in enumerate(sample_events(300, seed=45))]
    at.consumer.consume(packed(events))
    live = LiveCounters(at.table)
    first = live.read().minutes.hours

    same = live.read().minutes.hours
    at.consumer.consume(packed([{**events[0], "event_id": "one-more"}], first=9 * 10**55))
    changed = live.read().minutes.hours

    assert len(first) == 6
    assert all(same[hour] is top for hour, top in first.items())
    assert [hour for hour, top in first.items() if changed[hour] is not top] == [NOW_MS // 3_600_000]
