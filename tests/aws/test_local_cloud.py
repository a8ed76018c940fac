"""The stand-ins for what AWS runs by itself, and the whole of it as one command."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clickstream.aws.local.accounting import Accounts
from clickstream.aws.local.cloud import LocalCloud
from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names, create, trigger_settings
from clickstream.aws.local.runner import EventSource
from clickstream.aws.local.shards import ShardReader
from clickstream.aws.packing import line_of
from clickstream.aws.sink import KinesisSink, Outcome
from clickstream.ports import free_port
from tests.aws.test_consumer import Setting, expected_numbers
from tests.support.event_sample import sample_events
from tests.support.processes import ROOT, environment
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


def fill(emulator: Emulator, names: Names, datas: list[bytes], *, shards: int = 1) -> None:
    create(names, emulator.connect, shards=shards)
    kinesis = emulator.connect("kinesis")
    for begin in range(0, len(datas), 100):
        entries = [
            {"Data": data, "PartitionKey": f"k{index}"} for index, data in enumerate(datas[begin : begin + 100], begin)
        ]
        assert kinesis.put_records(StreamName=names.stream, Records=entries)["FailedRecordCount"] == 0


def source(
    emulator: Emulator, names: Names, function: Callable[..., dict[str, Any]], *, at_once: int = 1
) -> EventSource:
    return EventSource(
        ShardReader(emulator.connect("kinesis"), names.stream),
        function,
        trigger_settings(),
        put_object=emulator.connect("s3").put_object,
        bucket=names.bucket,
        wait=lambda _: None,
        at_once=at_once,
    )


def data_of(record: dict[str, Any]) -> str:
    return base64.b64decode(record["kinesis"]["data"]).decode()


def test_one_bad_record_is_isolated_retried_five_times_and_kept_and_the_others_go_on(
    emulator: Emulator, names: Names
) -> None:
    fill(emulator, names, [b"poison" if index == 37 else b"good %d" % index for index in range(100)])
    taken: list[str] = []
    alone = 0

    def function(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        nonlocal alone
        if any(data_of(record) == "poison" for record in records):
            alone += len(records) == 1
            raise ValueError("planted")
        taken.extend(map(data_of, records))
        return {"batchItemFailures": []}

    events = source(emulator, names, function)

    assert events.deliver() == 100
    assert taken == [f"good {index}" for index in range(100) if index != 37]
    assert alone == 1 + 5
    (key,) = events.failed
    kept = json.loads(emulator.connect("s3").get_object(Bucket=names.bucket, Key=key)["Body"].read())
    assert [data_of(record) for record in json.loads(kept["payload"])["Records"]] == ["poison"]
    assert kept["KinesisBatchInfo"]["batchSize"] == 1
    assert events.deliver() == 0


def test_a_partial_answer_has_only_the_rest_delivered_again(emulator: Emulator, names: Names) -> None:
    fill(emulator, names, [b"%d" % index for index in range(10)])
    calls: list[list[str]] = []

    def function(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        calls.append([data_of(record) for record in records])
        failures = [{"itemIdentifier": records[6]["kinesis"]["sequenceNumber"]}] if len(calls) == 1 else []
        return {"batchItemFailures": failures}

    source(emulator, names, function).deliver()

    assert calls == [[str(number) for number in range(10)], ["6", "7"], ["8", "9"]]


def test_counters_are_exact_although_the_function_dies_after_counting(names: Names, emulator: Emulator) -> None:
    """As when Lambda times out: the transaction stands, the batch is delivered again, halved and whole."""
    chance = random.Random(3)
    events = sample_events(400, seed=21)
    at = Setting(names)
    kinesis = emulator.connect("kinesis")
    kinesis.create_stream(StreamName=names.stream, ShardCount=3)
    sink = KinesisSink(kinesis.put_records, names.stream)
    for begin in range(0, 400, 20):
        records = [json.dumps(event).encode() for event in events[begin : begin + 20]]
        assert sink.put(records, deadline_s=30) == Outcome()
    sink.close()

    def function(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        answer = at.consumer.consume(records)
        if chance.random() < 0.4:
            raise TimeoutError("planted")
        return answer

    runner = source(emulator, names, function)
    runner.deliver()

    for window in ("all", "24h", "1h"):
        assert at.numbers(window) == expected_numbers(events, window)


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_split_shard_is_counted_exactly(names: Names, emulator: Emulator, at_once: int) -> None:
    events = sample_events(300, seed=22)
    at = Setting(names)
    kinesis = emulator.connect("kinesis")
    kinesis.create_stream(StreamName=names.stream, ShardCount=1)
    sink = KinesisSink(kinesis.put_records, names.stream)
    runner = source(emulator, names, at.consumer.consume, at_once=at_once)
    for begin in range(0, 300, 30):
        if begin == 150:
            (shard,) = kinesis.list_shards(StreamName=names.stream)["Shards"]
            kinesis.split_shard(StreamName=names.stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(2**127))
        records = [json.dumps(event).encode() for event in events[begin : begin + 30]]
        assert sink.put(records, deadline_s=30) == Outcome()
        runner.deliver()
    sink.close()

    assert len(kinesis.list_shards(StreamName=names.stream)["Shards"]) == 3
    assert at.numbers("all") == expected_numbers(events, "all")


def test_the_accounts_of_a_local_cloud_balance_and_notice_one_missing_event(emulator: Emulator, names: Names) -> None:
    cloud = LocalCloud(emulator.connect, names, shards=2)
    cloud.start()
    events = sample_events(500, seed=23)
    sink = KinesisSink(emulator.connect("kinesis").put_records, names.stream)
    sink.put([json.dumps(event).encode() for event in events], deadline_s=30)
    sink.close()

    cloud.finish()
    ids = {event["event_id"] for event in events}

    assert cloud.accounts(ids).is_balanced
    assert not cloud.accounts(ids | {"never sent"}).is_balanced
    assert "missing in the lake: 1, such as never sent" in cloud.accounts(ids | {"never sent"}).lines()


def test_accounts_differ_when_any_place_differs() -> None:
    full, less = {"a", "b"}, {"a"}

    assert Accounts(full, full, full, 2).is_balanced
    assert not Accounts(full, less, full, 2).is_balanced
    assert not Accounts(full, full, less, 2).is_balanced
    assert not Accounts(full, full, full, 3).is_balanced
    assert not Accounts(less, full, full, 2).is_balanced


def test_an_undecodable_line_goes_to_errors_and_the_rest_into_the_lake(emulator: Emulator, names: Names) -> None:
    good = [line_of(json.dumps(event).encode()) for event in sample_events(2, seed=24)]
    cloud = LocalCloud(emulator.connect, names, shards=1)
    emulator.connect("kinesis").put_record(
        StreamName=names.stream, Data=good[0] + b"\n{broken\n" + good[1], PartitionKey="k"
    )

    cloud.start()
    cloud.finish()

    kept = emulator.connect("s3").list_objects_v2(Bucket=names.bucket, Prefix="errors/")["Contents"]
    assert len(kept) == 1
    assert (cloud.delivery.delivered, cloud.delivery.failed) == (2, 1)


def main_thread_of(pid: int) -> int:
    return pid


def other_thread_of(pid: int) -> int:
    """Where the kernel may deliver what was sent to the process; that does not interrupt the main thread."""
    threads = sorted(int(task.name) for task in Path(f"/proc/{pid}/task").glob("*"))
    return next((thread for thread in threads if thread != pid), pid)


@pytest.mark.e2e
@pytest.mark.parametrize("meets", [main_thread_of, other_thread_of])
def test_the_demo_with_aws_local_ends_with_equal_counts_and_leaves_nothing_behind(
    tmp_path: Path, meets: Callable[[int], int]
) -> None:
    ports = {"API_PORT": str(free_port()), "DASHBOARD_PORT": str(free_port())}
    log = tmp_path / "demo.log"
    command = [sys.executable, "-m", "clickstream.aws.local", "--no-browser", "--generator", "simple"]
    with log.open("wb") as out:
        demo = subprocess.Popen(command, stdout=out, stderr=out, env=environment(**ports), cwd=ROOT)
        try:
            until(lambda: re.search(r"[1-9]\d* events ·", log.read_text()), timeout_s=60)
            os.kill(meets(demo.pid), signal.SIGINT)
            code = demo.wait(60)
        finally:
            demo.kill()

    printed = log.read_text()
    assert code == 0, printed
    assert "All four are equal." in printed
    acknowledged = re.search(r"acknowledged by the API +(\d+)", printed)
    assert acknowledged is not None
    assert int(acknowledged[1]) > 0
