"""The helpers for processes keep what they promise, since every other process test rests on them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from clickstream.ports import free_port
from tests.support.processes import http_status, python, running, wait_until


def test_waiting_in_vain_says_what_was_awaited() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, "the moon", deadline_s=0.05)


def test_output_of_a_process_can_be_awaited_and_read(tmp_path: Path) -> None:
    with running(python("-c", "print('ready'); input()"), tmp_path / "log") as process:
        line = process.wait_for_line("read")

    assert line == "ready"


def test_a_process_that_ends_early_fails_the_wait_with_its_log(tmp_path: Path) -> None:
    with (
        running(python("-c", "raise SystemExit('no disk')"), tmp_path / "log") as process,
        pytest.raises(AssertionError, match=r"ended with 1(?s:.*)no disk"),
    ):
        process.wait_for_line("ready")


def test_nothing_of_the_group_survives_the_block(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {stubborn!r}]); time.sleep(60)"

    with running(python("-c", parent), tmp_path / "log") as process:
        process.wait_for_line("up")

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    assert wait_until(gone, "the group is gone")
    assert process.exit_code == -signal.SIGTERM


def test_nobody_answering_is_none() -> None:
    assert http_status(f"http://127.0.0.1:{free_port()}/") is None
