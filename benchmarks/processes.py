"""Servers as processes of their own, and what they cost."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickstream.ports import free_port

ROOT: Final = Path(__file__).resolve().parent.parent

_START_TIMEOUT_S: Final = 60
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server on loopback."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor time used so far, by all its threads and children; 0 where there is no /proc."""
        stats = [stat.rpartition(")")[2].split() for stat in self._read("stat")]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS_PER_S

    def memory_mb(self, name: str = "VmRSS") -> float:
        """Resident memory now (VmRSS) or at most so far (VmHWM); 0 where there is no /proc."""
        lines = [line for status in self._read("status") for line in status.splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def forget_peak(self) -> None:
        """Let VmHWM begin anew from what is resident now, where the kernel can."""
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _read(self, name: str) -> list[str]:
        own = Path(f"/proc/{self.pid}")
        if not own.exists():
            return []
        children = (own / "task" / str(self.pid) / "children").read_text().split()
        return [Path(f"/proc/{pid}/{name}").read_text() for pid in (self.pid, *children)]


@contextlib.contextmanager
def api(
    directory: Path, events_file: str = "events.json", *, root: Path = ROOT, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Our ingestion API over a journal in `directory`, ready; `settings` are more variables for it."""
    port = free_port()
    environ = {"API_PORT": str(port), "EVENTS_FILE": str(directory / events_file), "LOG_LEVEL": "warning"}
    environ.update(settings or {})
    with _running([sys.executable, "local_api.py"], port, environ, root) as server:
        wait_until_ready(port)
        yield server


@contextlib.contextmanager
def starting_api(directory: Path, events_file: str) -> Iterator[Server]:
    """Our ingestion API as soon as it answers at all; it may still be reading its journal.

    Without checkpoints: the process that makes one after the replay would be measured too.
    """
    port = free_port()
    environ = {"API_PORT": str(port), "EVENTS_FILE": str(directory / events_file), "LOG_LEVEL": "warning"}
    environ["CHECKPOINT_BYTES"] = "0"
    with _running([sys.executable, "local_api.py"], port, environ, ROOT) as server:
        yield server


@contextlib.contextmanager
def null_on_granian() -> Iterator[Server]:
    """The null endpoint on granian's WSGI server with one blocking thread: the fastest Flask can be here."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-log", "--factory", "benchmarks.null_app:create_app"]
    with _running(command, port, {}, ROOT) as server:
        yield server


@contextlib.contextmanager
def null_on_our_transport(file: Path, *, root: Path = ROOT) -> Iterator[Server]:
    """The null endpoint on clickstream/server/, which also streams `file`."""
    port = free_port()
    with _running([sys.executable, "-m", "benchmarks.null_app", str(port), str(file)], port, {}, root) as server:
        yield server


@contextlib.contextmanager
def old_design(directory: Path) -> Iterator[Server]:
    """The baseline that this platform replaces."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.old_app", str(port), str(directory / "old.json")]
    with _running(command, port, {}, ROOT) as server:
        yield server


def wait_until_ready(port: int) -> float:
    """Seconds until /ready answers 200."""
    begun = time.perf_counter()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/ready")
        status = connection.getresponse().status
        connection.close()
        if status == http.client.OK:
            return time.perf_counter() - begun
        time.sleep(0.01)


@contextlib.contextmanager
def _running(command: Sequence[str], port: int, environ: Mapping[str, str], root: Path) -> Iterator[Server]:
    process = subprocess.Popen(command, cwd=root, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
    try:
        _wait_for_port(process, port)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with code {process.returncode} instead of serving port {port}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise SystemExit(f"{process.args!r} does not serve port {port} after {_START_TIMEOUT_S} s")
