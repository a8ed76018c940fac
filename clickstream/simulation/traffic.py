"""From a model and a seed to the stream of records that a run sends: simulator, clock, faults, ledger in a row."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from clickstream.simulation.catalogue import Catalogue
from clickstream.simulation.clocks import BackfillClock, Clock, Curve, SteadyClock, happenings
from clickstream.simulation.explain import events_per_second
from clickstream.simulation.faults import NO_FAULTS, Faults, Outgoing, Rates
from clickstream.simulation.journeys import Model
from clickstream.simulation.ledger import Ledger
from clickstream.simulation.shopper import Session
from clickstream.simulation.simulator import Simulator
from clickstream.simulation.transmit import Scheduled


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate; `epoch_ms` is the start of the run in milliseconds since 1970.

    With `backfill_s` exactly `events` events are spread over that period, else `duration_s` seconds of traffic at
    `speed` times the pace of real shoppers.
    """

    model: Model
    users: int
    epoch_ms: int
    seed: int
    preset: str = "default"
    speed: float = 1.0
    duration_s: float = 60.0
    backfill_s: float | None = None
    events: int = 0
    rates: Rates = NO_FAULTS

    def clock(self) -> Clock:
        """The clock of this run."""
        if self.backfill_s is None:
            return SteadyClock(self.epoch_ms, speed=self.speed, duration_s=self.duration_s)
        curve = Curve(self.model.day_curve, self.model.week_curve)
        return BackfillClock(self.epoch_ms, period_ms=round(self.backfill_s * 1000), events=self.events, curve=curve)

    def expected_rate(self) -> float:
        """Events a second in the long run; faults not counted."""
        return events_per_second(self.model, self.preset, users=self.users, speed=self.speed)


class Traffic:
    """One run's records, in the order of sending."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._catalogue = Catalogue(plan.model.catalogue)
        self._simulator = Simulator(plan.model, self._catalogue, seed=plan.seed, users=plan.users, preset=plan.preset)
        self.run_id = self._simulator.run_id

    def outgoing(self, stop: Event | None = None) -> Iterator[Outgoing]:
        """Every record with its label; when `stop` is set nothing more happens, and what was held back is let go."""
        plan = self.plan
        clock = plan.clock()
        faults = Faults(plan.rates, run_id=self.run_id, epoch_ms=plan.epoch_ms, scale=clock.scale)
        sessions: Iterable[Session] = self._simulator.sessions()
        if plan.rates.bot:
            sessions = faults.with_bots(sessions, self._catalogue.products.values)
        return faults.outgoing(happenings(clock.place(sessions), stop or Event()))

    def stream(self, ledger: Ledger, stop: Event | None = None) -> Iterator[Scheduled]:
        """The records as they are sent, each noted in the ledger."""
        for outgoing in self.outgoing(stop):
            ledger.note(outgoing)
            yield Scheduled(outgoing.at_ms / 1000, outgoing.record)


def write_records(traffic: Traffic, name: str, truth: Path | None) -> int:
    """Write the run as NDJSON to the file `name`, or to standard output for `-`; returns the number of records."""
    count = 0
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(truth, {"run_id": traffic.run_id, "seed": traffic.plan.seed}))
        lines = sys.stdout.buffer if name == "-" else stack.enter_context(Path(name).open("wb"))
        for scheduled in traffic.stream(ledger):
            lines.write(scheduled.record + b"\n")
            count += 1
    return count


def random_seed() -> int:
    """A seed for a run that need not be repeated."""
    return secrets.randbits(32)
