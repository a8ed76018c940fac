"""The real API with ENV=aws: what it acknowledges is in Kinesis or on its disk, whatever AWS does."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests

from clickstream.analytics.engine import connect
from clickstream.aws.clients import client
from clickstream.aws.local.delivery import Delivery
from tests.support.aws_cloud import Cloud, batch, send
from tests.support.platform import platform
from tests.support.stream_reader import events_in
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


def test_an_acknowledged_event_is_in_the_stream_and_the_numbers_have_the_local_shape(
    cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "local").mkdir()
    with cloud.api() as api, platform(tmp_path / "local") as local:
        assert send(api, 0, 400).json() == {"status": "accepted", "processed": 400}
        assert send(api, 0, 10).json() == {"status": "accepted", "processed": 0, "duplicates": 10}
        assert sorted(cloud.ids()) == sorted(f"e{index}" for index in range(400))

        send(local, 0, 400)
        send(local, 0, 10)
        cloud.count()
        until(lambda: api.get("/stats")["total_events"] == 400)

        for window in ("15m", "1h", "24h", "all"):
            here, there = local.get("/stats", window=window), api.get("/stats", window=window)
            assert here.keys() == there.keys()
            for key in (
                "total_events",
                "events_by_type",
                "sessions",
                "users",
                "funnel",
                "conversion",
                "revenue",
                "top",
            ):
                assert there[key] == here[key], key
            assert [event["event_id"] for event in there["recent_events"]] == [
                event["event_id"] for event in here["recent_events"]
            ]
        assert api.accounting() == {"received": 410, "accepted": 400, "duplicates": 10, "rejected": 0}


def test_the_newest_events_page_and_filter_like_the_local_ones(cloud: Cloud) -> None:
    with cloud.api() as api:
        send(api, 0, 25)

        first = api.get("/events", limit="10")
        second = api.get("/events", limit="10", cursor=first["next_cursor"])
        bought = api.get("/events", event_type="purchase")

    assert [event["event_id"] for event in first["events"] + second["events"]] == [
        f"e{24 - index}" for index in range(20)
    ]
    assert [event["event_id"] for event in bought["events"]] == ["e23", "e19", "e15", "e11", "e7", "e3"]


def test_export_streams_the_lake_with_every_field_as_it_was_sent(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.api() as api:
        send(api, 0, 100)
        requests.post(f"{api.url}/events", json={"event_id": "bare", "event_type": "click", "user_id": "u"}, timeout=9)
        delivery = Delivery(
            client("kinesis", "us-east-1"), client("s3", "us-east-1"), cloud.names.stream, cloud.names.bucket
        )
        delivery.take()
        delivery.flush()
        delivery.flush()

        exported = {event["event_id"]: event for event in api.get("/export")}
        parquet = requests.get(f"{api.url}/export?format=parquet&event_type=purchase", timeout=30).content
        lines = requests.get(f"{api.url}/export?format=ndjson&event_type=purchase", timeout=10).text.splitlines()
        table = requests.get(f"{api.url}/export?format=csv", timeout=10).text.splitlines()
        chosen = requests.get(f"{api.url}/export?format=csv&columns=event_id,event_type&event_id=bare", timeout=10).text

    assert exported.pop("bare")["properties"] == {}
    assert exported.keys() == {f"e{index}" for index in range(100)}
    sent = batch(0, 100)
    for event in sent:
        stored = exported[event["event_id"]]
        assert {**stored, "timestamp": "", "received_at": ""} == {**event, "timestamp": "", "received_at": ""}
    assert len(lines) == 25
    assert len(table) == 102
    assert chosen == '"event_id","event_type"\r\n"bare","click"\r\n'
    (tmp_path / "export.parquet").write_bytes(parquet)
    with connect() as connection:
        rows = connection.execute(f"SELECT event_id FROM read_parquet('{tmp_path}/export.parquet')").fetchall()
    assert {row[0] for row in rows} == {f"e{index}" for index in range(3, 100, 4)}


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "parquet"])
def test_without_s3_an_export_is_refused_and_not_cut_off(cloud: Cloud, form: str) -> None:
    with cloud.api(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9") as api:
        answer = requests.get(f"{api.url}/export?format={form}", timeout=60)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["error"]["code"] == "unavailable"
    assert "the lake in S3 cannot be read now" in answer.json()["error"]["message"]


def test_a_question_is_answered_over_the_lake_each_event_once(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    s3 = client("s3", "us-east-1")
    with cloud.api() as api, platform(tmp_path / "local") as local:
        assert api.get("/analytics/top_pages")["rows"] == []  # nothing has been delivered yet
        send(api, 0, 100)
        send(local, 0, 100)
        delivery = Delivery(client("kinesis", "us-east-1"), s3, cloud.names.stream, cloud.names.bucket)
        delivery.take()
        delivery.flush()
        delivery.flush()
        (first,) = s3.list_objects_v2(Bucket=cloud.names.bucket, Prefix="events/")["Contents"][:1]
        again = {"Bucket": cloud.names.bucket, "Key": first["Key"]}
        s3.copy_object(CopySource=again, Bucket=cloud.names.bucket, Key=f"{first['Key']}-again.parquet")

        for name in ("funnel", "top_pages", "revenue", "sessions"):
            here, there = local.get(f"/analytics/{name}"), api.get(f"/analytics/{name}")
            assert there["rows"] == here["rows"] != []
        assert api.get("/analytics/top_pages", since="2999-01-01T00:00:00Z")["rows"] == []

        for one in s3.list_objects_v2(Bucket=cloud.names.bucket, Prefix="events/")["Contents"]:
            s3.delete_object(Bucket=cloud.names.bucket, Key=one["Key"])
        assert api.get("/analytics/top_pages")["rows"] == []


def test_an_outage_spills_acknowledges_and_drains_by_itself_in_order(cloud: Cloud) -> None:
    with cloud.api() as api:
        send(api, 0, 50)
        cloud.proxy.faults.is_down = True
        for begin in range(50, 250, 50):
            assert send(api, begin, 50).status_code == 202
        spill = api.get("/stats")["ingest"]["spill"]
        assert spill["bytes"] > 150 * 100
        assert spill["age_s"] >= 0
        assert spill["cap_bytes"] == 1024**3

        cloud.proxy.faults.is_down = False
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
        assert api.get("/stats")["ingest"]["spill"]["since"] is None
        assert send(api, 250, 50).status_code == 202

    by_person: dict[str, list[int]] = {}
    for event in events_in(cloud.kinesis, cloud.names.stream):
        by_person.setdefault(event["user_id"], []).append(int(event["event_id"][1:]))
    assert sorted(number for numbers in by_person.values() for number in numbers) == list(range(300))
    assert all(numbers == sorted(numbers) for numbers in by_person.values())


def test_kill_9_while_spilling_loses_nothing(cloud: Cloud) -> None:
    acknowledged = 0
    cloud.proxy.faults.is_down = True
    with cloud.api() as api:
        for begin in range(0, 400, 40):
            acknowledged += 40 if send(api, begin, 40).status_code == 202 else 0
        api.process.send_signal(signal.SIGKILL)
        api.process.wait(10)
    assert acknowledged == 400
    cloud.proxy.faults.is_down = False

    with cloud.api() as api:
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)

        assert send(api, 0, 40).json() == {"status": "accepted", "processed": 0, "duplicates": 40}
    assert set(cloud.ids()) == {f"e{index}" for index in range(400)}


def test_at_the_cap_the_api_answers_503_and_keeps_what_it_acknowledged(cloud: Cloud) -> None:
    cloud.proxy.faults.is_down = True
    with cloud.api(MAX_SPILL_BYTES="20000") as api:
        answers = [send(api, begin, 20) for begin in range(0, 200, 20)]
        refused = [answer for answer in answers if answer.status_code == 503]
        kept = [index for index, answer in enumerate(answers) if answer.status_code == 202]
        assert refused
        assert kept
        assert refused[0].headers["Retry-After"] == "10"
        assert refused[0].json()["error"]["code"] == "unavailable"
        assert "MAX_SPILL_BYTES" in refused[0].json()["error"]["message"]

        cloud.proxy.faults.is_down = False
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
        assert send(api, 180, 20).status_code == 202  # the same ids as refused before: they were not kept then

    expected = {f"e{20 * index + number}" for index in [*kept, 9] for number in range(20)}
    assert set(cloud.ids()) == expected


def test_throttling_of_thirty_percent_and_expired_credentials_are_invisible(cloud: Cloud) -> None:
    cloud.proxy.faults.record_failure_rate = 0.3
    cloud.proxy.faults.expired = 2
    with cloud.api() as api:
        for begin in range(0, 500, 50):
            assert send(api, begin, 50).status_code == 202
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0)

    assert sorted(cloud.ids()) == sorted(f"e{index}" for index in range(500))


@pytest.fixture
def broken_stream(cloud: Cloud) -> Iterator[Cloud]:
    @contextmanager
    def denied() -> Iterator[Cloud]:
        cloud.proxy.faults.error = ("AccessDeniedException", 400)
        yield cloud

    with denied() as without_rights:
        yield without_rights


def emitted(cloud: Cloud, name: str) -> list[float]:
    """Maxima of what was sent of one metric, by minute."""
    begin = datetime.now(timezone.utc) - timedelta(hours=1)
    answer = client("cloudwatch", "us-east-1").get_metric_statistics(
        Namespace="Clickstream",
        MetricName=name,
        Dimensions=[{"Name": "StreamName", "Value": cloud.names.stream}],
        StartTime=begin,
        EndTime=begin + timedelta(hours=2),
        Period=60,
        Statistics=["Maximum"],
    )
    return [point["Maximum"] for point in answer["Datapoints"]]


def test_what_the_alarms_watch_is_sent_at_the_start_and_at_the_stop(cloud: Cloud) -> None:
    with cloud.api(MAX_SPILL_BYTES="20000") as api:
        until(lambda: emitted(cloud, "SpillAge") == [0.0])
        assert max(emitted(cloud, "FailedCommits")) == 0

        cloud.proxy.faults.is_down = True
        refused = [send(api, begin, 20).status_code for begin in range(0, 200, 20)].count(503)
        assert refused > 0
        until(lambda: api.get("/stats")["ingest"]["spill"]["age_s"] > 0)  # told in tenths of a second
        api.process.terminate()
        api.process.wait(10)

    assert max(emitted(cloud, "FailedCommits")) == refused
    assert max(emitted(cloud, "ServerErrors")) == refused
    assert max(emitted(cloud, "PostLatencyP99")) > 50
    assert 50 < max(emitted(cloud, "SpillPercent")) <= 100
    assert max(emitted(cloud, "SpillAge")) > 0
    assert max(emitted(cloud, "CommitLatencyP99")) > 0


def test_missing_rights_spill_and_are_said_in_the_log(broken_stream: Cloud) -> None:
    with broken_stream.api() as api:
        assert send(api, 0, 10).status_code == 202
        assert api.get("/stats")["ingest"]["spill"]["bytes"] > 0

    log = (broken_stream.directory / "api.log").read_text()
    assert "ERROR clickstream.backends.aws spilling begins records=10 reason=AccessDeniedException" in log


def test_an_event_that_could_not_fit_a_record_is_a_wrong_setting(cloud: Cloud) -> None:
    with (
        pytest.raises(AssertionError, match=r"MAX_EVENT_BYTES=1000000: a Kinesis record holds at most"),
        cloud.api(MAX_EVENT_BYTES="1000000"),
    ):
        pass


def test_the_stored_line_is_json(cloud: Cloud) -> None:
    with cloud.api() as api:
        send(api, 0, 1)
    (event,) = events_in(cloud.kinesis, cloud.names.stream)
    assert json.loads(json.dumps(event))["properties"] == batch(0, 1)[0]["properties"]
