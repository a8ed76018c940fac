from __future__ import annotations

import argparse
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clickstream.aws.clients import client
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.local.cloud import LocalCloud
from clickstream.aws.local.emulator import Emulator
from clickstream.aws.local.resources import Names, create
from clickstream.aws.local.runner import EventSource, Function
from clickstream.aws.local.shards import ShardReader
from clickstream.aws.packing import lane_of
from clickstream.aws.replay_sources import from_file
from clickstream.aws.replaying import ReplayFailed, Result, replay
from clickstream.commands import replay as command
from config import Settings
from tests.aws.test_consumer import Setting, expected_numbers
from tests.support.event_sample import sample_events, write_journal, write_ndjson
from tests.support.platform import platform
from tests.support.processes import environment, python
from tests.support.stream_reader import events_in

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    parser.set_defaults(settings=Settings)
    return command.run(parser.parse_args(arguments))


class Kept:
    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def fitted(self, record: bytes) -> bytes:
        return record

    def send(self, records: list[bytes], result: Result) -> None:
        self.batches.append(records)
        result.accepted += len(records)


def test_what_a_laptop_collected_reaches_the_stream_and_comes_back_from_the_lake(
    emulator: Emulator, names: Names, tmp_path: Path
) -> None:
    events = sample_events(300, seed=31)
    write_journal(tmp_path / "laptop.json", events)
    cloud = LocalCloud(emulator.connect, names, shards=2)
    cloud.start()

    assert run("--from", str(tmp_path / "laptop.json"), "--to", f"kinesis:{names.stream}") == 0
    cloud.finish()
    (tmp_path / "api").mkdir()
    with platform(tmp_path / "api") as api:
        assert run("--from", f"s3://{names.bucket}/events/", "--to", api.url) == 0
        assert run("--from", f"s3://{names.bucket}/events/", "--to", api.url) == 0
        returned = {event["event_id"]: event for event in api.events()}

    assert returned.keys() == {event["event_id"] for event in events}
    for event in events:
        assert returned[event["event_id"]]["properties"] == event["properties"]


def test_what_older_files_lack_is_completed_so_that_everything_accepted_is_counted_once(
    emulator: Emulator, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Setting(names)
    source = _event_source(at, names, at.consumer.consume)
    path = tmp_path / "old.json"
    path.write_text(
        "[\n"
        '{"event_type":"page_view","user_id":"u","timestamp":"2026-01-03T10:00:00Z"},\n'
        '{"event_id":null,"event_type":"page_view","user_id":"u","received_at":"2026-01-03T10:00:01.500Z"},\n'
        '{"event_id":"b","event_type":"page_view","user_id":"u","timestamp":"2026-01-03T12:00:02+02:00"},\n'
        '{"event_id":"c","event_type":"page_view","user_id":"u","timestamp":"2026-01-03T10:00:03.000Z"}\n'
        "]\n"
    )

    for _ in range(2):
        assert run("--from", str(path), "--to", f"kinesis:{names.stream}") == 0
        source.deliver()

    found = events_in(client("kinesis", "us-east-1"), names.stream)
    assert capsys.readouterr().out.count("4 events sent: 4 accepted, 0 known already, 0 rejected") == 2
    assert at.quarantined() == []
    assert at.numbers()["total_events"] == 4
    assert len({event["event_id"] for event in found}) == 4
    assert {event["timestamp"] for event in found} == {
        "2026-01-03T10:00:00Z",
        "2026-01-03T10:00:01.500Z",
        "2026-01-03T10:00:02.000Z",
        "2026-01-03T10:00:03.000Z",
    }
    assert {event["received_at"] for event in found} == {
        "2026-01-03T10:00:00.000Z",
        "2026-01-03T10:00:01.500Z",
        "2026-01-03T10:00:02.000Z",
        "2026-01-03T10:00:03.000Z",
    }


def test_what_cannot_be_sent_is_named_by_its_line_and_the_rest_goes_on(
    emulator: Emulator, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(names, emulator.connect, shards=1)
    good, more = sample_events(2, seed=41)
    path = tmp_path / "export.ndjson"
    bad = [
        {**good, "event_id": "n", "user_id": 17},
        {**good, "event_id": "big", "note": "x" * 1_200_000},
        {**good, "event_id": "t", "event_type": "No Such Type"},
        {**good, "event_id": "w", "timestamp": "yesterday"},
        {"event_id": "x", "event_type": "click", "user_id": "u"},
    ]
    write_ndjson(path, [good, *bad, more])
    path.write_text(path.read_text() + '{"deep":' + "[" * 100_000 + "]" * 100_000 + "}\n")

    assert run("--from", str(path), "--to", f"kinesis:{names.stream}") == 1

    shown = capsys.readouterr()
    assert shown.out.startswith("2 events sent: 2 accepted, 0 known already, 6 rejected")
    assert [line.split(":")[0] for line in shown.err.splitlines()] == [f"  line {n}" for n in (2, 3, 4, 5, 6, 8)]
    assert "user_id is a number; send a string" in shown.err
    assert "at most 522,240" in shown.err
    assert {event["event_id"] for event in events_in(client("kinesis", "us-east-1"), names.stream)} == {
        good["event_id"],
        more["event_id"],
    }


def test_an_event_from_the_far_future_is_kept_at_the_time_it_was_received(
    emulator: Emulator, names: Names, tmp_path: Path
) -> None:
    create(names, emulator.connect, shards=1)
    (event,) = sample_events(1, seed=42)
    ahead = {**event, "timestamp": "2999-01-01T00:00:00Z"}
    bare = {name: value for name, value in ahead.items() if name != "received_at"} | {"event_id": "bare"}
    write_ndjson(tmp_path / "export.ndjson", [ahead, bare])

    assert run("--from", str(tmp_path / "export.ndjson"), "--to", f"kinesis:{names.stream}") == 0

    found = {one["event_id"]: one for one in events_in(client("kinesis", "us-east-1"), names.stream)}
    assert {one["original_timestamp"] for one in found.values()} == {"2999-01-01T00:00:00Z"}
    assert found[event["event_id"]]["timestamp"] == found[event["event_id"]]["received_at"] == event["received_at"]
    assert found["bare"]["timestamp"] == found["bare"]["received_at"] < "2900"


def test_what_is_replayed_again_packed_otherwise_or_from_a_file_that_has_grown_counts_once(
    emulator: Emulator, names: Names, tmp_path: Path
) -> None:
    events = sample_events(200, seed=40)
    at = Setting(names)
    source = _event_source(at, names, at.consumer.consume, shards=2)
    stream = f"kinesis:{names.stream}"

    for first in (60, 60, 0):
        write_ndjson(tmp_path / "export.ndjson", events[first:])
        assert run("--from", str(tmp_path / "export.ndjson"), "--to", stream) == 0
        source.deliver()
    assert run("--from", str(tmp_path / "export.ndjson"), "--to", stream, "--since", events[7]["timestamp"]) == 0
    source.deliver()

    assert at.numbers() == expected_numbers(events, "all")


def test_a_second_replay_to_an_api_finds_everything_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ndjson(tmp_path / "export.ndjson", sample_events(50, seed=32))
    (tmp_path / "api").mkdir()

    with platform(tmp_path / "api") as api:
        run("--from", str(tmp_path / "export.ndjson"), "--to", api.url)
        run("--from", str(tmp_path / "export.ndjson"), "--to", api.url)

    assert capsys.readouterr().out.splitlines() == [
        "50 events sent: 50 accepted, 0 known already, 0 rejected; 0 outside the asked time",
        "50 events sent: 0 accepted, 50 known already, 0 rejected; 0 outside the asked time",
    ]


def test_an_address_where_nothing_listens_is_named_at_once(tmp_path: Path) -> None:
    write_ndjson(tmp_path / "export.ndjson", sample_events(5, seed=35))

    with pytest.raises(ReplayFailed, match=r"Nothing answers at http://127.0.0.1:9/events .*another address with --to"):
        run("--from", str(tmp_path / "export.ndjson"), "--to", "http://127.0.0.1:9")


def test_a_file_without_events_is_refused_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Shop\n\nA shop.\n")
    (tmp_path / "other.ndjson").write_text('{"a":1}\n')

    for name in ("README.md", "other.ndjson"):
        with pytest.raises(ReplayFailed, match=f"{name} holds no events"):
            run("--from", str(tmp_path / name), "--to", "http://127.0.0.1:9")


def test_a_file_that_is_not_there_is_named_without_the_number_of_the_error(tmp_path: Path) -> None:
    words = python("-m", "clickstream", "replay", "--from", "nope", "--to", "http://127.0.0.1:9")
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=20, cwd=tmp_path, env=environment(), check=False
    )

    assert (done.returncode, done.stderr) == (2, "nope: No such file or directory\n")


def test_an_empty_journal_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text("[\n]\n")

    assert list(from_file(tmp_path / "events.json")) == []


def test_a_target_that_is_no_address_is_named(tmp_path: Path) -> None:
    write_ndjson(tmp_path / "export.ndjson", sample_events(1, seed=36))

    with pytest.raises(ReplayFailed, match="localhost:3000: expected an API such as http"):
        run("--from", str(tmp_path / "export.ndjson"), "--to", "localhost:3000")


def test_progress_is_told_after_each_batch(tmp_path: Path) -> None:
    write_ndjson(tmp_path / "export.ndjson", sample_events(1200, seed=37))
    seen: list[int] = []

    replay(from_file(tmp_path / "export.ndjson"), Kept(), on_sent=lambda result: seen.append(result.sent))

    assert seen == [500, 1000, 1200]


def test_a_missing_write_key_ends_it_with_the_remedy(tmp_path: Path) -> None:
    write_ndjson(tmp_path / "export.ndjson", sample_events(5, seed=38))
    (tmp_path / "api").mkdir()

    with platform(tmp_path / "api", WRITE_KEYS="web=pk_1") as api:
        with pytest.raises(ReplayFailed, match="Give the write key with --key"):
            run("--from", str(tmp_path / "export.ndjson"), "--to", api.url)
        assert run("--from", str(tmp_path / "export.ndjson"), "--to", api.url, "--key", "pk_1") == 0


def test_what_the_consumer_gave_up_is_counted_after_a_replay_and_only_once(emulator: Emulator, names: Names) -> None:
    events = sample_events(200, seed=33)
    at = Setting(names)
    broken = True

    def function(records: list[dict[str, object]]) -> dict[str, object]:
        if broken:
            raise ConnectionError("planted")
        return at.consumer.consume(records)

    source = _event_source(at, names, function)
    _send(events, names)
    source.deliver()
    assert source.failed
    assert at.numbers()["total_events"] == 0
    broken = False

    for _ in range(2):
        assert _replay_given_up(names) == 0
        source.deliver()

    assert at.numbers() == expected_numbers(events, "all")


@pytest.mark.parametrize("commits", [1, 2, 3])
@pytest.mark.parametrize("answer_is_lost", [False, True])
def test_of_what_was_given_up_only_what_had_not_been_counted_is_counted_by_the_replay(
    emulator: Emulator, names: Names, commits: int, answer_is_lost: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """DynamoDB goes away in the middle of a record; the shard has long gone on when the operator replays."""
    events = _of_one_lane(250)
    at = Setting(names)

    class GoesAway(CounterTable):
        left = commits

        def commit(self, puts: Any) -> None:  # noqa: ANN401
            self.left -= 1
            if self.left >= 0:
                super().commit(puts)
            if self.left < 0 or (self.left == 0 and answer_is_lost):
                raise ConnectionError("planted")

    table = GoesAway(at.dynamodb, names.table)
    source = _event_source(at, names, at.make(table).consume)
    _send(events[:150], names)
    source.deliver()
    counted = at.numbers()["total_events"]
    assert 0 < counted < 150
    assert source.failed
    table.left = 10**9
    _send(events[150:], names)
    source.deliver()

    for _ in range(2):
        assert _replay_given_up(names) == 0
        source.deliver()

    assert at.numbers() == expected_numbers(events, "all")
    assert "more had been counted before their batch was given up" in capsys.readouterr().out


def test_given_up_records_are_not_replayed_without_the_table_that_says_what_was_counted(names: Names) -> None:
    with pytest.raises(ReplayFailed, match="name the table of the live counters with --table"):
        run("--from", f"s3://{names.bucket}/aws/lambda/", "--to", f"kinesis:{names.stream}")


def _of_one_lane(count: int) -> list[dict[str, Any]]:
    """Events of as many visitors, all of whom are packed together."""
    people = (f"p{number}" for number in itertools.count())
    chosen = (one for one in people if lane_of(json.dumps({"user_id": one}).encode()) == 7)
    return [
        {**event, "user_id": person, "session_id": f"s-{person}"}
        for event, person in zip(sample_events(count, seed=39), chosen, strict=False)
    ]


def _event_source(at: Setting, names: Names, function: Function, *, shards: int = 1) -> EventSource:
    kinesis = client("kinesis", "us-east-1")
    kinesis.create_stream(StreamName=names.stream, ShardCount=shards)
    trigger = {
        "BatchSize": 100,
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 2,
        "MaximumRecordAgeInSeconds": 600,
    }
    return EventSource(
        ShardReader(kinesis, names.stream),
        function,
        trigger,
        put_object=at.s3.put_object,
        bucket=names.bucket,
        wait=lambda _: None,
    )


def _replay_given_up(names: Names) -> int:
    place = f"s3://{names.bucket}/aws/lambda/"
    return run("--from", place, "--to", f"kinesis:{names.stream}", "--table", names.table)


def _send(events: list[dict[str, Any]], names: Names) -> None:
    sink = command.KinesisSink(client("kinesis", "us-east-1").put_records, names.stream)
    assert not sink.put([json.dumps(event).encode() for event in events], deadline_s=30).unsent
    sink.close()


def test_a_span_of_time_and_a_speed_are_kept(tmp_path: Path) -> None:
    stamps = ["2026-01-15T10:00:00Z", "2026-01-15T10:00:10Z", "2026-01-15T10:00:30Z", "2026-01-15T11:00:00Z"]
    path = tmp_path / "events.json"
    write_journal(path, [{"event_id": str(index), "timestamp": stamp} for index, stamp in enumerate(stamps)])
    now, target = [100.0], Kept()

    def wait(pause_s: float) -> None:
        now[0] += pause_s

    pauses: list[float] = []
    result = replay(
        from_file(path),
        target,
        until_ms=1768474800000,
        speed=10,
        on_wait=pauses.append,
        wait=wait,
        clock_s=lambda: now[0],
    )

    assert pauses == [pytest.approx(1.0), pytest.approx(2.0)]
    assert [len(batch) for batch in target.batches] == [1, 1, 1]
    assert now[0] == pytest.approx(103.0)
    assert (result.sent, result.skipped) == (3, 1)


def test_a_line_that_is_no_event_is_named_and_the_others_go_on(
    tmp_path: Path, names: Names, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    create(names, emulator.connect, shards=1)
    path = tmp_path / "events.ndjson"
    write_ndjson(path, sample_events(3, seed=34))
    path.write_text(path.read_text() + "{broken\n")

    assert run("--from", str(path), "--to", f"kinesis:{names.stream}") == 1

    assert "{broken: not a stored event" in capsys.readouterr().err
    assert len(events_in(client("kinesis", "us-east-1"), names.stream)) == 3
