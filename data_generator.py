"""Sends simple, steady traffic: independent events at a fixed rate. Shoppers with journeys: advanced_generator.py."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import sys

import config
from clickstream.errors import ConfigError
from clickstream.simulation.options import LONGEST_S, add_target, number, whole
from clickstream.simulation.steady import SteadyTraffic, run
from clickstream.start import begun
from clickstream.terminal.console import console_for_lines


def main(arguments: list[str] | None = None) -> int:
    """Run until the duration is over or Ctrl-C; 0 when every event was acknowledged, else 1."""
    options = _parser().parse_args(arguments)
    begun()
    traffic = SteadyTraffic(seed=options.seed, rate=options.rate, duration_s=options.duration)
    console = console_for_lines()
    try:
        settings = config.from_environment()
        return run(
            traffic,
            options.endpoint or settings.events_url,
            key=settings.write_key if options.key is None else options.key,
            batch_size=options.batch_size,
            console=console,
            quiet=options.quiet,
        )
    except ConfigError as problem:
        console.print(str(problem), style="bold red", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add_target(parser)
    parser.add_argument("--rate", type=number(0.001, 1_000_000), default=10.0, help="events a second, default 10")
    parser.add_argument(
        "--duration", type=number(0.0, LONGEST_S), default=60.0, help="seconds, default 60; 0 runs until Ctrl-C"
    )
    parser.add_argument(
        "--batch-size", type=whole(1, 10_000), default=100, help="most events in one request, default 100"
    )
    parser.add_argument("--seed", type=int, help="repeat a run: the same seed gives the same events and ids")
    parser.add_argument("--quiet", action="store_true", help="print nothing but problems")
    return parser


if __name__ == "__main__":
    sys.exit(main())
