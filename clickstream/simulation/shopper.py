"""One session: a walk through the states of a persona, and the event of each step. Pure: same seed, same bytes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from clickstream.simulation.catalogue import Catalogue, Category, Product, Weighted, opened
from clickstream.simulation.journeys import END, Model, Persona

_encode: Final = msgspec.json.encode
_TITLES: Final = {
    "home": "Home",
    "search": "Search results",
    "cart": "Your cart",
    "checkout": "Checkout",
    "confirmation": "Thank you",
}
_PATHS: Final = {
    "home": "/",
    "search": "/search",
    "cart": "/cart",
    "checkout": "/checkout",
    "confirmation": "/order/confirmation",
}


class Step(msgspec.Struct, frozen=True, gc=False):
    """One event without its time: `head` + RFC 3339 text + `tail` is the record; `cents` is what a purchase brought."""

    offset_ms: int
    state: str
    event_type: str
    head: bytes
    tail: bytes
    cents: int

    def record(self, timestamp: str) -> bytes:
        """The encoded event."""
        return self.head + timestamp.encode() + self.tail


class Session(msgspec.Struct, frozen=True, gc=False):
    """One visit: visit number `visit` of user `user`; times in simulated milliseconds since the start of the run."""

    user: int
    visit: int
    persona: str
    session_id: str
    start_ms: int
    end_ms: int
    steps: Sequence[Step]

    def event_id(self, index: int) -> str:
        """Id of the event number `index`."""
        return f"{self.session_id}-{index}"


@dataclass(slots=True)
class _Line:
    """One product in the cart."""

    product: Product
    quantity: int

    def fields(self) -> dict[str, Any]:
        return {**self.product.fields, "quantity": self.quantity}


class _Rows:
    """A persona prepared for walking: each row of probabilities as something that can be drawn from."""

    def __init__(self, persona: Persona) -> None:
        self.start = Weighted(persona.start, persona.start.values())
        self.next = {state: Weighted(row, row.values()) for state, row in persona.transitions.items()}
        self.dwell = {state: persona.dwell_in(state) for state in persona.transitions}


class Shoppers:
    """Draws sessions; everything random comes from the generator that is passed in."""

    def __init__(self, model: Model, catalogue: Catalogue, preset: str) -> None:
        mix = model.mix(preset)
        self._personas = Weighted(mix, mix.values())
        self._rows = {name: _Rows(persona) for name, persona in model.personas.items()}
        self._states = model.states
        self._longest_dwell_ms = model.longest_dwell_s * 1000
        self._catalogue = catalogue

    def session(
        self, rng: random.Random, *, user: int, visit: int, session_id: str, identity: Mapping[str, str], start_ms: int
    ) -> Session:
        """One whole session that begins at `start_ms`."""
        persona = self._personas.pick(rng.random())
        rows = self._rows[persona]
        walk = _Walk(rng, self._catalogue, session_id, identity)
        steps: list[Step] = []
        offset_ms = 0
        state = rows.start.pick(rng.random())
        while state != END:
            described = self._states[state]
            steps.append(walk.step(len(steps), offset_ms, state, described.event, described.page))
            mu, sigma = rows.dwell[state]
            dwell_ms = math.exp(mu + sigma * rng.gauss(0.0, 1.0)) * 1000
            offset_ms += round(min(dwell_ms, self._longest_dwell_ms))
            state = rows.next[state].pick(rng.random())
        return Session(user, visit, persona, session_id, start_ms, start_ms + offset_ms, steps)


class _Walk:
    """Where a shopper stands: the page, the product last viewed, the cart."""

    def __init__(self, rng: random.Random, catalogue: Catalogue, session_id: str, identity: Mapping[str, str]) -> None:
        self._rng = rng
        self._catalogue = catalogue
        self._session_id = session_id
        self._kind = "home"
        self._path = "/"
        self._title = _TITLES["home"]
        self._category: Category = catalogue.categories[int(rng.random() * len(catalogue.categories))]
        self._product: Product = catalogue.products.pick(rng.random())
        self._cart: list[_Line] = []
        self._orders = 0
        self._event_id = f'{{"event_id":"{session_id}-'.encode()
        self._identity = b'",' + _encode(identity)[1:-1] + b',"session_id":"' + session_id.encode() + b'","timestamp":"'
        context = {**catalogue.devices.pick(rng.random()), **catalogue.places.pick(rng.random())}
        self._tail = b"," + _encode(context)[1:] + b"}"
        self._arrival = self._drawn_arrival()

    def step(self, number: int, offset_ms: int, state: str, event_type: str, page: str | None) -> Step:
        """Do what `event_type` means here, and describe it."""
        if page is not None:
            self._go(page)
        cents = 0
        if event_type == "page_view":
            properties = self._page_view()
        elif event_type == "purchase":
            cents = self._cart_cents()
            properties = opened(self._purchase(cents))
        elif event_type in _ACTIONS:
            properties = opened(_ACTIONS[event_type](self))
        else:
            properties = opened({"page": self._path})
        if number == 0 and self._arrival:
            properties += b"," + opened(self._arrival)[1:]
        head = self._event_id + b'%d","event_type":"' % number + event_type.encode() + self._identity
        return Step(offset_ms, state, event_type, head, b'","properties":' + properties + self._tail, cents)

    def _drawn_arrival(self) -> dict[str, str]:
        """Referrer and campaign, told by the first event of a visit; nothing for a direct one."""
        referrer, source, medium = self._catalogue.channels.pick(self._rng.random())
        if not referrer:
            return {}
        if not source:
            return {"referrer": referrer}
        campaign = self._catalogue.campaigns[int(self._rng.random() * len(self._catalogue.campaigns))]
        return {"referrer": referrer, "utm_source": source, "utm_medium": medium, "utm_campaign": campaign}

    def _go(self, page: str) -> None:
        rng, catalogue = self._rng, self._catalogue
        self._kind = page
        if page == "product":
            self._product = catalogue.products.pick(rng.random())
            self._path, self._title = self._product.path, self._product.title
        elif page == "category":
            self._category = catalogue.categories[int(rng.random() * len(catalogue.categories))]
            self._path, self._title = self._category.path, self._category.title
        else:
            self._path, self._title = _PATHS[page], _TITLES[page]

    def _page_view(self) -> bytes:
        if self._kind == "product":
            return self._product.view
        if self._kind == "category":
            return self._category.view
        if self._kind == "cart":
            return opened({"page": self._path, "title": self._title, "cart_value": self._cart_cents() / 100})
        return opened({"page": self._path, "title": self._title})

    def _click(self) -> dict[str, Any]:
        elements = self._catalogue.clicks.get(self._kind, self._catalogue.clicks["home"])
        return {"page": self._path, "element": elements[int(self._rng.random() * len(elements))]}

    def _search(self) -> dict[str, Any]:
        queries = self._category.queries
        query = queries[int(self._rng.random() * len(queries))]
        return {"page": self._path, "query": query, "results_count": int(self._rng.random() ** 2 * 120)}

    def _add(self) -> dict[str, Any]:
        quantity = self._catalogue.quantities.pick(self._rng.random())
        line = next((line for line in self._cart if line.product is self._product), None)
        if line is None:
            self._cart.append(_Line(self._product, quantity))
        else:
            line.quantity += quantity
        return self._cart_change(_Line(self._product, quantity))

    def _remove(self) -> dict[str, Any]:
        return self._cart_change(self._cart.pop(int(self._rng.random() * len(self._cart))))

    def _cart_change(self, line: _Line) -> dict[str, Any]:
        value = self._cart_cents() / 100
        return {"page": self._path, **line.fields(), "cart_value": value, "currency": self._catalogue.currency}

    def _checkout(self) -> dict[str, Any]:
        items = [line.fields() for line in self._cart]
        value = self._cart_cents() / 100
        return {"page": self._path, "cart_value": value, "currency": self._catalogue.currency, "items": items}

    def _purchase(self, cents: int) -> dict[str, Any]:
        self._orders += 1
        items = [line.fields() for line in self._cart]
        self._cart = []
        return {
            "page": self._path,
            "order_id": f"o-{self._session_id}-{self._orders}",
            "items": items,
            "total": cents / 100,
            "currency": self._catalogue.currency,
        }

    def _cart_cents(self) -> int:
        return sum(line.product.cents * line.quantity for line in self._cart)


_ACTIONS: Final = {
    "click": _Walk._click,
    "search": _Walk._search,
    "add_to_cart": _Walk._add,
    "remove_from_cart": _Walk._remove,
    "checkout": _Walk._checkout,
}
