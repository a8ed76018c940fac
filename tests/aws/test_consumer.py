"""The Lambda consumer: exact counters under every way of delivering the same stream."""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from typing import Any

import pytest

from clickstream.aws import emitting, reconciliation
from clickstream.aws.consumer.consumer import METRICS, NAMESPACE, metrics_line
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.resources import Names
from clickstream.aws.local.template import load_template, resources
from clickstream.aws.packing import REPLAYED, pack
from clickstream.timestamps import text
from tests.support.consuming import NOW_MS, Setting, delivered, encoded, expected_numbers, packed
from tests.support.event_sample import START_MS, sample_events

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

WINDOWS = ("all", "24h", "1h", "15m")


@pytest.fixture
def at(names: Names) -> Setting:
    return Setting(names)


def assert_same(at: Setting, events: list[dict[str, Any]]) -> None:
    for window in WINDOWS:
        assert at.numbers(window) == expected_numbers(events, window), window


def test_the_counters_give_the_numbers_of_the_local_platform(at: Setting) -> None:
    events = sample_events(600, seed=11)

    answer = at.consumer.consume(packed(events))

    assert answer == {"batchItemFailures": []}
    assert at.consumer.metrics == Counter(CountedEvents=600)
    assert_same(at, events)
    assert at.numbers("all")["funnel"][3]["sessions"] > 0


def test_batches_cut_anew_and_delivered_three_times_count_once(at: Setting) -> None:
    events, chance = sample_events(300, seed=12), random.Random(1)
    records = packed(events, at_once=10)

    for _ in range(3):
        begin = 0
        while begin < len(records):
            size = chance.randint(1, 60)
            # Now and then from before where the last delivery ended, as after a lost checkpoint.
            start = max(0, begin - chance.randint(0, 10))
            assert at.consumer.consume(records[start : begin + size]) == {"batchItemFailures": []}
            begin += size

    assert_same(at, events)


def test_a_call_that_a_producer_repeats_counts_once(at: Setting) -> None:
    events = sample_events(200, seed=13)
    datas = [one.data for one in pack(encoded(events))]

    at.consumer.consume(delivered(datas + datas[:10]))
    at.consumer.consume(delivered(datas[:20], first=10**55 * 5))

    assert_same(at, events)


def test_a_replayed_event_counts_once_when_two_shards_bring_it_at_the_same_time(at: Setting) -> None:
    """As when a lane is moved to another shard between two replays; copies in one batch count once as well."""
    events = sample_events(120, seed=33)
    place = {"key": f"{REPLAYED}lane-000"}
    other = packed(events, at_once=7, shard="shardId-000000000001", **place)

    class Interrupted(CounterTable):
        commits = 0

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            self.commits += 1
            if other and self.commits % 2:
                assert at.consumer.consume([other.pop(0), other.pop(0)] if len(other) > 1 else [other.pop()]) == {
                    "batchItemFailures": []
                }
            super().commit(puts)

    consumer = at.make(Interrupted(at.dynamodb, at.table._name))
    twice = [*events[:20], *events[:20], *events]
    assert consumer.consume(packed(twice, at_once=9, **place)) == {"batchItemFailures": []}
    at.consumer.consume(other)

    assert_same(at, events)


def test_a_replayed_event_that_changes_no_session_counts_once_in_two_shards(at: Setting) -> None:
    first, second = (
        {"event_id": f"e{second}", "event_type": "search", "session_id": "s", "timestamp": text(START_MS + second)}
        | {"received_at": text(START_MS)}
        for second in (0, 1)
    )
    at.consumer.consume(packed([first]))
    place = {"key": f"{REPLAYED}lane-000", "first": 5 * 10**55}

    class Interrupted(CounterTable):
        interrupted = False

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            if not self.interrupted:
                self.interrupted = True
                at.consumer.consume(packed([second], shard="shardId-000000000001", **place))
            super().commit(puts)

    at.make(Interrupted(at.dynamodb, at.table._name)).consume(packed([second], **place))

    assert_same(at, [first, second])


def test_what_is_counted_more_than_two_days_after_it_happened_is_in_the_totals_only(at: Setting) -> None:
    times_ms = [NOW_MS - days * 86_400_000 - 60_000 for days in (1, 3)]
    event = {"event_type": "click", "user_id": "u", "received_at": text(NOW_MS)}
    at.consumer.consume(packed([{**event, "event_id": f"e{ms}", "timestamp": text(ms)} for ms in times_ms]))

    by_minute = [reconciliation.in_counters(at.table, ms - 3_600_000, ms + 3_600_000) for ms in times_ms]

    assert by_minute == [1, 0]
    assert at.numbers()["total_events"] == 2


def test_one_bad_line_in_a_pack_is_quarantined_and_the_rest_is_counted(at: Setting) -> None:
    events = sample_events(30, seed=14)
    good = [one.data for one in pack(encoded(events))]
    poison = [
        b"{broken",
        b'{"v":1,"event_id":"x","event_type":"click","user_id":"'
        + b"u" * 3000
        + b'","timestamp":"2026-01-01T00:00:00Z","received_at":"2026-01-01T00:00:00Z"}',
        b'{"v":1,"event_id":"x","event_type":"click","user_id":"u","timestamp":"yesterday","received_at":"2026-01-01T00:00:00Z"}',
        *(
            b'{"v":1,"event_id":"x","event_type":"click","user_id":"u","timestamp":"2026-01-01T00:00:00Z",'
            b'"received_at":"2026-01-01T00:00:00Z",' + rest + b"}"
            for rest in (
                b'"properties":"{oops"',  # of a type whose properties nobody counts
                b'"properties":"[]"',
                b'"extra":"oops"',
                b'"extra":"[1]"',
                b'"extra":"{\\"event_id\\":7}"',
            )
        ),
    ]
    records = delivered([good[0] + b"\n".join(poison) + b"\n" + good[1], *good[2:]])

    for _ in range(3):
        assert at.consumer.consume(records) == {"batchItemFailures": []}

    kept = sorted(at.quarantined(), key=lambda one: int(one["line"]))
    assert [base64.b64decode(one["raw"]) for one in kept] == poison
    assert all(one["reason"] for one in kept)
    assert_same(at, events)


def test_two_readers_of_one_shard_count_once(at: Setting) -> None:
    """A reader that was presumed dead comes back: the watermark lets only one of them through."""
    events = sample_events(300, seed=15)
    records = packed(events)
    half = len(records) // 2
    rival = at.make()

    class Interrupted(CounterTable):
        interrupted = False

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            if not self.interrupted:
                self.interrupted = True
                assert rival.consume(records[:half]) == {"batchItemFailures": []}
            super().commit(puts)

    slow = at.make(Interrupted(at.dynamodb, at.table._name))

    assert slow.consume(records) == {"batchItemFailures": []}
    assert_same(at, events)


def test_a_session_whose_events_come_through_two_shards_counts_once(at: Setting) -> None:
    """As after a split, or when a visitor logs in: the session's item is shared, and its version guards it."""
    events = sample_events(400, seed=16)
    first, second = events[::2], events[1::2]
    other = packed(second, shard="shardId-000000000001", at_once=5)

    class Interrupted(CounterTable):
        commits = 0

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            self.commits += 1
            if other and self.commits % 2:
                batch = [other.pop(0) for _ in range(min(3, len(other)))]
                assert at.consumer.consume(batch) == {"batchItemFailures": []}
            super().commit(puts)

    assert at.make(Interrupted(at.dynamodb, at.table._name)).consume(packed(first, at_once=5)) == {
        "batchItemFailures": []
    }
    at.consumer.consume(other) if other else None

    assert_same(at, events)


def test_a_crash_after_the_quarantine_and_before_the_transaction_changes_nothing(at: Setting) -> None:
    events = sample_events(50, seed=17)
    records = delivered(
        [pack(encoded(events))[0].data + b"{broken\n", *[one.data for one in pack(encoded(events))[1:]]]
    )

    class Crashing(CounterTable):
        def commit(self, puts: Any) -> None:  # noqa: ANN401
            raise ConnectionError("planted")

    answer = at.make(Crashing(at.dynamodb, at.table._name)).consume(records)
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["kinesis"]["sequenceNumber"]}]}
    assert at.consumer.consume(records) == {"batchItemFailures": []}

    assert len(at.quarantined()) == 1
    assert_same(at, events)


def test_a_failure_in_the_middle_names_the_first_record_that_is_not_counted(at: Setting) -> None:
    events = sample_events(800, seed=18)
    records = packed(events)

    class FailsLater(CounterTable):
        commits = 0

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            self.commits += 1
            if self.commits > 3:
                raise ConnectionError("planted")
            super().commit(puts)

    answer = at.make(FailsLater(at.dynamodb, at.table._name)).consume(records)
    (failure,) = answer["batchItemFailures"]
    numbers = [record["kinesis"]["sequenceNumber"] for record in records]
    begin = numbers.index(failure["itemIdentifier"])

    assert begin > 0
    assert at.consumer.consume(records[begin:]) == {"batchItemFailures": []}
    assert_same(at, events)


def test_a_failure_behind_the_last_line_of_a_record_names_the_next_record(at: Setting) -> None:
    events = [
        {**event, "user_id": f"u{index}", "session_id": f"s{index}", "timestamp": text(START_MS)}
        for index, event in enumerate(sample_events(92, seed=32))
    ]
    # A transaction takes 46 visitors, so the first one ends where the first record ends.
    records = delivered([b"\n".join(encoded(events[:46])), b"\n".join(encoded(events[46:]))])

    class FailsLater(CounterTable):
        commits = 0

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            self.commits += 1
            if self.commits > 1:
                raise ConnectionError("planted")
            super().commit(puts)

    answer = at.make(FailsLater(at.dynamodb, at.table._name)).consume(records)

    assert at.numbers()["total_events"] == 46
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[1]["kinesis"]["sequenceNumber"]}]}


def test_a_batch_of_what_goes_on_now_is_one_read_and_one_transaction(at: Setting) -> None:
    events = [
        {**event, "session_id": f"s{index % 30}", "user_id": f"u{index % 20}", "timestamp": text(START_MS + index)}
        for index, event in enumerate(sample_events(80, seed=31))
    ]
    at.consumer.consume(packed(events[:40]))
    calls: list[str] = []
    at.dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))

    assert at.make().consume(packed(events[40:], first=5 * 10**55)) == {"batchItemFailures": []}

    assert calls == ["BatchGetItem", "TransactWriteItems"]
    assert_same(at, events)


def test_an_unchanged_hour_is_not_read_again(at: Setting) -> None:
    at.consumer.consume(packed(sample_events(100, seed=19)))
    reads: list[str] = []

    class Watched(CounterTable):
        def query(self, pk: str) -> Any:  # noqa: ANN401
            reads.append(pk)
            return super().query(pk)

    live = LiveCounters(Watched(at.dynamodb, at.table._name))
    live.read()
    reads.clear()

    live.read()

    assert reads == ["shards"]


def test_metrics_are_what_the_alarms_and_the_dashboard_watch() -> None:
    line = json.loads(metrics_line(Counter(QuarantinedRecords=2), "stream", 1))
    alarms = resources(load_template(), "AWS::CloudWatch::Alarm").values()
    watched = {alarm["MetricName"] for alarm in alarms if alarm["Namespace"] == NAMESPACE}

    assert line["QuarantinedRecords"] == 2
    assert watched <= {*METRICS, *reconciliation.METRICS, *emitting.METRICS}
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["StreamName"]]


def test_the_lambda_process_builds_itself_from_its_environment(
    at: Setting, names: Names, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in names.environment().items():
        monkeypatch.setenv(name, value)
    from infra import consumer_lambda

    consumer_lambda._built.cache_clear()
    events = sample_events(5, seed=20)

    answer = consumer_lambda.handle({"Records": packed(events)}, None)

    assert answer == {"batchItemFailures": []}
    assert json.loads(capsys.readouterr().out)["CountedEvents"] == 5
    assert at.numbers()["total_events"] == 5
