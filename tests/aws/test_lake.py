"""The lake read back: each event once, whatever else its rows hold."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from clickstream.aws.clients import client
from clickstream.aws.lake import Lake
from clickstream.aws.local.delivery import Delivery
from clickstream.aws.local.resources import Names, create
from clickstream.aws.packing import line_of
from clickstream.aws.replaying import ReplayFailed
from clickstream.parquet import write
from tests.aws.test_replay import run
from tests.support.event_sample import sample_events
from tests.support.stream_reader import events_in

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

SOUND = (
    '{"v":1,"event_id":"%s","event_type":"click","user_id":"u","timestamp":"2026-01-01T00:00:00Z",'
    '"received_at":"2026-01-01T00:00:00Z"%s}'
)
BROKEN = [
    SOUND % ("bad-1", ',"extra":"oops"'),
    SOUND % ("bad-2", ',"properties":"{oops"'),
    SOUND % ("bad-3", ',"extra":"{\\"received_at\\":7}"'),
    '{"v":1,"event_id":"bad-4","event_type":"click","user_id":"u","timestamp":"2026-01-01T00:00:00Z"}',
    '{"v":1,"user_id":"u"}',
]


@pytest.fixture
def s3(names: Names) -> Any:  # noqa: ANN401 (boto3)
    create(names, lambda service: client(service, "us-east-1"), shards=1)
    return client("s3", "us-east-1")


def put(s3: Any, bucket: str, key: str, lines: list[bytes], directory: Path) -> None:  # noqa: ANN401 (boto3)
    s3.upload_file(str(write(lines, directory)), bucket, key)


def test_rows_that_hold_no_event_are_left_out_and_stop_nothing(
    s3: Any,  # noqa: ANN401 (boto3)
    names: Names,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    events = [json.dumps(event).encode() for event in sample_events(40, seed=51)]
    sound = [line_of(event) for event in events]
    broken = [line.encode() for line in BROKEN]
    put(s3, names.bucket, "events/dt=2026-01-15/hour=10/a.parquet", [*sound[:20], *broken, *sound[20:30]], tmp_path)
    put(s3, names.bucket, "events/dt=2026-01-15/hour=11/b.parquet", [*sound[25:], sound[0]], tmp_path)

    with caplog.at_level(logging.WARNING):
        found = [json.loads(record) for record in Lake(s3, names.bucket).records()]

    assert found == [json.loads(event) for event in events]
    assert "place=events/dt=2026-01-15/hour=10/a.parquet, row 21" in caplog.text
    assert "rows=5" in caplog.text


def test_a_replay_of_the_lake_names_rows_that_hold_no_event_and_goes_on(
    s3: Any,  # noqa: ANN401 (boto3)
    names: Names,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sound = [line_of(json.dumps(event).encode()) for event in sample_events(10, seed=52)]
    key = "events/dt=2026-01-15/hour=10/a.parquet"
    put(s3, names.bucket, key, [*sound[:5], BROKEN[0].encode(), *sound[5:]], tmp_path)

    assert run("--from", f"s3://{names.bucket}/events/", "--to", f"kinesis:{names.stream}") == 1

    assert f"{key}, row 6: properties or extra" in capsys.readouterr().err
    assert len(events_in(client("kinesis", "us-east-1"), names.stream)) == 10


def failed(line: bytes) -> str:
    """As Firehose documents it; the fields that nobody reads are left out."""
    return json.dumps({"attemptsMade": 1, "lastErrorCode": "x", "rawData": base64.b64encode(line).decode()})


def test_what_firehose_could_not_convert_is_brought_into_the_lake_and_not_counted_again(
    s3: Any,  # noqa: ANN401 (boto3)
    names: Names,
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = sample_events(30, seed=53)
    lines = [line_of(json.dumps(event).encode()) for event in events]
    documents = [failed(lines[0] + b"\n" + lines[1] + b"\n"), *map(failed, lines[2:])]
    place = "errors/format-conversion-failed/dt=2026-01-15/"
    s3.put_object(Bucket=names.bucket, Key=place + "a", Body="\n".join(documents[:10]) + "\n")
    s3.put_object(Bucket=names.bucket, Key=place + "b", Body="".join(documents[10:]))

    for _ in range(2):
        assert run("--from", f"s3://{names.bucket}/errors/", "--to", f"s3://{names.bucket}/events/") == 0

    assert capsys.readouterr().out.count("30 events sent: 30 accepted") == 2
    found = {event["event_id"]: event for event in map(json.loads, Lake(s3, names.bucket).records())}
    assert found == {event["event_id"]: event for event in events}
    assert len(Lake(s3, names.bucket).keys()) == len({event["received_at"][:13] for event in events})
    assert events_in(client("kinesis", "us-east-1"), names.stream) == []


def test_what_nobody_can_convert_is_named_and_stays_out_of_the_lake(
    s3: Any,  # noqa: ANN401 (boto3)
    names: Names,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kinesis = client("kinesis", "us-east-1")
    kinesis.put_record(StreamName=names.stream, Data=b"{broken\n", PartitionKey="x")
    Delivery(kinesis, s3, names.stream, names.bucket).take()
    s3.put_object(Bucket=names.bucket, Key="errors/z", Body=b"{}")

    assert run("--from", f"s3://{names.bucket}/errors/", "--to", f"s3://{names.bucket}/events/") == 1

    shown = capsys.readouterr().err.splitlines()
    assert "record 1, line 1: " in shown[0]
    assert "errors/z: not what Firehose writes" in shown[1]
    assert Lake(s3, names.bucket).keys() == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("s3://b/errors/", "kinesis:x"),
        ("s3://b/errors/", "http://127.0.0.1:9"),
        ("s3://b/errors/", "s3://b/other/"),
        ("s3://b/aws/lambda/", "s3://b/events/"),
    ],
)
def test_only_what_was_not_converted_goes_into_the_lake_and_nowhere_else(source: str, target: str) -> None:
    with pytest.raises(ReplayFailed, match="has been counted and is missing in the lake only"):
        run("--from", source, "--to", target, "--table", "t")
