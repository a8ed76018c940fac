"""Sends simple, steady traffic: independent events at a fixed rate. Shoppers with journeys: advanced_generator.py."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from clickstream.simulation.options import at_least, endpoint, positive, whole
from clickstream.simulation.steady import SteadyTraffic, run


def main(arguments: list[str] | None = None) -> int:
    """Run until the duration is over or Ctrl-C; 0 when every event was acknowledged, else 1."""
    options = _parser().parse_args(arguments)
    traffic = SteadyTraffic(seed=options.seed, rate=options.rate, duration_s=options.duration)
    try:
        return run(traffic, options.endpoint, batch_size=options.batch_size, console=Console(), quiet=options.quiet)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", type=endpoint, default="http://localhost:3000/events", help="default %(default)s")
    parser.add_argument("--rate", type=positive, default=10.0, help="events a second, default 10")
    parser.add_argument("--duration", type=at_least(0.0), default=60.0, help="seconds, default 60; 0 runs until Ctrl-C")
    parser.add_argument(
        "--batch-size", type=whole(1, 10_000), default=100, help="most events in one request, default 100"
    )
    parser.add_argument("--seed", type=int, help="repeat a run: the same seed gives the same events and ids")
    parser.add_argument("--quiet", action="store_true", help="print nothing but problems")
    return parser


if __name__ == "__main__":
    sys.exit(main())
