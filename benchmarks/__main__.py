"""`python -m benchmarks`: measure, print the table. `--short` only shows that everything runs; its figures are void."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import bodies, journal, latency, load, machine, throughput
from benchmarks.report import Figure, table


def main() -> int:
    """Run the benchmarks that were asked for and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few seconds in all; checks that it runs")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is taken (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="of load for each server and round (default 3)")
    parser.add_argument("--events", type=int, default=1_000_000, help="in the journal that is replayed (default 1M)")
    parser.add_argument("--directory", type=Path, default=Path.cwd(), help="where journals are written: a real disk")
    args = parser.parse_args()
    if args.short:
        args.rounds, args.seconds, args.events = 1, 1, 20_000
    # Not the system's temporary directory, which may be in memory: syncing costs nothing there.
    with tempfile.TemporaryDirectory(dir=args.directory, prefix=".bench-") as name:
        figures = measure(Path(name), rounds=args.rounds, seconds=args.seconds, events=args.events)
        print(machine.description(Path(name)))
    print(f"{load.CONNECTIONS} keep-alive connections from {load.generator()}, on the same machine; ", end="")
    print(f"medians of {args.rounds} interleaved rounds of {args.seconds:g} s\n")
    print(table(figures))
    return 0


def measure(directory: Path, *, rounds: int, seconds: float, events: int) -> list[Figure]:
    """All figures, in the order of the table."""
    single, batch = directory / "single.txt", directory / "batch.txt"
    bodies.write_bodies(single, bodies=2000, events_each=1)
    bodies.write_bodies(batch, bodies=200, events_each=throughput.BATCH)
    return [
        *throughput.single_events(directory / "1", single, rounds=rounds, seconds=seconds),
        *throughput.batches(directory / "2", batch, rounds=rounds, seconds=seconds),
        *latency.under_load(directory / "3", single, "single events", seconds=seconds),
        *latency.under_load(directory / "4", batch, "batches", seconds=seconds),
        *journal.replay_and_export(directory / "5", events=events, rounds=rounds),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
