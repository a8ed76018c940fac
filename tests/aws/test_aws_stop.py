"""Whatever AWS does, an API that was asked to stop ends in time, and what it acknowledged is on its disk."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from clickstream.ports import free_port
from tests.support.aws_cloud import Cloud, send
from tests.support.platform import Platform
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

STOPS_WITHIN_S = 4.0  # run_demo.sh stops all its processes in five


def stop(api: Platform) -> float:
    """Seconds from SIGTERM to the end of the process."""
    began = time.monotonic()
    api.process.terminate()
    assert api.process.wait(30) == 0
    return time.monotonic() - began


def spilled(directory: Path) -> list[str]:
    return [event["event_id"] for event in json.loads((directory / "events_spill.json").read_text())]


@pytest.mark.parametrize("fault", ["is_down", "hangs", "is_throttled"])
def test_a_stop_while_the_spill_is_drained_ends_in_time_and_loses_nothing(cloud: Cloud, fault: str) -> None:
    with cloud.api() as api:
        setattr(cloud.proxy.faults, fault, True)
        assert [send(api, begin, 50).status_code for begin in range(0, 200, 50)] == [202] * 4
        asked = cloud.proxy.counts["asked"]
        until(lambda: cloud.proxy.counts["asked"] > asked or fault == "hangs")  # the drain is under way

        took_s = stop(api)

    assert took_s < STOPS_WITHIN_S
    assert spilled(cloud.directory) == [f"e{index}" for index in range(200)]

    cloud.proxy.faults.is_down = cloud.proxy.faults.hangs = cloud.proxy.faults.is_throttled = False
    with cloud.api() as api:
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30)
    assert set(cloud.ids()) == {f"e{index}" for index in range(200)}


def test_a_request_under_way_in_a_hanging_call_is_answered_from_the_spill(cloud: Cloud) -> None:
    answers: list[int] = []
    with cloud.api() as api:
        cloud.proxy.faults.hangs = True
        sender = threading.Thread(target=lambda: answers.append(send(api, 0, 50).status_code))
        sender.start()
        until(lambda: cloud.proxy.counts["asked"] > 0)

        took_s = stop(api)
        sender.join()

    assert took_s < STOPS_WITHIN_S
    assert answers == [202]
    assert spilled(cloud.directory) == [f"e{index}" for index in range(50)]


def test_a_stop_while_nothing_of_aws_can_be_reached_ends_in_time(cloud: Cloud) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    services = ("KINESIS", "DYNAMODB", "S3", "CLOUDWATCH")
    with cloud.api(**{f"AWS_ENDPOINT_URL_{service}": nowhere for service in services}) as api:
        assert send(api, 0, 50).status_code == 202

        took_s = stop(api)

    assert took_s < STOPS_WITHIN_S
    assert spilled(cloud.directory) == [f"e{index}" for index in range(50)]


def test_a_stop_while_all_of_aws_hangs_ends_in_time(cloud: Cloud) -> None:
    cloud.proxy.faults.hangs = True
    services = ("KINESIS", "DYNAMODB", "S3", "CLOUDWATCH")
    with cloud.api(**{f"AWS_ENDPOINT_URL_{service}": cloud.proxy.url for service in services}) as api:
        took_s = stop(api)

    assert took_s < STOPS_WITHIN_S
