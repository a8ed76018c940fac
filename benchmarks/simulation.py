"""How many events a second one process simulates, encodes and enters in the ledger: `python -m benchmarks.simulation`.

Nothing is sent. The time is this process's CPU time, so that other work on the machine disturbs it less.
"""

from __future__ import annotations

import statistics
import time

from clickstream.simulation import journeys
from clickstream.simulation.faults import Rates
from clickstream.simulation.ledger import Ledger
from clickstream.simulation.traffic import Plan, Traffic

EVENTS = 100_000
ROUNDS = 3
EPOCH_MS = 1_767_225_600_000
FAULTS = Rates(duplicate=0.01, late=0.05, out_of_order=0.05, invalid=0.01, bot=0.01)


def main() -> None:
    model = journeys.load()
    plans = {
        "live timeline, 1,000 shoppers": Plan(model, 1000, EPOCH_MS, 1, speed=60.0, duration_s=132.0),
        "backfill, 30 days": Plan(model, 5, EPOCH_MS, 1, backfill_s=30 * 86_400, events=EVENTS),
        "backfill with every fault": Plan(model, 5, EPOCH_MS, 1, backfill_s=30 * 86_400, events=EVENTS, rates=FAULTS),
    }
    for name, plan in plans.items():
        rates = [_events_per_second(Traffic(plan)) for _ in range(ROUNDS)]
        print(f"{name:32} {statistics.median(rates):>10,.0f} events/s (median of {ROUNDS})")


def _events_per_second(traffic: Traffic) -> float:
    ledger = Ledger(None, {})
    started = time.process_time()
    size = sum(len(scheduled.record) for scheduled in traffic.stream(ledger))
    assert size > 0
    return ledger.totals.events / (time.process_time() - started)


if __name__ == "__main__":
    main()
