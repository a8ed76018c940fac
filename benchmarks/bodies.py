"""Request bodies like a shop's, built before the clock starts; `@` stands where each request puts its own digits."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

# What may be the first, second, ... event of a session.
_JOURNEY: Final = (
    ("page_view",),
    ("page_view", "search"),
    ("click", "page_view"),
    ("page_view",),
    ("page_view", "search"),
    ("click",),
    ("page_view", "add_to_cart"),
    ("page_view", "add_to_cart", "remove_from_cart"),
    ("page_view", "click", "checkout"),
    ("page_view", "click", "purchase"),
)
_SESSIONS_AT_ONCE: Final = 10
_PRODUCTS: Final = tuple(f"Trail Runner {number}" for number in range(1, 61))


def write_bodies(path: Path, *, bodies: int, events_each: int, seed: int = 1) -> None:
    """`bodies` request bodies, one a line: a bare event each, or `{"records": [...]}` where `events_each` > 1."""
    events = _events(random.Random(seed))
    with path.open("w") as file:
        for _ in range(bodies):
            records = [_encoded(next(events)) for _ in range(events_each)]
            body = records[0] if events_each == 1 else f'{{"records":[{",".join(records)}]}}'
            file.write(f"{body}\n")


def write_journal(path: Path, *, events: int, seed: int = 1) -> None:
    """A journal of `events` stored events, as the API would have written it."""
    source = _events(random.Random(seed))
    with path.open("w") as file:
        file.write("[")
        for number in range(events):
            event = next(source)
            event["received_at"] = event["timestamp"]
            file.write(",\n" if number else "\n")
            file.write(_encoded(event).replace("@", f"{number:08x}"))
        file.write("\n]\n")


def _events(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Events of ten sessions at a time, in the order of their times, a millisecond apart."""
    begun = datetime.now(timezone.utc) - timedelta(minutes=1)
    number = 0
    while True:
        session = number // (_SESSIONS_AT_ONCE * len(_JOURNEY)) * _SESSIONS_AT_ONCE + number % _SESSIONS_AT_ONCE
        step = number // _SESSIONS_AT_ONCE % len(_JOURNEY)
        event_type = rng.choice(_JOURNEY[step])
        moment = begun + timedelta(milliseconds=number % 60_000)
        yield {
            "event_id": f"@-7{number % 4096:03x}-8000-{number:012x}",
            "event_type": event_type,
            "user_id": f"user_{session % 50_000:05d}",
            "session_id": f"session_{session:08d}",
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "properties": _properties(event_type, rng),
        }
        number += 1


def _properties(event_type: str, rng: random.Random) -> dict[str, Any]:
    product = rng.choice(_PRODUCTS)
    if event_type == "purchase":
        return {"order_id": f"o{rng.randrange(10**6)}", "total": rng.randrange(500, 20000) / 100, "currency": "USD"}
    if event_type == "page_view":
        return {"page": f"/{rng.randrange(200)}", "device": rng.choice(("desktop", "mobile")), "product_name": product}
    return {"product_name": product, "price": rng.randrange(500, 20000) / 100, "device": "mobile"}


def _encoded(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))
