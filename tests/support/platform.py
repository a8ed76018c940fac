"""The real API as a process of its own, on a free port, with a journal of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from clickstream.ports import free_port
from tests.support.processes import ROOT, http_status
from tests.support.waiting import until


class Platform:
    """A running API and what it says."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], token: str) -> None:
        self.url = url
        self.process = process
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 - any JSON
        """The JSON answer to a read."""
        answer = requests.get(self.url + path, params=parameters, headers=self.headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self) -> list[dict[str, Any]]:
        """Everything kept, oldest first."""
        found: list[dict[str, Any]] = self.get("/export")
        return found

    def accounting(self) -> dict[str, int]:
        """received, accepted, duplicates, rejected."""
        return {key: value for key, value in self.get("/stats")["accounting"].items() if key != "since"}


@contextmanager
def platform(
    directory: Path,
    *,
    program: Path = ROOT / "local_api.py",
    log_directory: Path | None = None,
    wait: bool = True,
    ready_timeout_s: float = 30,
    **settings: str,
) -> Iterator[Platform]:
    """Run `program` in `directory` until the block ends; with `wait` it has replayed its journal when that begins."""
    port = free_port()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environ = {**inherited, "EVENTS_FILE": str(directory / "events_backup.json"), "API_PORT": str(port), **settings}
    log = ((log_directory or directory) / "api.log").open("ab")
    process = subprocess.Popen([sys.executable, str(program)], env=environ, cwd=directory, stderr=log)
    running = Platform(f"http://127.0.0.1:{port}", process, settings.get("READ_TOKEN", ""))
    try:
        if wait:
            until(lambda: process.poll() is not None or _is_ready(running.url), timeout_s=ready_timeout_s)
            assert process.poll() is None, Path(log.name).read_text()
        yield running
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()  # only where it did not end by itself, which fails the test
            log.close()


def _is_ready(url: str) -> bool:
    return http_status(f"{url}/ready", timeout_s=1) == 200
