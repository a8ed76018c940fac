"""A small outdoor shop: the same visits for the same seed, as events that lead up to a moment."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta, timezone
from typing import Any

PRODUCTS = (
    ("p-101", "Trail Runner 2", "shoes", 129.0),
    ("p-102", "Merino Base Layer", "clothing", 79.5),
    ("p-103", "Ridge 28 Backpack", "packs", 149.0),
    ("p-104", "Storm Shell Jacket", "clothing", 229.0),
    ("p-105", "Alpine Flask 1 L", "gear", 34.9),
    ("p-106", "Carbon Poles", "gear", 99.0),
    ("p-107", "Wool Beanie", "clothing", 24.0),
)
QUERIES = ("trail shoes", "poles", "waterproof jacket", "wool socks", "backpack 30l")
REFERRERS = ("https://www.google.com/", "https://news.ycombinator.com/", "https://www.reddit.com/r/hiking", "")
DEVICES = ("desktop", "desktop", "desktop", "mobile", "mobile", "mobile", "mobile", "tablet")


def visits(count: int, *, until: datetime, minutes: float = 62, seed: int = 7) -> list[dict[str, Any]]:
    """Events of `count` visits that start in the `minutes` before `until`, oldest first, none after `until`."""
    rng = random.Random(seed)
    events: list[dict[str, Any]] = []
    for number in range(count):
        while True:  # a tide over the hour, with one short rush
            share = rng.random()
            tide = 0.62 + 0.2 * math.sin(share * 9) + 0.25 * share**8 + (0.9 if 0.61 < share < 0.635 else 0)
            if rng.random() < tide:
                break
        start = until - timedelta(minutes=minutes * (1 - share))
        events += _visit(rng, f"{seed:x}{number:04x}", start)
    events = [event for event in events if event["timestamp"] <= stamp(until)]
    return sorted(events, key=lambda event: event["timestamp"])


def _visit(rng: random.Random, name: str, start: datetime) -> list[dict[str, Any]]:
    device, referrer = rng.choice(DEVICES), rng.choice(REFERRERS)
    moment = start
    events: list[dict[str, Any]] = []

    def happen(event_type: str, **properties: object) -> None:
        nonlocal moment
        events.append(
            {
                "event_id": f"e-{name}-{len(events)}",
                "event_type": event_type,
                "user_id": f"user_{int(name, 16) % 700:03d}",
                "session_id": f"s-{name}",
                "timestamp": stamp(moment),
                "properties": {**properties, "device": device},
            }
        )
        moment += timedelta(seconds=rng.uniform(4, 30))

    happen("page_view", page="/", title="Outdoor shop", referrer=referrer)
    if rng.random() < 0.25:
        return events
    if rng.random() < 0.4:
        happen("search", query=rng.choice(QUERIES), results_count=rng.randint(0, 40))
    happen("page_view", page=rng.choice(("/products", "/products", "/sale", "/account/orders")))
    if rng.random() < 0.5:
        happen("click", element=rng.choice(("nav-menu", "hero-banner", "size-guide", "reviews")), page="/products")
    product = rng.choices(PRODUCTS, weights=(9, 6, 4, 4, 3, 2, 1))[0]
    shown = {"product_id": product[0], "product_name": product[1], "category": product[2], "price": product[3]}
    happen("page_view", page="/products/" + product[1].lower().replace(" ", "-"), **shown)
    if rng.random() < 0.42:
        return events
    quantity = rng.choice((1, 1, 1, 2))
    happen("add_to_cart", **shown, quantity=quantity)
    if rng.random() < 0.12:
        happen("remove_from_cart", **shown, quantity=quantity)
    if rng.random() < 0.48:
        return events
    total = round(product[3] * quantity, 2)
    happen("page_view", page="/checkout")
    happen("checkout", cart_value=total, currency="USD")
    if rng.random() < 0.3:
        return events
    items = [{"product_id": product[0], "product_name": product[1], "price": product[3], "quantity": quantity}]
    happen("purchase", order_id=f"o-{name}", total=total, currency="USD", items=items)
    return events


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
