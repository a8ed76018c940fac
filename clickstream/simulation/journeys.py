"""The model of how shoppers move, read from data and checked: personas, transitions, dwell, day curve, catalogue."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clickstream.errors import ConfigError
from clickstream.simulation.catalogue import CatalogueModel
from clickstream.simulation.coherence import cart_problems

END: Final = "end"
DEFAULT_FILE: Final = Path(__file__).with_name("journeys.json")
PAGES: Final = ("home", "category", "product", "search", "cart", "checkout", "confirmation")
_TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,63}")
_SUM_TOLERANCE: Final = 1e-9


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a shopper does in a state; without a page it happens where the shopper is."""

    event: str
    page: str | None = None


class Persona(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of shopper: where they start, where they go next, how long they stay (mu, sigma of log seconds)."""

    start: dict[str, float]
    transitions: dict[str, dict[str, float]]
    dwell: dict[str, tuple[float, float]]
    never: tuple[str, ...] = ()

    def dwell_in(self, state: str) -> tuple[float, float]:
        """Mu and sigma of the time spent in `state`."""
        return self.dwell.get(state, self.dwell["default"])


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that shapes the traffic; a mix in `presets` says how often each persona comes."""

    states: dict[str, State]
    personas: dict[str, Persona]
    presets: dict[str, dict[str, float]]
    day_curve: tuple[float, ...]
    week_curve: tuple[float, ...]
    catalogue: CatalogueModel
    returning_share: float = 0.3
    known_share: float = 0.6
    longest_dwell_s: float = 1740.0

    def mix(self, preset: str) -> Mapping[str, float]:
        """Share of visits by persona."""
        if preset not in self.presets:
            raise ConfigError(f'preset "{preset}": expected one of {", ".join(self.presets)}')
        return self.presets[preset]


def load(path: Path = DEFAULT_FILE) -> Model:
    """The model in `path`; raises ConfigError that lists every problem with persona and state."""
    try:
        return parse(path.read_bytes(), str(path))
    except OSError as problem:
        raise ConfigError(f"journeys {path}: {problem.strerror}") from None


def parse(text: bytes, name: str) -> Model:
    """The model in `text`; `name` stands in the messages."""
    try:
        model = msgspec.json.decode(text, type=Model)
    except msgspec.MsgspecError as problem:
        raise ConfigError(f"journeys {name}: {problem}") from None
    problems = check(model)
    if problems:
        heading = f"journeys {name}: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise ConfigError("\n".join([heading, *(f"  {problem}" for problem in problems)]))
    return model


def check(model: Model) -> list[str]:
    """Every reason why `model` cannot be walked, each naming persona and state."""
    problems = [
        f'state "{name}": page "{state.page}": expected one of {", ".join(PAGES)}'
        for name, state in model.states.items()
        if state.page is not None and state.page not in PAGES
    ]
    problems += [
        f'state "{name}": event "{state.event}": expected 1 to 64 characters a-z 0-9 _ . : - that begin with a letter'
        for name, state in model.states.items()
        if _TYPE_NAME.fullmatch(state.event) is None
    ]
    if END in model.states:
        problems.append(f'state "{END}": the name means leaving; choose another one')
    for name, persona in model.personas.items():
        problems += [f"{name}: {problem}" for problem in _persona_problems(persona, model)]
    for name, mix in model.presets.items():
        problems += [f'preset "{name}": {problem}' for problem in _share_problems(mix, model.personas)]
    problems += _curve_problems("day_curve", model.day_curve, 24) + _curve_problems("week_curve", model.week_curve, 7)
    if "default" not in model.presets:
        problems.append('presets: "default" is missing')
    return problems


def reachable(persona: Persona) -> set[str]:
    """The states that a walk of `persona` can enter."""
    found: set[str] = set()
    waiting = [state for state, share in persona.start.items() if share > 0]
    while waiting:
        state = waiting.pop()
        if state in found or state == END:
            continue
        found.add(state)
        waiting += [following for following, share in persona.transitions.get(state, {}).items() if share > 0]
    return found


def _persona_problems(persona: Persona, model: Model) -> list[str]:
    problems = [f"start: {problem}" for problem in _share_problems(persona.start, model.states)]
    known = {*model.states, END}
    for state, row in persona.transitions.items():
        problems += [f'state "{state}": {problem}' for problem in _share_problems(row, known)]
        if state not in model.states:
            problems.append(f'state "{state}": not among the states')
    problems += _dwell_problems(persona, model)
    if problems:
        return problems
    return _walk_problems(persona, model)


def _walk_problems(persona: Persona, model: Model) -> list[str]:
    found = reachable(persona)
    problems = [f'state "{state}": no transitions lead out of it' for state in found - persona.transitions.keys()]
    problems += [f'state "{state}": no way leads to it' for state in persona.transitions.keys() - found]
    problems += [f'state "{state}": no way leads from it to the end' for state in sorted(found - _leaving(persona))]
    problems += [
        f'state "{state}": sends {model.states[state].event}, which this persona never does'
        for state in sorted(found)
        if model.states[state].event in persona.never
    ]
    return sorted(problems) or cart_problems(persona.start, persona.transitions, model.states)


def _leaving(persona: Persona) -> set[str]:
    """The states from which the end can be reached."""
    leaving: set[str] = {END}
    while True:
        more = {
            state
            for state, row in persona.transitions.items()
            if state not in leaving and any(share > 0 and following in leaving for following, share in row.items())
        }
        if not more:
            return leaving
        leaving |= more


def _share_problems(shares: Mapping[str, float], known: Mapping[str, object] | set[str]) -> list[str]:
    problems = [f'"{name}" does not exist' for name in shares if name not in known]
    problems += [
        f'"{name}": {share} is not a share from 0 to 1' for name, share in shares.items() if not 0 <= share <= 1
    ]
    total = math.fsum(shares.values())
    if abs(total - 1) > _SUM_TOLERANCE:
        problems.append(f"the shares add up to {total:.6g}; expected 1")
    return problems


def _dwell_problems(persona: Persona, model: Model) -> list[str]:
    problems = [f'dwell: state "{name}" does not exist' for name in persona.dwell.keys() - {*model.states, "default"}]
    if "default" not in persona.dwell:
        problems.append('dwell: "default" is missing')
    problems += [
        f'dwell: "{name}": sigma {sigma} is not above 0' for name, (_, sigma) in persona.dwell.items() if sigma <= 0
    ]
    return problems


def _curve_problems(name: str, curve: Sequence[float], length: int) -> list[str]:
    if len(curve) != length or any(not 0 <= weight < math.inf for weight in curve) or not any(curve):
        return [f"{name}: expected {length} weights of 0 or more, not all 0"]
    return []
