"""The demo with the real API, dashboard and generator."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream import ports
from clickstream.ports import free_port
from tests.support.processes import ROOT, RunningProcess, environment, http_status, python, wait_until

pytestmark = pytest.mark.e2e


@dataclass
class RealDemo:
    """A running demo of this checkout, with ports, journal and temporary files of its own."""

    process: RunningProcess
    api_port: int
    dashboard_port: int
    directory: Path

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api_port}/stats?window=all", timeout=5) as answer:
            stats: dict[str, Any] = json.load(answer)
            return stats

    def journal(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = json.loads((self.directory / "events_backup.json").read_text())
        return events

    def ports_are_free(self) -> bool:
        return all(ports.why_not("127.0.0.1", port) is None for port in (self.api_port, self.dashboard_port))


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> RealDemo:
    return started(tmp_path, request)


def started(tmp_path: Path, request: pytest.FixtureRequest, **settings: str) -> RealDemo:
    (tmp_path / "tmp").mkdir()
    api_port, dashboard_port = free_port(), free_port()
    env = environment(
        API_PORT=str(api_port),
        DASHBOARD_PORT=str(dashboard_port),
        EVENTS_FILE=str(tmp_path / "events_backup.json"),
        TMPDIR=str(tmp_path / "tmp"),
        **settings,
    )
    command = python("-m", "clickstream.demo", "--no-browser")
    process = RunningProcess(command, tmp_path / "log", env=env, cwd=ROOT)
    request.addfinalizer(process.stop)
    process.wait_for_line("Ctrl-C", deadline_s=30)
    return RealDemo(process, api_port, dashboard_port, tmp_path)


SEVEN_TYPES = {"page_view", "click", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase"}


def test_all_seven_types_flow_the_page_answers_and_ctrl_c_leaves_only_the_journal(demo: RealDemo) -> None:
    demo.process.wait_for(lambda: demo.stats()["events_by_type"].keys() >= SEVEN_TYPES, "seven types", deadline_s=40)
    page = http_status(f"http://127.0.0.1:{demo.dashboard_port}/")
    began = time.monotonic()

    demo.process.send(signal.SIGINT)

    assert demo.process.wait() == 0
    assert time.monotonic() - began < 5
    assert page == 200
    assert demo.ports_are_free()
    assert list((demo.directory / "tmp").iterdir()) == []
    kept = re.search(r"^([\d,]+) events are kept in ", demo.process.log, re.MULTILINE)
    assert kept is not None
    assert int(kept[1].replace(",", "")) == len(demo.journal())


def test_where_somebody_else_sends_until_the_end_the_number_is_not_told_as_final(demo: RealDemo) -> None:
    def send() -> None:
        url = f"http://127.0.0.1:{demo.api_port}/events"
        with requests.Session() as session, contextlib.suppress(requests.ConnectionError):
            while session.post(url, json={"event_type": "click", "user_id": "u"}, timeout=5).ok:
                pass

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    demo.process.wait_for(lambda: demo.stats()["total_events"] > 0, "an event", deadline_s=20)
    demo.process.send(signal.SIGINT)
    for sender in senders:
        sender.join()

    assert demo.process.wait() == 0
    told = re.search(r"^(More than )?([\d,]+) events are kept in ", demo.process.log, re.MULTILINE)
    assert told is not None, demo.process.log
    number, kept = int(told[2].replace(",", "")), len(demo.journal())
    assert number < kept if told[1] else number == kept  # nobody may have got through after the number was read


def test_kill_9_leaves_no_process_and_a_whole_journal(demo: RealDemo) -> None:
    demo.process.wait_for(lambda: demo.stats()["total_events"] > 0, "an event", deadline_s=20)

    demo.process.send(signal.SIGKILL)
    demo.process.wait()

    wait_until(demo.ports_are_free, "the ports are free again", deadline_s=6)
    wait_until(lambda: list((demo.directory / "tmp").iterdir()) == [], "no temporary file is left")
    assert len(demo.journal()) > 0


def test_with_write_keys_the_shoppers_have_one(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    demo = started(tmp_path, request, WRITE_KEYS="web=pk_1")

    demo.process.wait_for(lambda: demo.stats()["total_events"] > 0, "an event", deadline_s=20)
    assert demo.stats()["accounting"]["rejected"] == 0
