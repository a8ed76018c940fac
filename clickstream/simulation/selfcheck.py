"""Is the simulation what the model says? Chi-square on the mix and on every row of transitions, KS on every dwell.

With m tests each one is allowed alpha / m (Bonferroni), so that a right simulation passes with probability 1 - alpha.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from rich.console import Console
from rich.table import Table

from clickstream.simulation.catalogue import Catalogue
from clickstream.simulation.distributions import chi_square_p, kolmogorov_smirnov_p
from clickstream.simulation.journeys import END, Model
from clickstream.simulation.shopper import Session
from clickstream.simulation.simulator import Simulator

ALPHA: Final = 0.001
SESSIONS: Final = 20_000
_USERS: Final = 500
_DWELLS_TESTED: Final = 5_000
_FEWEST_DWELLS: Final = 50


@dataclass(frozen=True, slots=True)
class Check:
    """One test: its p-value, and the limit below which the simulation is not what the model says."""

    name: str
    p: float
    limit: float

    @property
    def is_passed(self) -> bool:
        """Whether the deviation is within chance."""
        return self.p >= self.limit


class Observed:
    """What sessions did, counted for the tests."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self.personas: Counter[str] = Counter()
        self.starts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.transitions: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.dwells: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for session in sessions:
            self._count(session)

    def _count(self, session: Session) -> None:
        persona, steps = session.persona, session.steps
        self.personas[persona] += 1
        self.starts[persona][steps[0].state] += 1
        ends_ms = [*(step.offset_ms for step in steps[1:]), session.end_ms - session.start_ms]
        for step, end_ms, following in zip(steps, ends_ms, [*(one.state for one in steps[1:]), END], strict=True):
            self.transitions[persona, step.state][following] += 1
            self.dwells[persona, step.state].append((end_ms - step.offset_ms) / 1000)


def self_check(observed: Observed, model: Model, preset: str, alpha: float = ALPHA) -> list[Check]:
    """Every test of what was observed against the model."""
    tests = [(name, p) for name, p in _tests(observed, model, preset) if p is not None]
    return [Check(name, p, alpha / len(tests)) for name, p in tests]


def simulated(model: Model, preset: str, seed: int, sessions: int = SESSIONS) -> Observed:
    """What a simulation of this model does."""
    simulator = Simulator(model, Catalogue(model.catalogue), seed=seed, users=_USERS, preset=preset)
    return Observed(islice(simulator.sessions(), sessions))


def run_self_check(model: Model, preset: str, seed: int, console: Console) -> int:
    """Simulate, test and report; the exit code of the process."""
    checks = self_check(simulated(model, preset, seed), model, preset)
    failed = [check for check in checks if not check.is_passed]
    worst = sorted(checks, key=lambda check: check.p)[: max(5, len(failed))]
    table = Table(title="Least likely results", title_justify="left")
    for name in ("test", "p", "limit", "verdict"):
        table.add_column(name, justify="right" if name in ("p", "limit") else "left")
    for check in worst:
        table.add_row(check.name, f"{check.p:.2g}", f"{check.limit:.2g}", "passed" if check.is_passed else "FAILED")
    console.print(table)
    verdict = f"{len(failed)} of {len(checks)} tests failed" if failed else f"All {len(checks)} tests passed"
    console.print(f"{verdict}: {SESSIONS:,} sessions, preset {preset}, seed {seed}", highlight=False)
    return 1 if failed else 0


def _tests(observed: Observed, model: Model, preset: str) -> Iterator[tuple[str, float | None]]:
    yield "mix of personas", _shares_p(observed.personas, model.mix(preset))
    for name, persona in model.personas.items():
        yield f"{name}: start", _shares_p(observed.starts[name], persona.start)
        for state, row in persona.transitions.items():
            yield f"{name}: transitions from {state}", _shares_p(observed.transitions[name, state], row)
            dwells = observed.dwells[name, state][:_DWELLS_TESTED]
            if len(dwells) >= _FEWEST_DWELLS:
                yield f"{name}: dwell in {state}", _dwell_p(dwells, persona.dwell_in(state), model.longest_dwell_s)


def _shares_p(counts: Counter[str], shares: Mapping[str, float]) -> float | None:
    names = sorted({*shares, *counts})
    return chi_square_p([counts[name] for name in names], [shares.get(name, 0.0) for name in names])


def _dwell_p(dwells: Sequence[float], parameters: tuple[float, float], longest_s: float) -> float:
    """KS on the logarithm below the cut, where the distribution is continuous."""
    mu, sigma = parameters
    below = [seconds for seconds in dwells if 0 < seconds < longest_s]
    share_below = _normal((math.log(longest_s) - mu) / sigma)
    return kolmogorov_smirnov_p(below, lambda seconds: _normal((math.log(seconds) - mu) / sigma) / share_below)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
