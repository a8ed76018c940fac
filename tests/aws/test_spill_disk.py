"""The disk of the spill journal is full or damaged while Kinesis comes and goes: nothing acknowledged is lost."""

from __future__ import annotations

import json
from itertools import count

import pytest
import requests

from tests.support.aws_cloud import Cloud, batch, send
from tests.support.platform import Platform
from tests.support.small_disk import small_disk
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]


def test_a_full_spill_disk_drains_once_kinesis_is_back_and_then_has_room_again(cloud: Cloud) -> None:
    small = cloud.directory / "small"
    cloud.proxy.faults.is_down = True
    with small_disk(small, "512k"), cloud.api(SPILL_FILE=str(small / "spill.json")) as api:
        acknowledged: set[str] = set()
        for begin in count(0, 50):
            answer = send(api, begin, 50)
            if answer.status_code == 503:
                break
            acknowledged |= {f"e{index}" for index in range(begin, begin + 50)}
        assert "make room on the disk" in answer.json()["error"]["message"]
        assert len(acknowledged) > 500
        with (small / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x")

        cloud.proxy.faults.is_down = False
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
        assert sorted(cloud.ids()) == sorted(acknowledged)

        cloud.proxy.faults.is_down = True
        assert send(api, 100_000, 50).status_code == 202
        cloud.proxy.faults.is_down = False
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
    assert len(set(cloud.ids())) == len(acknowledged) + 50
    assert "drained offset not written" in (cloud.directory / "api.log").read_text()


def test_the_drain_outlives_a_spill_journal_that_cannot_be_read_for_a_while(cloud: Cloud) -> None:
    spill, log = cloud.directory / "events_spill.json", cloud.directory / "api.log"
    cloud.proxy.faults.is_down = True
    with cloud.api() as api:
        for begin in range(0, 12_000, 1_000):
            assert send(api, begin, 1_000).status_code == 202
        whole = spill.read_bytes()
        assert len(whole) > 2 * 1024 * 1024  # more than the drain has read before
        with spill.open("r+b") as file:
            file.truncate(100)

            cloud.proxy.faults.is_down = False
            until(lambda: "spill not drained, tried again every second" in log.read_text(), timeout_s=30)
            file.write(whole)

        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
    assert set(cloud.ids()) == {f"e{index}" for index in range(12_000)}
    assert "over: spill not drained" in log.read_text()


def test_a_group_that_kinesis_takes_in_part_and_the_disk_not_at_all_is_in_the_stream_once(cloud: Cloud) -> None:
    small = cloud.directory / "small"
    with small_disk(small, "64k"), cloud.api(SPILL_FILE=str(small / "spill.json")) as api:
        with (small / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x" * 512)
        cloud.proxy.faults.odd_lanes_fail = True
        # More than the rest of the page that the empty journal has on the disk.
        assert [send(api, 0, 400).status_code for _ in range(3)] == [503] * 3
        taken = cloud.ids()
        assert 0 < len(taken) < 400
        assert len(taken) == len(set(taken))
        assert {event["event_id"] for event in api.get("/events", limit="500")["events"]} == set(taken)

        cloud.proxy.faults.odd_lanes_fail = False
        answer = send(api, 0, 400)
        assert (answer.status_code, answer.json()["duplicates"]) == (202, len(taken))
        assert api.accounting() == {
            "received": 400 + len(taken),
            "accepted": 400,
            "duplicates": len(taken),
            "rejected": 0,
        }
    assert sorted(cloud.ids()) == sorted(f"e{index}" for index in range(400))


def test_a_start_that_fails_and_is_stopped_leaves_what_the_last_one_knew(cloud: Cloud) -> None:
    small = cloud.directory / "small"
    with small_disk(small, "64k"):
        spill, ids = small / "spill.json", small / "spill.json.ids"
        with cloud.api(SPILL_FILE=str(spill)) as api:
            assert send(api, 0, 50).status_code == 202
        known = ids.read_bytes()
        assert len(known.split()) == 50
        whole = json.dumps({**batch(50, 1)[0], "received_at": "2026-01-15T10:30:00.000Z"})
        # What a crash may leave: its end is to be kept beside it, and there is no room.
        spill.write_text(f'[\n{whole},\n{{"event_id": "torn", "event_type": "cli')
        with (small / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x" * 512)

        with cloud.api(SPILL_FILE=str(spill), wait=False) as api:
            until(lambda: "replay failed" in (cloud.directory / "api.log").read_text())
            until(lambda: refusal(api) == "the journal could not be read: [Errno 28] No space left on device")
            api.process.terminate()
            assert api.process.wait(30) == 0
        assert ids.read_bytes() == known

        (small / "filler").unlink()
        with cloud.api(SPILL_FILE=str(spill)) as api:
            assert send(api, 0, 50).json()["duplicates"] == 50
            until(lambda: len(cloud.ids()) == 51)


def refusal(api: Platform) -> str:
    """Why the API takes nothing; empty while it does not listen yet."""
    try:
        return str(requests.post(f"{api.url}/events", json=batch(0, 1), timeout=5).json()["error"]["message"])
    except requests.ConnectionError:
        return ""
