"""What the demo may be asked for; run by itself it answers --help, before anything is installed (run_demo.sh)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

GENERATORS: Final = {
    "simple": ["data_generator.py"],
    "advanced": [
        "advanced_generator.py",
        "--users=50",
    ],  # about 38 events/s: all seven types, the rare remove_from_cart too, within 20 s
}


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments `argv`; ends the program at --help and at what there is not."""
    parser = argparse.ArgumentParser(
        prog="./run_demo.sh",
        description="Starts the API, the dashboard and a generator; Ctrl-C stops all three.",
        epilog="Other ports: API_PORT=3001 DASHBOARD_PORT=5001 ./run_demo.sh. Your own events only: "
        "mkdir -p mine; EVENTS_FILE=mine/events_backup.json ./run_demo.sh --generator none. "
        "All settings: docs/operations.md",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the dashboard in a browser")
    parser.add_argument("--duration", type=_seconds, metavar="SECONDS", help="stop by itself after so many seconds")
    parser.add_argument(
        "--generator",
        choices=[*GENERATORS, "none"],
        help="who sends events: simple steady traffic, simulated shoppers (advanced, the default), or nobody",
    )
    parser.add_argument(
        "--aws-local", action="store_true", help="the same with ENV=aws, against an AWS emulator on this machine"
    )
    given = parser.parse_args(argv)
    if given.aws_local:  # run_demo.sh takes it out, because that needs more packages
        parser.error("--aws-local: start it with ./run_demo.sh")
    return given


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}": expected a number of seconds above 0')
    return seconds


if __name__ == "__main__":
    parsed()
