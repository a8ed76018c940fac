"""The sink against a second emulator, written by others in another language: the same promises hold there."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from clickstream.aws import packing
from clickstream.aws.clients import Emulated, producer
from clickstream.aws.sink import KinesisSink, Outcome
from tests.support.event_sample import sample_events
from tests.support.kinesalite import MISSING, Kinesalite, is_installed
from tests.support.stream_reader import events_in, shard_records
from tests.support.strict_kinesis import StrictKinesis

pytestmark = [pytest.mark.aws, pytest.mark.skipif(not is_installed(), reason=MISSING)]

EVENTS = 50_000
GROUP = 2_000
SHARDS = 4


@pytest.fixture
def kinesalite() -> Iterator[Kinesalite]:
    with Kinesalite() as running:
        kinesis = running.connect()
        kinesis.create_stream(StreamName="events", ShardCount=SHARDS)
        kinesis.get_waiter("stream_exists").wait(StreamName="events", WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
        yield running


def put_all(url: str, seed: int) -> None:
    sink = KinesisSink(producer("us-east-1", emulated=Emulated(url)).put_records, "events", chance=random.Random(3))
    records = [json.dumps(event, separators=(",", ":")).encode() for event in sample_events(EVENTS, seed)]
    for begin in range(0, EVENTS, GROUP):
        assert sink.put(records[begin : begin + GROUP], deadline_s=60) == Outcome()
    sink.close()


def test_fifty_thousand_events_arrive_once_each_persons_in_one_shard_in_the_order_they_came(
    kinesalite: Kinesalite,
) -> None:
    put_all(kinesalite.url, seed=11)

    copies: Counter[str] = Counter()
    found: dict[str, list[int]] = defaultdict(list)
    shards: dict[str, set[str]] = defaultdict(set)
    for shard, records in shard_records(kinesalite.connect(), "events").items():
        for record in records:
            for _, line, _ in packing.unpack(record["Data"]):
                assert isinstance(line, packing.Line)
                key = line.user_id or line.anonymous_id or line.session_id or ""
                copies[line.event_id] += 1
                found[key].append(int(line.event_id.removeprefix("event-")))
                shards[key].add(shard)
    assert copies == Counter(f"event-{index}" for index in range(EVENTS))
    assert all(len(used) == 1 for used in shards.values())
    assert set().union(*shards.values()) == {f"shardId-{number:012d}" for number in range(SHARDS)}
    assert all(order == sorted(order) for order in found.values())


def test_with_lost_answers_and_failing_records_nothing_is_lost_and_a_fault_repeats_one_call(
    kinesalite: Kinesalite,
) -> None:
    with StrictKinesis(kinesalite.url, shards=SHARDS) as proxy:
        proxy.faults.record_failure_rate = 0.1
        proxy.faults.lose_answers = 3
        put_all(proxy.url, seed=12)
        assert proxy.problems == []

    copies = Counter(event["event_id"] for event in events_in(kinesalite.connect(), "events"))
    assert set(copies) == {f"event-{index}" for index in range(EVENTS)}
    # The first three calls are the ones whose answers were lost: a call carries at most one group.
    assert 0 < sum(copies.values()) - EVENTS <= 3 * GROUP
    assert proxy.counts["failed"] > 50
