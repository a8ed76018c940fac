"""A journal of a million events: how long the start takes to replay it, and its export beside the bare bytes."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from statistics import median

from benchmarks import bodies, processes
from benchmarks.processes import Server
from benchmarks.report import Figure

_RECEIVE_BYTES = 1 << 20


def replay_and_export(directory: Path, *, events: int, rounds: int) -> list[Figure]:
    """Replay, export as json and ndjson, and what they do to memory."""
    directory.mkdir()
    path = directory / "events.json"
    bodies.write_journal(path, events=events)
    with processes.starting_api(directory, path.name) as server:
        replay_s = processes.wait_until_ready(server.port)
        figures = [
            Figure(
                "replay at start, per 1M events", replay_s * 1e6 / events, " s", at_most=4,
                note=f"{events:,} events, {path.stat().st_size / 1e6:.0f} MB",
            ),
            Figure("resident memory after the replay", server.memory_mb(), " MB"),
        ]  # fmt: skip
        return figures + _exports(server, path, rounds)


def _exports(server: Server, path: Path, rounds: int) -> list[Figure]:
    server.forget_peak()  # which the replay has set
    before_mb = server.memory_mb()
    seconds: dict[str, list[float]] = {"bytes": [], "json": [], "ndjson": []}
    with processes.null_on_our_transport(path) as null:
        _download(null, "/file")  # into the page cache
        for _ in range(rounds):
            seconds["bytes"].append(_download(null, "/file"))
            for form in ("json", "ndjson"):
                seconds[form].append(_download(server, f"/export?format={form}"))
    base = median(seconds["bytes"])
    growth_mb = server.memory_mb("VmHWM") - before_mb
    return [
        *(
            Figure(
                f"export {form} ÷ the same bytes",
                median(own / bare for own, bare in zip(seconds[form], seconds["bytes"], strict=True)),
                at_most=goal,
                note=f"{median(seconds[form]):.2f} s ÷ {base:.2f} s",
            )
            for form, goal in (("json", 1.5), ("ndjson", 2.5))
        ),
        Figure("memory growth of an export", max(0.0, growth_mb), " MB", at_most=30),
    ]


def _download(server: Server, target: str) -> float:
    """Seconds until the whole answer is here; the bytes are thrown away."""
    buffer = bytearray(_RECEIVE_BYTES)
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        received = connection.recv_into(buffer)
        if not buffer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{target} was answered {bytes(buffer[:100])!r}")
        while received:
            received = connection.recv_into(buffer)
    return time.perf_counter() - begun
