"""Traffic goes on while Kinesis throttles or is away: for seconds, or with `make faults` for 30 and 60 of them."""

from __future__ import annotations

import base64
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import requests

from clickstream.aws.packing import Line, unpack
from clickstream.timestamps import text
from tests.support.aws_cloud import Cloud, now_ms
from tests.support.platform import Platform
from tests.support.stream_reader import events_in
from tests.support.strict_kinesis import Faults
from tests.support.waiting import until

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

THROTTLE_S = float(os.environ.get("THROTTLE_S", "4"))
OUTAGE_S = float(os.environ.get("OUTAGE_S", "4"))

SENDERS = 3
PEOPLE = 10  # of each sender; every one of them sends during the whole fault
BATCH = 40
BATCHES_PER_S = 10.0
# After the first, which may wait for Kinesis, everything goes to the disk.
LONGEST_ANSWER_S = 8.0


class Sender:
    """Sends batches one after the other until told to stop, and remembers what was acknowledged."""

    def __init__(self, api: Platform, number: int) -> None:
        self._url, self._number = f"{api.url}/events", number
        self.acknowledged = 0  # the events 0 … n-1 of this sender
        self.refused: list[str] = []
        self.slowest_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._stopping.wait(1 / BATCHES_PER_S):
                began_s = time.monotonic()
                try:
                    answer = session.post(self._url, json={"records": self._batch()}, timeout=30)
                    self.refused += [] if answer.status_code == 202 else [answer.text]
                except requests.RequestException as problem:
                    self.refused.append(repr(problem))
                if self.refused:
                    return
                self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
                self.acknowledged += BATCH

    def _batch(self) -> list[dict[str, Any]]:
        stamp = text(now_ms())
        return [
            {
                "event_id": f"{self._number}-{index}",
                "event_type": "page_view",
                "user_id": f"{self._number}-{index % PEOPLE}",
                "timestamp": stamp,
                "properties": {"page": f"/{index}", "text": "ü" * 50},
            }
            for index in range(self.acknowledged, self.acknowledged + BATCH)
        ]


def traffic_through(
    cloud: Cloud, fault_s: float, begin: Callable[[Faults], None], end: Callable[[Faults], None]
) -> None:
    """Send before, during and after a fault; all of it is there in order, and only calls without an answer twice."""
    faults = cloud.proxy.faults
    with cloud.api() as api:
        senders = [Sender(api, number) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        until(lambda: all(sender.acknowledged for sender in senders))

        begin(faults)
        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] > 0, timeout_s=LONGEST_ANSWER_S)
        fault_ends_s = time.monotonic() + fault_s
        until(lambda: time.monotonic() > fault_ends_s, timeout_s=fault_s + 5)
        spilled = api.get("/stats")["ingest"]["spill"]
        assert spilled["age_s"] > fault_s / 2
        end(faults)

        until(lambda: api.get("/stats")["ingest"]["spill"]["bytes"] == 0, timeout_s=30 + fault_s)
        for sender in senders:
            sender.stop()
        stopped_at = text(now_ms())
        until(lambda: _is_drained(api, since=stopped_at), timeout_s=30)

    assert [sender.refused for sender in senders] == [[]] * SENDERS
    assert max(sender.slowest_s for sender in senders) < LONGEST_ANSWER_S
    _compare(cloud, senders)
    sys.stdout.write(_summary(cloud, senders, fault_s, spilled["bytes"]))  # shown by `make faults`


def _is_drained(api: Platform, *, since: str) -> bool:
    stats = api.get("/stats")  # may be 50 ms old
    return stats["generated_at"] > since and stats["ingest"]["spill"]["bytes"] == 0


def _compare(cloud: Cloud, senders: list[Sender]) -> None:
    copies: Counter[str] = Counter()
    firsts: dict[str, list[int]] = defaultdict(list)
    for event in events_in(cloud.kinesis, cloud.names.stream):
        if not copies[event["event_id"]]:
            firsts[event["user_id"]].append(int(event["event_id"].partition("-")[2]))
        copies[event["event_id"]] += 1
    acknowledged = {f"{number}-{index}" for number, one in enumerate(senders) for index in range(one.acknowledged)}
    assert sorted(acknowledged - set(copies)) == []
    assert sorted(set(copies) - acknowledged) == []
    assert all(numbers == sorted(numbers) for numbers in firsts.values())
    assert set(copies - Counter(set(copies))) <= set(_lost_ids(cloud))
    assert max(copies.values()) <= 1 + cloud.proxy.counts["answers lost"]


def _lost_ids(cloud: Cloud) -> list[str]:
    """Of the calls that were accepted and never answered."""
    lines = [line for data in cloud.proxy.lost for _, line, _ in unpack(base64.b64decode(data))]
    return [line.event_id for line in lines if isinstance(line, Line)]


def _summary(cloud: Cloud, senders: list[Sender], fault_s: float, spilled: int) -> str:
    events = sum(sender.acknowledged for sender in senders)
    slowest_s = max(sender.slowest_s for sender in senders)
    return (
        f"{events:,} events acknowledged around a fault of {fault_s:g} s; {spilled:,} bytes spilled, slowest answer "
        f"{slowest_s:.1f} s, {cloud.proxy.counts['throttled']:,} records throttled, "
        f"{len(_lost_ids(cloud))} events in calls without an answer\n"
    )


def test_a_long_throttle_loses_nothing_keeps_order_and_makes_no_copies(cloud: Cloud) -> None:
    def begin(faults: Faults) -> None:
        faults.is_throttled = True

    def end(faults: Faults) -> None:
        faults.is_throttled = False

    traffic_through(cloud, THROTTLE_S, begin, end)

    assert cloud.proxy.counts["throttled"] > 10
    assert cloud.proxy.lost == []


def test_a_long_outage_that_cuts_off_answers_loses_nothing_keeps_order_and_repeats_those_calls_only(
    cloud: Cloud,
) -> None:
    def begin(faults: Faults) -> None:
        faults.lose_answers = 1
        until(lambda: not faults.lose_answers)
        faults.is_down = True

    def end(faults: Faults) -> None:
        faults.lose_answers = 1  # a second fault, while the spill drains
        faults.is_down = False
        until(lambda: not faults.lose_answers)

    traffic_through(cloud, OUTAGE_S, begin, end)

    assert cloud.proxy.counts["answers lost"] == 2
    assert cloud.proxy.lost
