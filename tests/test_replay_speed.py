"""`replay --speed` of the command itself: it says what it waits for, and an end by Ctrl-C says what was sent."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.event_sample import write_ndjson
from tests.support.platform import platform
from tests.support.processes import ROOT
from tests.support.waiting import until


def test_a_long_pause_is_told_and_an_interrupted_one_says_what_was_sent(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    event = {"event_type": "click", "user_id": "u", "properties": {}}
    write_ndjson(
        events,
        [
            {"event_id": str(number), "timestamp": f"2026-01-15T{hour}:00:00Z", **event}
            for number, hour in enumerate(("00", "00", "12"))
        ],
    )
    with platform(tmp_path) as api:
        command = [
            sys.executable,
            "-m",
            "clickstream",
            "replay",
            "--from",
            str(events),
            "--to",
            api.url,
            "--speed",
            "2",
        ]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=20)
        until(lambda: api.get("/stats")["total_events"] == 2)

    assert told == "2 events sent; the next one is due in 6:00:00 (Ctrl-C ends)\n"
    assert printed == "Interrupted: 2 events sent. The same command begins anew; what is there is known.\n"
    assert process.returncode == 130
