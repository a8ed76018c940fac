"""A stop takes seconds, whatever is under way, and loses nothing."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.http_client import fresh, open_socket, said
from tests.support.journals import write_long_journal
from tests.support.platform import Platform, platform
from tests.support.waiting import until

pytestmark = [pytest.mark.crash, pytest.mark.measures]

EVENTS = 700_000


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough to read for seconds."""
    directory = tmp_path_factory.mktemp("long")
    write_long_journal(directory / "events_backup.json", EVENTS // 1000)
    with platform(directory, ready_timeout_s=60) as api:  # leaves a checkpoint
        assert api.get("/stats")["total_events"] == EVENTS
    return directory


class Successive:
    """Platforms one after the other on one journal: who follows on a stop is the next that is stopped."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = contextlib.ExitStack()
        self._api: Platform | None = None

    def api(self) -> Platform:
        """The one that runs, or one that begins where the last has ended."""
        if self._api is None or self._api.process.poll() is not None:
            self.close()
            self._api = self._running.enter_context(platform(self._directory, ready_timeout_s=60))
        return self._api

    def close(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def successive(journal: Path) -> Iterator[Successive]:
    one = Successive(journal)
    yield one
    one.close()


@contextlib.contextmanager
def under_way(api: Platform, path: str, times: int) -> Iterator[None]:
    """Ask for `path`; within the block the server has read it all and works on it."""
    connections = [open_socket(api.url, timeout_s=30) for _ in range(times)]
    for connection in connections:
        connection.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path.encode())
    readers = [threading.Thread(target=said, args=(connection,)) for connection in connections]
    for reader in readers:
        reader.start()
    api.get("/health")  # asked last: what came before has been read by now
    assert any(reader.is_alive() for reader in readers), "all were answered before the stop"
    yield
    for reader, connection in zip(readers, connections, strict=True):
        reader.join()
        connection.close()


def _readiness(api: Platform) -> str:
    with contextlib.suppress(requests.ConnectionError):
        return str(requests.get(f"{api.url}/ready", timeout=5).json()["status"])
    return "down"


def stopped(api: Platform) -> float:
    begin = time.monotonic()
    api.process.terminate()
    assert api.process.wait(20) == 0
    return time.monotonic() - begin


@pytest.mark.parametrize(
    ("path", "times"),
    [
        ("/events?user_id=nobody", 9),
        ("/export?format=csv&property.x=nothing", 8),
        ("/export?format=parquet", 1),
        ("/analytics/paths", 2),
        ("/users/nobody", 3),
        ("/expect?event_type=never&timeout=60s", 20),
    ],
)
def test_a_stop_takes_seconds_beside_long_reads_and_keeps_what_was_acknowledged(
    successive: Successive, path: str, times: int
) -> None:
    event = fresh()
    api = successive.api()
    with under_way(api, path, times):
        assert requests.post(f"{api.url}/events", json=event, timeout=20).status_code == 202
        assert stopped(api) < 5
    again = successive.api()
    assert again.get("/events?limit=1")["events"][0]["event_id"] == event["event_id"]
    assert again.get("/stats")["ingest"]["integrity"] == "verified"


def test_who_waits_for_an_event_is_told_that_the_server_stops(successive: Successive) -> None:
    api = successive.api()
    with open_socket(api.url) as waiting:
        waiting.sendall(b"GET /expect?event_type=never&timeout=60s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        api.get("/health")  # asked last: what came before has been read by now
        assert stopped(api) < 5
        head, _, body = said(waiting).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: " in head
    assert json.loads(body)["error"]["code"] == "unavailable"


def test_a_stop_in_the_middle_of_a_replay_takes_seconds_and_changes_nothing(
    journal: Path, successive: Successive
) -> None:
    successive.close()
    (journal / "events_backup.json.checkpoint").unlink()
    before = (journal / "events_backup.json").stat()
    with platform(journal, wait=False) as api:
        until(lambda: _readiness(api) == "replaying", timeout_s=5)
        assert stopped(api) < 5
    assert (journal / "events_backup.json").stat().st_mtime_ns == before.st_mtime_ns
