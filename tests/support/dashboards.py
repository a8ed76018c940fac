"""The real dashboard as a process of its own, on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickstream.ports import free_port
from tests.support.processes import RunningProcess, environment, python, running


@contextmanager
def dashboard(directory: Path, api_url: str, **settings: str) -> Iterator[str]:
    """Address of a `dashboard.py` that reads the API at `api_url`, until the block ends."""
    with dashboard_process(directory, api_url, **settings) as (url, _):
        yield url


@contextmanager
def dashboard_process(directory: Path, api_url: str, **settings: str) -> Iterator[tuple[str, RunningProcess]]:
    """The same with its process."""
    port = free_port()
    env = environment(API_URL=api_url, DASHBOARD_PORT=str(port), **settings)
    with running(python("dashboard.py"), directory / "dashboard.log", env=env) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}", process
