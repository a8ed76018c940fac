"""What readers feel while ingest is saturated: how long /stats takes, how soon an event shows in it."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

from benchmarks import load, processes
from benchmarks.report import Figure

_VISIBLE_TIMEOUT_S = 5


def under_load(directory: Path, bodies: Path, name: str, *, seconds: float) -> list[Figure]:
    """/stats p99 and acknowledged -> visible while `bodies` come in as fast as they are taken."""
    directory.mkdir()
    with processes.api(directory) as server:
        reader = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        stats_ms: list[float] = []
        visible_ms: list[float] = []
        sending = load.start(server, bodies, seconds + 1)
        time.sleep(0.5)  # until the load stands
        until = time.monotonic() + seconds
        while time.monotonic() < until or not visible_ms:
            marker = f"probe_{len(visible_ms)}"
            _post(reader, marker)
            visible_ms.append(_until_counted(reader, marker, stats_ms) * 1000)
        load.finish(sending)
    stats_ms.sort()
    visible_ms.sort()
    return [
        Figure(
            f"/stats p99 under {name}", stats_ms[len(stats_ms) * 99 // 100], " ms", at_most=100,
            note=f"{len(stats_ms)} reads, median {stats_ms[len(stats_ms) // 2]:.1f} ms",
        ),
        Figure(
            f"acknowledged → visible under {name}", visible_ms[-1], " ms", at_most=100,
            note=f"slowest of {len(visible_ms)}, median {visible_ms[len(visible_ms) // 2]:.1f} ms",
        ),
    ]  # fmt: skip


def _post(connection: http.client.HTTPConnection, event_type: str) -> None:
    event = {"event_type": event_type, "user_id": "probe"}
    connection.request("POST", "/events", json.dumps(event), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != http.client.ACCEPTED:
        raise SystemExit(f"a probe was answered {answer.status}")


def _timed(connection: http.client.HTTPConnection, latencies_ms: list[float]) -> dict[str, int]:
    begun = time.perf_counter()
    connection.request("GET", "/stats")
    body = connection.getresponse().read()
    latencies_ms.append((time.perf_counter() - begun) * 1000)
    types: dict[str, int] = json.loads(body)["events_by_type"]
    return types


def _until_counted(connection: http.client.HTTPConnection, event_type: str, latencies_ms: list[float]) -> float:
    begun = time.perf_counter()
    while event_type not in _timed(connection, latencies_ms):
        if time.perf_counter() - begun > _VISIBLE_TIMEOUT_S:
            raise SystemExit(f"an acknowledged event did not show in /stats within {_VISIBLE_TIMEOUT_S} s")
        time.sleep(0.005)
    return time.perf_counter() - begun
