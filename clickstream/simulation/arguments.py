"""The command line of advanced_generator.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from clickstream.simulation import options
from clickstream.simulation.journeys import DEFAULT_FILE


def arguments_parser(description: str) -> argparse.ArgumentParser:
    """Every option of a run; `description` is printed as it is."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    options.add_target(parser)
    add(
        "--duration",
        type=options.number(0.0, options.LONGEST_S),
        default=60.0,
        help="seconds, default 60; 0 runs until Ctrl-C",
    )
    add("--users", type=options.whole(1, 1_000_000), default=5, help="shoppers at the same time, default 5")
    add(
        "--speed",
        type=options.number(0.001, 1_000_000),
        default=60.0,
        help="times the pace of real shoppers, default 60: a minute a second",
    )
    add("--preset", default="default", help="mix of personas: default, or realistic (2.8 %% buy)")
    add("--journeys", type=Path, default=DEFAULT_FILE, metavar="FILE", help="a model of your own")
    add("--seed", type=int, help="repeat a run: the same seed gives the same events and ids")
    add(
        "--start",
        type=options.moment_ms,
        metavar="TIME",
        help="time of the first event, RFC 3339; default now, or so that the run ends now",
    )
    _add_modes(parser.add_argument_group("instead of real time"))
    _add_faults(parser.add_argument_group("faults, off by default; shares such as 0.01 or 1%"))
    _add_checks(parser.add_argument_group("truth"))
    _add_sending(parser.add_argument_group("sending"))
    return parser


def _add_modes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--fast", action="store_true", help="the same run, sent as fast as the API takes it")
    add(
        "--backfill",
        type=options.period_s,
        metavar="PERIOD",
        help="fill the past, such as 30d or 12h, along the day curve",
    )
    add("--events", type=options.whole(1, 1_000_000_000), help="events of a backfill, default 100,000")
    add(
        "--output",
        metavar="FILE",
        help="write NDJSON to FILE (- for standard output) instead of sending; implies --fast",
    )
    add("--explain", action="store_true", help="print what the model promises, computed, and exit")
    add("--self-check", action="store_true", help="test the simulation against the model, and exit")


def _add_faults(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--duplicate-rate", type=options.share, default=0.0, metavar="SHARE", help="of events that are sent twice")
    add(
        "--late-rate",
        type=options.share,
        default=0.0,
        metavar="SHARE",
        help="of events sent 1 to 15 simulated minutes late",
    )
    add(
        "--out-of-order-rate",
        type=options.share,
        default=0.0,
        metavar="SHARE",
        help="of events sent up to a simulated minute late",
    )
    add("--invalid-rate", type=options.share, default=0.0, metavar="SHARE", help="of events followed by a broken copy")
    add("--bot-rate", type=options.share, default=0.0, metavar="SHARE", help="of sessions with a crawler beside them")


def _add_checks(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--truth", type=Path, metavar="FILE", help="write what was generated, with every fault labelled")
    add(
        "--verify",
        action="store_true",
        help="compare /stats and /export with the truth; nobody else may send meanwhile",
    )


def _add_sending(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--batch-size", type=options.whole(1, 10_000), default=500, help="most events a request, default 500")
    add("--connections", type=options.whole(1, 64), default=4, help="default 4")
    add(
        "--give-up-after",
        type=options.number(0.001, options.LONGEST_S),
        default=60.0,
        metavar="SECONDS",
        help="of retrying a batch, default 60",
    )
    add("--quiet", action="store_true", help="print nothing but problems")
