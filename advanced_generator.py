"""Simulates shoppers: coherent sessions of four personas, in real time, faster, or over the past.

Two mixes: the default (Browser 60 %, Researcher 20 %, Buyer 15 %, Quick Buyer 5 %) lets 18 % of the sessions buy,
so that a demo shows every step of the funnel; --preset realistic converts 2.8 %, which is what shops report.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from rich.console import Console

import config
from clickstream.errors import ConfigError
from clickstream.simulation import journeys, options
from clickstream.simulation.explain import expect, expect_persona
from clickstream.simulation.faults import Rates
from clickstream.simulation.selfcheck import run_self_check
from clickstream.simulation.shopping import Delivering, ShoppingRun
from clickstream.simulation.shopping_view import explanation_table
from clickstream.simulation.traffic import Plan, Traffic, random_seed, write_records


def main(arguments: list[str] | None = None) -> int:
    """Run until the end or Ctrl-C; 0 when every event was acknowledged (and verified, if asked), else 1."""
    parser = _parser()
    given = parser.parse_args(arguments)
    console = Console(stderr=given.output == "-")
    try:
        return _run(parser, given, console)
    except ConfigError as problem:
        console.print(str(problem), style="bold red", markup=False)
        return 2
    except BrokenPipeError:
        # Whoever read --output - has seen enough; without this Python complains when it closes standard output.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - stays open until the process ends
        return 0
    except OSError as problem:
        console.print(f"{problem.filename}: {problem.strerror}", style="bold red", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(parser: argparse.ArgumentParser, given: argparse.Namespace, console: Console) -> int:
    model = journeys.load(given.journeys)
    if given.preset not in model.presets:
        parser.error(f'--preset "{given.preset}": expected one of {", ".join(model.presets)}')
    if given.explain:
        return _explain(model, given.preset, console)
    if given.self_check:
        return run_self_check(model, given.preset, given.seed or 1, console)
    return _generate(model, given, console)


def _generate(model: journeys.Model, given: argparse.Namespace, console: Console) -> int:
    plan = _plan(model, given)
    if given.output:
        write_records(Traffic(plan), given.output, given.truth)
        return 0
    delivering = Delivering(
        endpoint=given.endpoint,
        paced=not given.fast and given.backfill is None,
        batch_size=given.batch_size,
        connections=given.connections,
        give_up_after_s=given.give_up_after,
        truth=given.truth,
        verify=given.verify,
        read_token=config.from_environment().read_token,
        quiet=given.quiet,
    )
    return ShoppingRun(Traffic(plan), delivering, console).run()


def _plan(model: journeys.Model, given: argparse.Namespace) -> Plan:
    now_ms = time.time_ns() // 1_000_000
    # What is not paced is over in a moment, so its events lie in the past.
    length_s = given.backfill if given.backfill is not None else given.duration if given.fast or given.output else 0.0
    return Plan(
        model=model,
        users=given.users,
        epoch_ms=given.start if given.start is not None else now_ms - round(length_s * 1000),
        seed=random_seed() if given.seed is None else given.seed,
        preset=given.preset,
        speed=given.speed,
        duration_s=given.duration,
        backfill_s=given.backfill,
        events=given.events,
        rates=Rates(given.duplicate_rate, given.late_rate, given.out_of_order_rate, given.invalid_rate, given.bot_rate),
    )


def _explain(model: journeys.Model, preset: str, console: Console) -> int:
    rows = [(name, share, expect_persona(model, model.personas[name])) for name, share in model.mix(preset).items()]
    console.print(explanation_table([*rows, ("all", 1.0, expect(model, preset))]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--endpoint", type=options.endpoint, default="http://localhost:3000/events", help="default %(default)s")
    add("--duration", type=options.at_least(0.0), default=60.0, help="seconds, default 60; 0 runs until Ctrl-C")
    add("--users", type=options.whole(1, 1_000_000), default=5, help="shoppers at the same time, default 5")
    add(
        "--speed",
        type=options.positive,
        default=60.0,
        help="times the pace of real shoppers, default 60: a minute a second",
    )
    add("--preset", default="default", help="mix of personas: default, or realistic (2.8 %% buy)")
    add("--journeys", type=Path, default=journeys.DEFAULT_FILE, metavar="FILE", help="a model of your own")
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
    add("--events", type=options.whole(1, 1_000_000_000), default=100_000, help="events of a backfill, default 100,000")
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
        type=options.positive,
        default=60.0,
        metavar="SECONDS",
        help="of retrying a batch, default 60",
    )
    add("--quiet", action="store_true", help="print nothing but problems")


if __name__ == "__main__":
    sys.exit(main())
