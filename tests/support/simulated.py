"""Runs of the simulator that several tests look at, made once."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from clickstream.simulation import journeys
from clickstream.simulation.catalogue import Catalogue
from clickstream.simulation.faults import NO_FAULTS, Outgoing, Rates
from clickstream.simulation.journeys import Model
from clickstream.simulation.shopper import Session
from clickstream.simulation.simulator import Simulator
from clickstream.simulation.traffic import Plan, Traffic

EPOCH_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, a Thursday


@cache
def model() -> Model:
    return journeys.load()


@cache
def catalogue() -> Catalogue:
    return Catalogue(model().catalogue)


def sessions(count: int, *, seed: int = 1, users: int = 50, preset: str = "default") -> list[Session]:
    simulator = Simulator(model(), catalogue(), seed=seed, users=users, preset=preset)
    return list(islice(simulator.sessions(), count))


def plan(**changes: object) -> Plan:
    return replace(Plan(model=model(), users=5, epoch_ms=EPOCH_MS, seed=1, speed=60.0), **changes)  # type: ignore[arg-type]


def backfill(events: int, days: float = 7.0, *, rates: Rates = NO_FAULTS) -> list[Outgoing]:
    return list(Traffic(plan(backfill_s=days * 86_400, events=events, rates=rates)).outgoing())


def events_of(session: Session) -> list[dict[str, Any]]:
    return [json.loads(step.record("2026-01-01T00:00:00.000Z")) for step in session.steps]
