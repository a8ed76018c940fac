"""Checkpoints made while the API runs: a start after a kill reads the journal's last part only."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.backends.checkpointer import make
from clickstream.backends.local import LocalBackend
from clickstream.journal import Quarantine, checkpoint
from clickstream.stats.state import FORM
from clickstream.timestamps import parse
from tests.support.platform import ROOT, Platform, platform
from tests.support.processes import python
from tests.support.waiting import until
from tests.test_checkpoint import keep, numbers, open_backend, recover

NOW_MS = parse("2026-03-04T12:00:00Z")
EVERY_BYTES = 20_000
PERSON = "somebody-who-will-be-forgotten"
MADE_ON_THE_WAY = {"CHECKPOINT_BYTES": str(EVERY_BYTES)}


def test_after_a_kill_the_start_goes_on_from_the_last_checkpoint_with_the_same_numbers(tmp_path: Path) -> None:
    with platform(tmp_path, **MADE_ON_THE_WAY) as api:
        send(api, 0, 200)
        until(lambda: reached(tmp_path) > EVERY_BYTES)
        first = reached(tmp_path)
        send(api, 200, 200)
        until(lambda: reached(tmp_path) > first)
        send(api, 400, 30)
        before = shown(api)
        api.process.kill()
        api.process.wait(10)

    with platform(tmp_path, **MADE_ON_THE_WAY) as api:
        assert api.get("/stats")["ingest"]["integrity"] == "verified"
        assert shown(api) == before
        assert send(api, 0, 430) == {"status": "accepted", "processed": 0, "duplicates": 430}


def test_bytes_that_change_on_the_disk_meanwhile_are_noticed_while_running(tmp_path: Path) -> None:
    journal = tmp_path / "events_backup.json"
    with platform(tmp_path, **MADE_ON_THE_WAY) as api:
        send(api, 0, 60)
        with journal.open("r+b") as file:
            file.seek(file.read().index(b'"/p/3"') + 4)
            file.write(b"X")
        send(api, 60, 200)
        until(lambda: api.get("/stats")["ingest"]["integrity"] == "changed")
        assert not checkpoint_of(journal).exists()


def test_a_stop_does_not_wait_for_the_process_that_makes_one(tmp_path: Path) -> None:
    with platform(tmp_path, **MADE_ON_THE_WAY) as api:
        send(api, 0, 200)
        (maker,) = children(api.process.pid)
        os.kill(maker, signal.SIGSTOP)
        api.process.terminate()
        assert api.process.wait(5) == 0
    assert reached(tmp_path) > EVERY_BYTES
    assert not list(tmp_path.glob("*.checkpoint.new"))


def test_the_process_that_makes_one_ends_with_the_api_however_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    backend = open_backend(path)
    recover(backend)
    keep(backend, 0, 20_000)
    arguments = [str(path), str(backend._journal.end), str(backend._journal.crc), "1000"]
    command = python("-m", "clickstream.backends.checkpointer", *arguments)

    orphan = subprocess.run(command, stdin=subprocess.DEVNULL, cwd=ROOT, timeout=30, check=False)

    assert orphan.returncode == 1
    assert not list(tmp_path.glob("*.checkpoint*"))
    backend.close([])


def test_what_a_kill_has_left_half_made_is_removed_at_the_start(tmp_path: Path) -> None:
    half = tmp_path / "events_backup.json.checkpoint.new"
    half.write_bytes(b'{"form":')
    with platform(tmp_path):
        assert not half.exists()


@pytest.mark.parametrize("has_older", [True, False])
def test_a_checkpoint_on_top_of_an_older_one_says_what_one_from_the_start_says(tmp_path: Path, has_older: bool) -> None:
    path = tmp_path / "events_backup.json"
    backend = open_backend(path)
    recover(backend)
    keep(backend, 0, 400)
    older = backend._journal.end, backend._journal.crc
    keep(backend, 400, 300)
    before = numbers(backend)
    for end, crc in ([older] if has_older else []) + [(backend._journal.end, backend._journal.crc)]:
        assert make(path, end, crc, dedupe_window=500, clock_ms=lambda: NOW_MS)
        checkpoint.publish(path)
    backend._journal.close()

    again = open_backend(path, dedupe_window=500)

    assert recover(again) == [f"e{index}" for index in range(200, 700)]
    assert numbers(again) == before
    again.close([])


def test_other_bytes_than_those_that_were_written_give_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    backend = open_backend(path)
    recover(backend)
    keep(backend, 0, 50)

    assert not make(path, backend._journal.end, backend._journal.crc ^ 1, dedupe_window=500, clock_ms=lambda: NOW_MS)
    assert not make(path, backend._journal.end - 1, backend._journal.crc, dedupe_window=500, clock_ms=lambda: NOW_MS)
    assert not list(tmp_path.glob("*.checkpoint*"))
    backend.close([])


@pytest.mark.parametrize("is_prepared", [True, False])
def test_an_erasure_leaves_no_checkpoint_that_knows_the_person(tmp_path: Path, is_prepared: bool) -> None:
    path = tmp_path / "events_backup.json"
    quarantine = Quarantine(path.with_name("events_rejected.ndjson"), max_bytes=1_000_000)
    every_bytes = 0 if is_prepared else 1
    backend = LocalBackend(path, quarantine, fsync="always", clock_ms=lambda: NOW_MS, checkpoint_bytes=every_bytes)
    recover(backend)
    keep(backend, 0, 50, person=PERSON)
    if is_prepared:
        assert make(path, backend._journal.end, backend._journal.crc, dedupe_window=500, clock_ms=lambda: NOW_MS)
        assert any(PERSON.encode() in file.read_bytes() for file in tmp_path.glob("*.checkpoint.new"))

    assert backend.keeper().erase(PERSON).events > 0

    until(lambda: not any(children(os.getpid())))
    assert not list(tmp_path.glob("*.checkpoint*"))
    recover(backend)
    keep(backend, 50, 50)
    backend.close([])
    assert not any(PERSON.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_an_event_is_kept_although_no_thread_is_left_to_make_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine = Quarantine(tmp_path / "events_rejected.ndjson", max_bytes=1_000_000)
    backend = LocalBackend(
        tmp_path / "e.json", quarantine, fsync="always", clock_ms=lambda: NOW_MS, checkpoint_bytes=1000
    )
    recover(backend)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", none_left)
        keep(backend, 0, 50)
    assert not any(children(os.getpid()))

    keep(backend, 50, 50)
    until(checkpoint_of(tmp_path / "e.json").exists)
    backend.close([])


def test_zero_makes_none_before_the_stop(tmp_path: Path) -> None:
    with platform(tmp_path, CHECKPOINT_BYTES="0") as api:
        send(api, 0, 500)
        assert not any(children(api.process.pid))
        assert reached(tmp_path) == 0


def send(api: Platform, first: int, count: int) -> dict[str, Any]:
    events = [
        {
            "event_id": f"e{number}",
            "event_type": "page_view" if number % 4 else "purchase",
            "session_id": f"s{number // 7}",
            "user_id": f"u{number // 30}",
            "timestamp": f"2026-03-04T12:{number // 60 % 60:02d}:{number % 60:02d}Z",
            "properties": {"page": f"/p/{number % 9}", "total": "12.34"},
        }
        for number in range(first, first + count)
    ]
    answer = requests.post(f"{api.url}/events", json=events, timeout=10)
    assert answer.status_code == 202, answer.text
    verdict: dict[str, Any] = answer.json()
    return verdict


def shown(api: Platform) -> dict[str, Any]:
    """Everything in /stats that follows from the kept events."""
    stats = api.get("/stats")
    of_this_process = ("accounting", "ingest", "generated_at", "window", "rejected_by_code")
    return {name: value for name, value in stats.items() if name not in of_this_process}


def checkpoint_of(journal: Path) -> Path:
    return journal.with_name(journal.name + ".checkpoint")


def reached(directory: Path) -> int:
    """Where the checkpoint ends; 0 without one."""
    known = checkpoint.load(directory / "events_backup.json", form=FORM)
    return 0 if known is None else known.end


def children(pid: int) -> Iterator[int]:
    """The processes that `pid` has started."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            yield int(status.parent.name)
