"""What the model promises, computed and not simulated: a walk is an absorbing Markov chain, N = (I - P)^-1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clickstream.simulation.journeys import END, Model, Persona, reachable

FUNNEL = ("page_view", "add_to_cart", "checkout", "purchase")


@dataclass(frozen=True, slots=True)
class Expectation:
    """Per session, of one persona or a mix: events, share of sessions that ever send each type, seconds."""

    events: float
    events_by_type: Mapping[str, float]
    reaching: Mapping[str, float]
    bounce: float
    seconds: float

    @property
    def conversion(self) -> float:
        """Share of sessions with a purchase."""
        return self.reaching.get("purchase", 0.0)


def expect_persona(model: Model, persona: Persona) -> Expectation:
    """Expectation for one persona."""
    visits = _visits(persona)
    by_type: dict[str, float] = {}
    for state, count in visits.items():
        event = model.states[state].event
        by_type[event] = by_type.get(event, 0.0) + count
    reaching = {
        event: _reaching(persona, lambda state, event=event: model.states[state].event == event)  # type: ignore[misc]
        for event in by_type
    }
    bounce = math.fsum(
        share * persona.transitions[state].get(END, 0.0) for state, share in persona.start.items() if share > 0
    )
    seconds = math.fsum(
        count * mean_dwell_s(*persona.dwell_in(state), model.longest_dwell_s) for state, count in visits.items()
    )
    return Expectation(math.fsum(visits.values()), by_type, reaching, bounce, seconds)


def expect(model: Model, preset: str) -> Expectation:
    """Expectation for a mix of personas."""
    parts = [(share, expect_persona(model, model.personas[name])) for name, share in model.mix(preset).items()]
    types = {event for _, part in parts for event in part.events_by_type}

    def mean(value: Callable[[Expectation], float]) -> float:
        return math.fsum(share * value(part) for share, part in parts)

    return Expectation(
        mean(lambda part: part.events),
        {event: mean(lambda part, event=event: part.events_by_type.get(event, 0.0)) for event in sorted(types)},  # type: ignore[misc]
        {event: mean(lambda part, event=event: part.reaching.get(event, 0.0)) for event in sorted(types)},  # type: ignore[misc]
        mean(lambda part: part.bounce),
        mean(lambda part: part.seconds),
    )


def events_per_second(model: Model, preset: str, *, users: int, speed: float) -> float:
    """Rate of `users` shoppers who are always there, each visit followed by the next (renewal theorem)."""
    expectation = expect(model, preset)
    return users * speed * expectation.events / expectation.seconds


def mean_dwell_s(mu: float, sigma: float, longest_s: float) -> float:
    """Mean of a lognormal that is cut at `longest_s`."""
    edge = (math.log(longest_s) - mu) / sigma
    return math.exp(mu + sigma * sigma / 2) * _normal(edge - sigma) + longest_s * (1 - _normal(edge))


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _visits(persona: Persona) -> dict[str, float]:
    """Expected number of visits to each state in one walk: solves v (I - P) = start."""
    states = sorted(reachable(persona))
    matrix = [
        [(1.0 if row == column else 0.0) - persona.transitions[column].get(row, 0.0) for column in states]
        for row in states
    ]
    solution = _solve(matrix, [persona.start.get(state, 0.0) for state in states])
    return dict(zip(states, solution, strict=True))


def _reaching(persona: Persona, is_goal: Callable[[str], bool]) -> float:
    """Probability that a walk ever enters a goal state: solves (I - Q) h = r over the other states."""
    states = [state for state in sorted(reachable(persona)) if not is_goal(state)]
    matrix = [
        [(1.0 if row == column else 0.0) - persona.transitions[row].get(column, 0.0) for column in states]
        for row in states
    ]
    into = [
        math.fsum(
            share for following, share in persona.transitions[state].items() if following != END and is_goal(following)
        )
        for state in states
    ]
    chance = dict(zip(states, _solve(matrix, into), strict=True))
    return math.fsum(share * chance.get(state, 1.0) for state, share in persona.start.items())


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Gaussian elimination with pivoting."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(size):
            if row != column and rows[row][column]:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [rows[index][size] / rows[index][index] for index in range(size)]
