"""Stopping, starting again, and starting twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.ports import free_port
from tests.support.crashes import Ledger, Load, check_kept, wait_for
from tests.support.http_client import Client, open_socket, said
from tests.support.journals import array_in, stored_record
from tests.support.native import encoded, native_event
from tests.support.platform import Platform, platform
from tests.support.waiting import until

pytestmark = pytest.mark.crash


def test_the_process_is_told_to_stop_and_answers_what_is_under_way(tmp_path: Path) -> None:
    ledger = Ledger()
    with platform(tmp_path) as api, Load(api.url, ledger, prefix="s", threads=8):
        wait_for(lambda: False, ledger, 500)
        begin = time.monotonic()
        api.process.terminate()
        assert api.process.wait(10) == 0
        assert time.monotonic() - begin < 5
    check_kept((tmp_path / "events_backup.json").read_bytes(), ledger)
    assert (tmp_path / "events_backup.json.checkpoint").exists()


def test_an_id_that_came_again_behind_the_window_is_known_after_a_kill(tmp_path: Path) -> None:
    with platform(tmp_path, DEDUPE_WINDOW="3") as api:
        assert [sent(api, one)["processed"] for one in ("a", "b", "c", "d", "a")] == [1] * 5
        assert sent(api, "a")["duplicates"] == 1
        api.process.kill()
        api.process.wait(10)

    with platform(tmp_path, DEDUPE_WINDOW="3") as api:
        assert sent(api, "a") == {"status": "accepted", "processed": 0, "duplicates": 1}


@pytest.mark.parametrize("made", ["at the stop", "while running"])
def test_a_larger_window_is_filled_from_the_journal_where_the_checkpoint_has_fewer_ids(
    tmp_path: Path, made: str
) -> None:
    checkpoint = tmp_path / "events_backup.json.checkpoint"
    with platform(tmp_path, DEDUPE_WINDOW="3") as api:
        assert [sent(api, str(number))["processed"] for number in range(10)] == [1] * 10

    with platform(tmp_path, DEDUPE_WINDOW="100", CHECKPOINT_BYTES="1000" if made == "while running" else "0") as api:
        assert api.get("/stats")["ingest"]["dedupe"] == {"window": 100, "ids": 10}
        old = checkpoint.stat().st_ino
        assert [sent(api, str(number))["processed"] for number in range(20)] == [0] * 10 + [1] * 10
        if made == "while running":
            until(lambda: checkpoint.stat().st_ino != old)
            api.process.kill()
            api.process.wait(10)

    with platform(tmp_path, DEDUPE_WINDOW="100") as api:
        assert api.get("/stats")["ingest"]["integrity"] == "verified"
        assert sent(api, "0")["duplicates"] == 1


def sent(api: Platform, event_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.post(f"{api.url}/events", json=native_event(event_id), timeout=10).json()
    return answer


@pytest.mark.parametrize("what", ["moved", "replaced"])
def test_nothing_is_acknowledged_that_a_start_would_not_find(tmp_path: Path, what: str) -> None:
    journal, aside = tmp_path / "events_backup.json", tmp_path / "aside.json"
    with platform(tmp_path) as api:
        sent(api, "a")
        journal.rename(aside)
        if what == "replaced":
            journal.write_bytes(b'[\n{"event_id":"x","event_type":"click","user_id":"u"}\n]\n')

        for refused in (
            requests.post(f"{api.url}/events", json=native_event("b"), timeout=10),
            requests.get(f"{api.url}/events", timeout=10),
            requests.get(f"{api.url}/export", timeout=10),
        ):
            assert refused.status_code == 503
            assert "was moved, replaced or deleted" in refused.json()["error"]["message"]
            assert ("Access-Control-Allow-Origin" in refused.headers) is (refused.request.method == "POST")

        aside.replace(journal)
        assert sent(api, "b")["processed"] == 1

    assert [event["event_id"] for event in array_in(journal)] == ["a", "b"]


def test_events_that_were_not_kept_push_no_id_out_of_the_window(tmp_path: Path) -> None:
    journal, aside = tmp_path / "events_backup.json", tmp_path / "aside.json"
    with platform(tmp_path, DEDUPE_WINDOW="3") as api:
        assert [sent(api, one)["processed"] for one in ("a", "b", "c")] == [1] * 3
        journal.rename(aside)
        not_kept = [native_event(one) for one in ("d", "e", "f")]
        assert requests.post(f"{api.url}/events", json=not_kept, timeout=10).status_code == 503
        aside.rename(journal)

        assert [sent(api, one)["duplicates"] for one in ("a", "b", "c")] == [1] * 3
        assert [sent(api, one)["processed"] for one in ("d", "e", "f")] == [1] * 3
        assert sent(api, "d")["duplicates"] == 1
        assert sent(api, "a")["processed"] == 1
        assert api.get("/stats")["ingest"]["dedupe"] == {"window": 3, "ids": 3}


def test_a_request_whose_body_is_under_way_at_sigterm_is_answered(tmp_path: Path) -> None:
    body = encoded(native_event("late"))
    with platform(tmp_path) as api:
        with open_socket(api.url) as connection:
            head = b"POST /events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body[:20])
            requests.get(f"{api.url}/health", timeout=5)  # the server has read the first half by now
            api.process.send_signal(signal.SIGTERM)
            until(lambda: _refuses(api.url))
            connection.sendall(body[20:])
            assert said(connection).startswith(b"HTTP/1.1 202")
        assert api.process.wait(10) == 0
    assert [event["event_id"] for event in array_in(tmp_path / "events_backup.json")] == ["late"]


def _refuses(url: str) -> bool:
    try:
        open_socket(url, timeout_s=1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "told"),
    [("events_backup.json", "is being written by another process"), ("others.json", "belongs to another API")],
)
def test_a_second_api_on_the_same_file_or_directory_ends_within_a_second_and_says_why(
    tmp_path: Path, name: str, told: str
) -> None:
    with platform(tmp_path) as api:
        port = free_port()
        environ = {
            "PATH": os.environ["PATH"],
            "EVENTS_FILE": str(tmp_path / name),
            "API_PORT": str(port),
        }
        script = Path(__file__).parents[1] / "local_api.py"
        other = subprocess.run(
            [sys.executable, str(script)],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )

        assert other.returncode == 2
        assert told in other.stderr
        assert "Traceback" not in other.stderr
        assert requests.post(f"{api.url}/events", data=encoded(native_event()), timeout=5).status_code == 202


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    events = [native_event(f"r{n}", session_id=f"s{n % 7}", user_id=f"u{n % 5}") for n in range(300)]
    with platform(tmp_path) as api:
        client = Client(api.url)
        client.post(encoded(events))
        client.post(b"nonsense")
        time.sleep(0.12)  # /stats may be a tenth of a second old
        before = client.get("/stats")
        exported = client.request("GET", "/export").body
        client.close()
    with platform(tmp_path) as api:
        client = Client(api.url)
        after = client.get("/stats")
        assert client.request("GET", "/export").body == exported
        moving = {"accounting", "rejected_by_code", "ingest", "generated_at", "rolling_minute", "window", "series"}
        assert {k: v for k, v in after.items() if k not in moving} == {
            k: v for k, v in before.items() if k not in moving
        }
        assert client.post(encoded(events)).json == {"status": "accepted", "processed": 0, "duplicates": 300}
        assert client.get("/rejected")["total"] == 1
        client.close()


def test_while_the_journal_is_replayed_data_routes_say_when_to_try_again(tmp_path: Path) -> None:
    record = stored_record(1)
    with (tmp_path / "events_backup.json").open("wb") as file:
        file.write(b"[\n")
        for n in range(300):
            file.write(b",\n".join(record.replace(b"event-1", b"event-%d-%d" % (n, k)) for k in range(1000)))
            file.write(b",\n" if n < 299 else b"\n]\n")
    seen: set[str] = set()
    with platform(tmp_path, wait=False) as api:
        until(lambda: _answers(api.url))
        client = Client(api.url)
        while (ready := client.request("GET", "/ready")).status == 503:
            assert ready.json["status"] == "replaying"
            assert 0 <= ready.json["progress"] <= 1
            for method, path in (("GET", "/stats"), ("GET", "/export"), ("GET", "/events"), ("POST", "/events")):
                # A body only where one is read: a server may close the connection on one that it leaves unread.
                answer = client.request(method, path, encoded(native_event()) if method == "POST" else None)
                if answer.status == 503:
                    assert answer.json["error"]["code"] == "replaying"
                    assert answer.headers["retry-after"]
                    seen.add(f"{method} {path}")
            assert client.get("/health")["status"] == "ok"
        assert len(seen) == 4
        assert client.post(encoded(native_event("event-7-7"))).json["duplicates"] == 1
        client.close()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=1).status_code == 200
    except requests.ConnectionError:
        return False
