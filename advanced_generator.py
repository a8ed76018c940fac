"""Simulates shoppers: coherent sessions of four personas, in real time, faster, or over the past.

Two mixes: the default (Browser 60 %, Researcher 20 %, Buyer 15 %, Quick Buyer 5 %) lets 18 % of the sessions buy,
so that a demo shows every step of the funnel; --preset realistic converts 2.8 %, which is what shops report.
"""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import os
import sys

from rich.console import Console

import config
from clickstream.errors import ConfigError, failure
from clickstream.simulation import journeys
from clickstream.simulation.arguments import arguments_parser
from clickstream.simulation.explain import expect, expect_persona
from clickstream.simulation.faults import Rates
from clickstream.simulation.selfcheck import run_self_check
from clickstream.simulation.shopping import Delivering, ShoppingRun
from clickstream.simulation.shopping_view import explanation_table
from clickstream.simulation.traffic import Plan, Traffic, random_seed, write_records
from clickstream.start import begun
from clickstream.terminal.console import console_for_lines
from clickstream.timestamps import DAY_MS, now_ms


def main(arguments: list[str] | None = None) -> int:
    """Run until the end or Ctrl-C; 0 when every event was acknowledged (and verified, if asked), else 1."""
    parser = arguments_parser(__doc__ or "")
    given = parser.parse_args(arguments)
    begun()
    console = console_for_lines(stderr=given.output == "-")
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
        console.print(failure(problem), style="bold red", markup=False)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(parser: argparse.ArgumentParser, given: argparse.Namespace, console: Console) -> int:
    model = journeys.load(given.journeys)
    if given.preset not in model.presets:
        parser.error(f'--preset "{given.preset}": expected one of {", ".join(model.presets)}')
    if given.verify and given.output:
        parser.error("--verify: nothing is sent with --output, so there is nothing to verify")
    if given.verify and given.start is not None and given.start + _length_s(given) * 1000 > now_ms() + DAY_MS:
        parser.error("--verify: the API replaces times more than a day ahead; choose an earlier --start")
    if given.events is not None and given.backfill is None:
        parser.error("--events: only a backfill has a number of events; add --backfill, such as --backfill 30d")
    if given.explain:
        return _explain(model, given.preset, console)
    if given.self_check:
        return run_self_check(model, given.preset, given.seed or 1, console)
    return _generate(model, given, console)


def _generate(model: journeys.Model, given: argparse.Namespace, console: Console) -> int:
    plan = _plan(model, given)
    if given.output:
        count = write_records(Traffic(plan), given.output, given.truth)
        if not given.quiet and given.output != "-":
            console.print(f"{count:,} records are in {given.output}, seed {plan.seed}", markup=False, highlight=False)
        return 0
    settings = config.from_environment()
    delivering = Delivering(
        endpoint=given.endpoint or settings.events_url,
        key=settings.write_key if given.key is None else given.key,
        paced=not given.fast and given.backfill is None,
        batch_size=given.batch_size,
        connections=given.connections,
        give_up_after_s=given.give_up_after,
        truth=given.truth,
        verify=given.verify,
        read_token=settings.read_token,
        quiet=given.quiet,
    )
    return ShoppingRun(Traffic(plan), delivering, console).run()


def _plan(model: journeys.Model, given: argparse.Namespace) -> Plan:
    # What is not paced is over in a moment, so its events lie in the past.
    length_s = _length_s(given) if given.backfill is not None or given.fast or given.output else 0.0
    return Plan(
        model=model,
        users=given.users,
        epoch_ms=given.start if given.start is not None else now_ms() - round(length_s * 1000),
        seed=random_seed() if given.seed is None else given.seed,
        preset=given.preset,
        speed=given.speed,
        duration_s=given.duration,
        backfill_s=given.backfill,
        events=100_000 if given.events is None else given.events,
        rates=Rates(given.duplicate_rate, given.late_rate, given.out_of_order_rate, given.invalid_rate, given.bot_rate),
    )


def _length_s(given: argparse.Namespace) -> float:
    length_s: float = given.duration if given.backfill is None else given.backfill
    return length_s


def _explain(model: journeys.Model, preset: str, console: Console) -> int:
    rows = [(name, share, expect_persona(model, model.personas[name])) for name, share in model.mix(preset).items()]
    console.print(explanation_table([*rows, ("all", 1.0, expect(model, preset))]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
