"""Events with everything that makes counting hard: ties, late arrivals, missing ids, odd amounts, currencies."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from clickstream.timestamps import text

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z

_TYPES = ["page_view"] * 6 + [
    "click",
    "search",
    "add_to_cart",
    "add_to_cart",
    "checkout",
    "checkout",
    "purchase",
    "purchase",
    "custom.type",
]
_AMOUNTS: list[Any] = [
    10,
    19.99,
    "12.50",
    0.005,
    0.015,
    1.005,
    2.675,
    19.005000000000003,
    1e3,
    "abc",
    True,
    None,
    -3.25,
    [1],
    1e14,
]


def sample_events(count: int, seed: int) -> list[dict[str, Any]]:
    """`count` stored events in order of arrival, always the same for one seed."""
    chance = random.Random(seed)
    return [_event(chance, index) for index in range(count)]


def write_journal(path: Path, events: list[dict[str, Any]]) -> None:
    """Write `events` as a journal does: a JSON array, one event a line."""
    path.write_text("[\n" + ",\n".join(map(_line, events)) + "\n]\n", encoding="utf-8")


def write_ndjson(path: Path, events: list[dict[str, Any]]) -> None:
    """Write `events` one a line."""
    path.write_text("".join(_line(event) + "\n" for event in events), encoding="utf-8")


def time_of(event: dict[str, Any]) -> dt.datetime:
    """When a stored event happened."""
    stamp = event["timestamp"].removesuffix("Z")
    return dt.datetime.fromisoformat(stamp).replace(tzinfo=dt.timezone.utc)


def person_of(event: dict[str, Any]) -> str | None:
    """Whose a stored event is."""
    return event.get("user_id") or event.get("anonymous_id")


def sessions_of(events: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    """By session_id; without one, each person's events split where more than 30 minutes pass without any."""
    sessions: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    by_person: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("session_id"):
            sessions[event["session_id"]].append(event)
        else:
            by_person[person_of(event)].append(event)
    for person, theirs in by_person.items():
        visit, last = 0, None
        for event in sorted(theirs, key=time_of):
            if last is not None and time_of(event) - last > dt.timedelta(minutes=30):
                visit += 1
            sessions[(person, visit)].append(event)
            last = time_of(event)
    return sessions


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _event(chance: random.Random, index: int) -> dict[str, Any]:
    event: dict[str, Any] = {"event_id": f"event-{index}", "event_type": chance.choice(_TYPES)}
    person = chance.randrange(16)
    if chance.random() < 0.6:
        event["user_id"] = f"user_{person}"
    if chance.random() < 0.5 or not event.get("user_id"):
        event["anonymous_id"] = f"user_{person}"  # may be known as a user elsewhere
    if chance.random() < 0.6:
        event["session_id"] = f"session_{person}_{chance.randrange(6)}"
    if chance.random() < 0.03:
        event = {key: event[key] for key in ("event_id", "event_type")} | {"session_id": f"lonely_{index % 7}"}
    # Steps of 30 minutes make gaps of exactly the limit, and many equal times.
    ms = START_MS + chance.randrange(3 * 48) * 1_800_000 + chance.choice([0, 0, 1, 999, 60_000])
    event["timestamp"] = text(ms) if ms % 1000 or chance.random() < 0.5 else text(ms)[:19] + "Z"
    event["properties"] = _properties(chance, event["event_type"])
    event["received_at"] = text(START_MS + 10**9 + index)
    return event


def _properties(chance: random.Random, event_type: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"page": f"/p/{chance.randrange(12)}", "device": chance.choice(["mobile", "desktop"])}
    if chance.random() < 0.4:
        properties["product_name"] = chance.choice(["Trail Runner 2", 'Lamp "Größe" 🙂', ""])
        properties["product_id"] = f"sku-{chance.randrange(4)}"
    if chance.random() < 0.1:
        properties["utm_source"] = "newsletter"
    if event_type == "purchase":
        properties[chance.choice(["total", "total", "revenue", "value"])] = chance.choice(_AMOUNTS)
        if chance.random() < 0.7:
            properties["currency"] = chance.choice(["USD", "eur", "GBP", "dollar", 5])
        if chance.random() < 0.6:
            properties["items"] = [
                {"product_name": "Trail Runner 2", "quantity": chance.randrange(4)},
                {"product_id": "sku-1", "price": 3.5},
            ][: chance.randrange(3)]
    return properties
