"""Saturating load over 32 keep-alive connections: wrk where it is installed, else a small generator of our own."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import Server

CONNECTIONS: Final = 32

# What wrk counts, in the order of the line that requests.lua prints.
_FAILURES: Final = ("were refused", "took too long", "found no connection", "lost their answer", "could not be written")
_SCRIPT: Final = Path(__file__).with_name("requests.lua")
# A slow answer is a figure and no failure: wrk by itself would count one after two seconds as none.
_WRK_OPTIONS: Final = ("--timeout", "60s", "--script", str(_SCRIPT))
_RUN_NUMBERS: Final = 1 << 20  # id numbers of one run; no run sends as many requests
_runs: Final = itertools.count(int.from_bytes(os.urandom(2), "big"))


@dataclass(frozen=True, slots=True)
class Load:
    """What one server did under load."""

    requests_per_s: float
    p99_ms: float
    cpu_us_per_request: float  # processor time of the server, all threads


def generator() -> str:
    """Which load generator runs here."""
    return "wrk, 1 thread" if shutil.which("wrk") else "Python sockets (slower than wrk; install wrk)"


def start(server: Server, bodies: Path, seconds: float) -> subprocess.Popen[str]:
    """Begin to send `bodies` to `server`; `finish` waits for the end."""
    first = next(_runs) * _RUN_NUMBERS
    if shutil.which("wrk") is not None:
        url = f"http://127.0.0.1:{server.port}/events"
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", *_WRK_OPTIONS, url, "--"]
    else:
        command = [sys.executable, "-m", "benchmarks.socket_load", str(server.port), str(seconds)]
    return subprocess.Popen([*command, str(bodies), str(first)], stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, float, float]:
    """Requests, seconds and p99 in milliseconds; ends the program when any request was not answered 2xx."""
    output, _ = process.communicate()
    results = [line.split()[1:] for line in output.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise SystemExit(f"the load generator said:\n{output}")
    requests, duration_us, p99_us, *failures = map(int, results[0])
    if any(failures):
        told = ", ".join(f"{count} {what}" for count, what in zip(failures, _FAILURES, strict=True) if count)
        raise SystemExit(f"{shlex.join(map(str, process.args))}\nof {requests} requests {told}: the figures are void")
    return requests, duration_us / 1e6, p99_us / 1e3


def run(server: Server, bodies: Path, seconds: float) -> Load:
    """Send `bodies` to `server` as fast as it takes them."""
    cpu_s = server.cpu_s()
    requests, duration_s, p99_ms = finish(start(server, bodies, seconds))
    return Load(requests / duration_s, p99_ms, (server.cpu_s() - cpu_s) * 1e6 / requests)
