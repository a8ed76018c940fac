"""Lake, live counters and stream compared: equal when all is well, and each kind of loss is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import sqlglot

from clickstream.analytics.engine import connect
from clickstream.aws import reconciliation
from clickstream.aws.clients import client
from clickstream.aws.consumer.consumer import Consumer, delivered
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import Lake
from clickstream.aws.local.delivery import Delivery
from clickstream.aws.local.emulator import Emulator, emulator_environment
from clickstream.aws.local.resources import Names, create
from clickstream.aws.reconciliation import Drift
from clickstream.timestamps import parse, text
from tests.support.platform import ROOT, platform
from tests.support.stream_reader import shard_records

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

HOUR_MS = 3_600_000
EVENTS = 120  # one a minute: half of them in the asked hour


@dataclass
class Cloud:
    """Stream, lake and counters that hold the same events, and how to ask about them."""

    names: Names
    url: str
    since_ms: int

    def reconcile(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "clickstream", "reconcile", "--bucket", self.names.bucket]
        command += ["--table", self.names.table, "--since", text(self.since_ms)]
        command += ["--until", text(self.since_ms + HOUR_MS), *more]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, timeout=60, check=False
        )

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], **emulator_environment(self.url), **self.names.environment()}

    def objects(self) -> list[str]:
        return Lake(client("s3", "us-east-1"), self.names.bucket).keys()


@pytest.fixture
def cloud(emulator: Emulator, names: Names, tmp_path: Path) -> Iterator[Cloud]:
    create(names, emulator.connect, shards=2)
    since_ms = reconciliation.settled_span(time.time_ns() // 1_000_000, hours=2)[0]
    events = [
        {
            "event_id": f"e{minute}",
            "event_type": "page_view",
            "user_id": f"u{minute % 7}",
            "timestamp": text(since_ms - HOUR_MS // 2 + minute * 60_000 + minute),
        }
        for minute in range(EVENTS)
    ]
    with platform(tmp_path, **emulator_environment(emulator.url), **names.environment()) as api:
        assert requests.post(f"{api.url}/events", json=events, timeout=30).json()["processed"] == EVENTS
    s3, kinesis = client("s3", "us-east-1"), client("kinesis", "us-east-1")
    consumer = Consumer(
        CounterTable(client("dynamodb", "us-east-1"), names.table),
        s3.put_object,
        names.bucket,
        clock_ms=lambda: time.time_ns() // 1_000_000,
    )
    for shard, records in shard_records(kinesis, names.stream).items():
        assert consumer.consume(delivered(shard, records)) == {"batchItemFailures": []}
    delivery = Delivery(kinesis, s3, names.stream, names.bucket)
    delivery.take()
    delivery.flush()
    yield Cloud(names, emulator.url, since_ms)


def test_all_three_hold_the_same_events_of_the_hour(cloud: Cloud) -> None:
    done = cloud.reconcile("--stream", cloud.names.stream)

    assert done.stdout.splitlines() == [
        f"events that happened from {text(cloud.since_ms)} to {text(cloud.since_ms + HOUR_MS)}",
        "in the live counters           60",
        "in the lake                    60  distinct ids",
        "in the stream                  60  distinct ids",
        "drift 0.000 %",
    ]
    assert done.returncode == 0


def test_copies_in_the_lake_are_no_drift_and_a_lost_object_is(cloud: Cloud) -> None:
    s3 = client("s3", "us-east-1")
    (key,) = cloud.objects()
    s3.copy_object(
        CopySource={"Bucket": cloud.names.bucket, "Key": key}, Bucket=cloud.names.bucket, Key=f"{key}.parquet"
    )
    assert cloud.reconcile().returncode == 0

    for key in cloud.objects():
        s3.delete_object(Bucket=cloud.names.bucket, Key=key)
    done = cloud.reconcile()

    assert done.stdout.endswith("drift 100.000 %\n")
    assert done.returncode == 1


def test_the_statement_means_the_same_to_athena(cloud: Cloud, tmp_path: Path) -> None:
    statement = reconciliation.lake_statement(cloud.since_ms, cloud.since_ms + HOUR_MS)
    back = sqlglot.transpile(sqlglot.transpile(statement, read="athena", write="athena")[0], "trino", "duckdb")[0]
    pattern = Lake(client("s3", "us-east-1"), cloud.names.bucket).download(tmp_path)

    with connect() as connection:
        connection.execute(
            f"CREATE VIEW events AS SELECT * FROM read_parquet('{pattern}', hive_types = {{'dt': VARCHAR}})"
        )

        assert connection.execute(back).fetchall() == [(60,)]


@pytest.mark.parametrize(("in_lake", "percent"), [(120, 0.0), (114, 5.0)])
def test_the_scheduled_check_emits_the_drift_that_the_alarm_watches(cloud: Cloud, in_lake: int, percent: float) -> None:
    answer = {
        "account_id": "123456789012",
        "region": "us-east-1",
        "results": [
            {
                "rows": [{"Data": [{"VarCharValue": "events"}]}, {"Data": [{"VarCharValue": str(in_lake)}]}],
                "column_info": [],
            }
        ],
    }
    requests.post(f"{cloud.url}/moto-api/static/athena/query-results", json=answer, timeout=5)
    asked = 'import sys; sys.path.insert(0, "infra"); import reconcile_lambda as r; '
    asked += 'r.handle({"database": "clickstream", "workgroup": "primary"}, None)'

    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=ROOT,
        env=cloud.environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr == ""
    line = json.loads(done.stdout)
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Clickstream"
    assert declared["Dimensions"] == [["StreamName"]]
    assert {"Name": "DriftPercent", "Unit": "Percent"} in declared["Metrics"]
    assert line["StreamName"] == cloud.names.stream
    assert (line["EventsInCounters"], line["EventsInLake"], line["DriftPercent"]) == (120, in_lake, percent)


def test_a_query_that_fails_is_no_drift_of_zero() -> None:
    class Failing:
        def start_query_execution(self, **_: object) -> dict[str, str]:
            return {"QueryExecutionId": "1"}

        def get_query_execution(self, **_: object) -> dict[str, object]:
            status = {"State": "FAILED", "StateChangeReason": "TABLE_NOT_FOUND"}
            return {"QueryExecution": {"Status": status}}

    with pytest.raises(reconciliation.NotCounted, match="TABLE_NOT_FOUND"):
        reconciliation.in_athena(Failing(), database="d", workgroup="w", since_ms=0, until_ms=60_000)


def test_a_span_ends_an_hour_ago_on_a_full_hour() -> None:
    now_ms = parse("2026-01-15T10:30:00Z")

    assert [text(ms) for ms in reconciliation.settled_span(now_ms)] == [
        "2026-01-14T09:00:00.000Z",
        "2026-01-15T09:00:00.000Z",
    ]


@pytest.mark.parametrize(
    ("counters", "lake", "stream", "percent"),
    [(0, 0, None, 0), (1000, 999, None, 0.1), (999, 1000, None, 0.1), (1000, 1000, 990, 1.0), (0, 3, None, 100)],
)
def test_drift_is_the_largest_difference(counters: int, lake: int, stream: int | None, percent: float) -> None:
    assert Drift(0, 60_000, counters, lake, stream).percent == pytest.approx(percent)


def test_without_credentials_it_says_so_in_a_sentence(tmp_path: Path) -> None:
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "clickstream", "reconcile", "--bucket", "b", "--table", "t"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **nowhere},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "AWS does not give the counts: Unable to locate credentials\n"
