"""Proves on the graph that no walk carts an unseen product, checks out an empty cart, or buys without checkout.

For each state it keeps what is certain on every way into it (a lower bound), and narrows until nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

_MOST_COUNTED = 3


class _State(Protocol):
    @property
    def event(self) -> str: ...
    @property
    def page(self) -> str | None: ...


class _Certain(NamedTuple):
    """What every way into a state guarantees."""

    product_seen: bool
    carted: int
    checked_out: bool

    def meet(self, other: _Certain) -> _Certain:
        return _Certain(
            self.product_seen and other.product_seen,
            min(self.carted, other.carted),
            self.checked_out and other.checked_out,
        )

    def after(self, state: _State) -> _Certain:
        seen = self.product_seen or (state.event == "page_view" and state.page == "product")
        if state.event == "add_to_cart":
            return _Certain(seen, min(self.carted + 1, _MOST_COUNTED), False)
        if state.event == "remove_from_cart":
            return _Certain(seen, max(self.carted - 1, 0), False)
        if state.event == "checkout":
            return _Certain(seen, self.carted, True)
        if state.event == "purchase":
            return _Certain(seen, 0, False)
        return self._replace(product_seen=seen)


def cart_problems(
    start: Mapping[str, float], transitions: Mapping[str, Mapping[str, float]], states: Mapping[str, _State]
) -> list[str]:
    """Each state that some walk enters without what it needs."""
    problems = []
    for name, certain in _certainties(start, transitions, states).items():
        event = states[name].event
        if event == "add_to_cart" and not certain.product_seen:
            problems.append(f'state "{name}": can be entered before any product page was viewed')
        if event in ("remove_from_cart", "checkout", "purchase") and not certain.carted:
            problems.append(f'state "{name}": can be entered with an empty cart')
        if event == "purchase" and not certain.checked_out:
            problems.append(f'state "{name}": can be entered without a checkout of this cart')
    return problems


def _certainties(
    start: Mapping[str, float], transitions: Mapping[str, Mapping[str, float]], states: Mapping[str, _State]
) -> dict[str, _Certain]:
    certainties: dict[str, _Certain] = {}
    waiting = [(name, _Certain(False, 0, False)) for name, share in start.items() if share > 0]
    while waiting:
        name, arriving = waiting.pop()
        known = certainties.get(name)
        narrowed = arriving if known is None else known.meet(arriving)
        if narrowed == known:
            continue
        certainties[name] = narrowed
        leaving = narrowed.after(states[name])
        waiting += [
            (following, leaving) for following, share in transitions[name].items() if share > 0 and following in states
        ]
    return certainties
