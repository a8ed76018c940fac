"""Requests a second, ours beside what they are compared with: every round measures each server once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks import load, processes
from benchmarks.load import Load
from benchmarks.processes import Server
from benchmarks.report import Figure

BATCH = 500


def single_events(directory: Path, bodies: Path, *, rounds: int, seconds: float) -> list[Figure]:
    """Durable single events beside the null endpoint and the old design."""
    directory.mkdir()
    with ExitStack() as stack:
        null = stack.enter_context(processes.null_on_granian())
        ours = stack.enter_context(processes.api(directory))
        # The old design gets slower with every event: each round starts a fresh one, which flatters it.
        by_server = _interleaved(
            [_kept(null), _kept(ours), lambda: processes.old_design(directory)], bodies, rounds, seconds
        )
    nulls, own, old = by_server
    note = f"{_rate(own)} req/s (p99 {median(one.p99_ms for one in own):.1f} ms)"
    return [
        Figure("single events ÷ null endpoint", _ratio(own, nulls), at_least=0.5, note=f"{note} ÷ {_rate(nulls)}"),
        Figure("single events ÷ old design", _ratio(own, old), at_least=6, note=f"{note} ÷ {_rate(old)}"),
        Figure(
            "server processor time ÷ null endpoint",
            _cpu(own) / max(_cpu(nulls), 1e-9),
            note=f"{_cpu(own):.0f} ÷ {_cpu(nulls):.0f} µs a request; less disturbed by other work on the machine",
        ),
    ]


def batches(directory: Path, bodies: Path, *, rounds: int, seconds: float) -> list[Figure]:
    """Durable batches beside the null endpoint with the same body on the same transport."""
    directory.mkdir()
    with ExitStack() as stack:
        null = stack.enter_context(processes.null_on_our_transport(bodies))
        ours = stack.enter_context(processes.api(directory))
        nulls, own = _interleaved([_kept(null), _kept(ours)], bodies, rounds, seconds)
        peak_mb = ours.memory_mb("VmHWM")
    events = median(one.requests_per_s for one in own) * BATCH
    note = f"{_rate(own)} req/s (p99 {median(one.p99_ms for one in own):.1f} ms) ÷ {_rate(nulls)}"
    return [
        Figure(f"{BATCH}-event batches ÷ null endpoint", _ratio(own, nulls), at_least=0.2, note=note),
        Figure(
            f"events in {BATCH}-event batches", events, " /s", note=f"{_cpu(own) / BATCH:.2f} µs processor time each"
        ),
        Figure("peak resident memory", peak_mb, " MB", at_most=300, note="after the batches"),
    ]


def _interleaved(
    servers: Sequence[Callable[[], AbstractContextManager[Server]]], bodies: Path, rounds: int, seconds: float
) -> list[list[Load]]:
    for start in servers:
        with start() as server:
            load.run(server, bodies, min(1.0, seconds))  # warm: caches filled, files created
    results: list[list[Load]] = [[] for _ in servers]
    for _ in range(rounds):
        for start, result in zip(servers, results, strict=True):
            with start() as server:
                result.append(load.run(server, bodies, seconds))
    return results


def _kept(server: Server) -> Callable[[], AbstractContextManager[Server]]:
    @contextmanager
    def running() -> Iterator[Server]:
        yield server

    return running


def _ratio(ours: Sequence[Load], theirs: Sequence[Load]) -> float:
    return median(own.requests_per_s / other.requests_per_s for own, other in zip(ours, theirs, strict=True))


def _rate(results: Sequence[Load]) -> str:
    return f"{median(one.requests_per_s for one in results):,.0f}"


def _cpu(results: Sequence[Load]) -> float:
    return median(one.cpu_us_per_request for one in results)
