"""Steady traffic: independent events at a fixed rate; the simplest thing that fills a dashboard."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from itertools import count
from threading import Event
from typing import Any, Final

import msgspec
from rich.console import Console

from clickstream.client.sending import RetryPolicy, unreachable
from clickstream.simulation.catalogue import Catalogue, CatalogueModel, Product, Weighted
from clickstream.simulation.moments import MomentWriter
from clickstream.simulation.sender import Sender
from clickstream.simulation.transmit import Scheduled, stopped_by_signals, transmit
from clickstream.simulation.view import Progress, print_failures, shown_live, summary

_TYPES: Final = Weighted(
    ("page_view", "click", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase"),
    (50.0, 20.0, 8.0, 10.0, 2.0, 5.0, 5.0),
)
_EVENTS_PER_SESSION: Final = 8


class SteadyTraffic:
    """Event number i happens i / rate seconds after the start; the same seed gives the same events."""

    def __init__(self, *, seed: int | None, rate: float, duration_s: float) -> None:
        self.seed = secrets.randbits(32) if seed is None else seed
        self.rate = rate
        self.duration_s = duration_s
        self._catalogue = Catalogue(CatalogueModel())

    def stream(self, start_ms: int, stop: Event | None = None) -> Iterator[Scheduled]:
        """All events of a run that starts at `start_ms` (milliseconds since 1970), or those before `stop` is set."""
        rng = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        moments = MomentWriter()
        numbers = count() if self.duration_s == 0 else range(max(1, round(self.duration_s * self.rate)))
        for number in numbers:
            if stop is not None and stop.is_set():
                return
            at_s = number / self.rate
            event = self._event(rng, number)
            event["timestamp"] = moments.text(start_ms + round(at_s * 1000))
            yield Scheduled(at_s, msgspec.json.encode(event))

    def _event(self, rng: random.Random, number: int) -> dict[str, Any]:
        catalogue = self._catalogue
        person = catalogue.people[int(rng.random() * len(catalogue.people))]
        event_type = _TYPES.pick(rng.random())
        product = catalogue.products.pick(rng.random())
        properties = {
            **self._properties(rng, event_type, product, number),
            **catalogue.devices.pick(rng.random()),
            **catalogue.places.pick(rng.random()),
        }
        return {
            "event_id": f"{self.seed:08x}.{number}",
            "event_type": event_type,
            "user_id": person,
            "session_id": f"{person}-{number // (len(catalogue.people) * _EVENTS_PER_SESSION)}",
            "timestamp": "",
            "properties": properties,
        }

    def _properties(self, rng: random.Random, event_type: str, product: Product, number: int) -> dict[str, Any]:
        catalogue = self._catalogue
        quantity = catalogue.quantities.pick(rng.random())
        cents = product.cents * quantity
        if event_type == "page_view":
            referrer = catalogue.channels.pick(rng.random())[0]
            return {"page": product.path, "title": product.title, "referrer": referrer, **product.fields}
        if event_type == "click":
            return {"page": product.path, "element": rng.choice(catalogue.clicks["product"])}
        if event_type == "search":
            queries = rng.choice(catalogue.categories).queries
            return {"page": "/search", "query": rng.choice(queries), "results_count": int(rng.random() * 80)}
        if event_type in ("add_to_cart", "remove_from_cart"):
            return {**product.fields, "quantity": quantity, "cart_value": cents / 100, "currency": catalogue.currency}
        if event_type == "checkout":
            return {"page": "/checkout", "cart_value": cents / 100, "currency": catalogue.currency}
        return {
            "order_id": f"o-{self.seed:08x}-{number}",
            "items": [{**product.fields, "quantity": quantity}],
            "total": cents / 100,
            "currency": catalogue.currency,
        }


def run(traffic: SteadyTraffic, endpoint: str, *, key: str = "", batch_size: int, console: Console, quiet: bool) -> int:
    """Send the traffic and report; the exit code of the process."""
    problem = unreachable(endpoint)
    if problem:
        console.print(problem, style="bold red", markup=False)
        return 1
    if not quiet:
        length = f"for {traffic.duration_s:g} s" if traffic.duration_s else "until Ctrl-C"
        console.print(f"{traffic.rate:g} events/s to {endpoint} {length}, seed {traffic.seed}", highlight=False)
    started = time.monotonic()
    with stopped_by_signals() as stop:
        sender = Sender(endpoint, key=key, stop=stop, connections=2, policy=RetryPolicy())
        progress = Progress(sender)
        with shown_live(console, progress.line, progress.line, quiet=quiet):
            stream = traffic.stream(time.time_ns() // 1_000_000, stop)
            counters = transmit(stream, sender, batch_size=batch_size, paced=True, stop=stop)
    if not quiet:
        console.print(summary(sender, time.monotonic() - started))
    print_failures(console, sender)
    return 1 if counters.lost else 0
