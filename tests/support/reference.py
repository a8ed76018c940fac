"""The numbers of /stats computed the slow and obvious way, from all events at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import product
from typing import Any

from clickstream.events import Event

MINUTE = 60_000
MINUTES = {"15m": 15, "1h": 60, "24h": 1440}
STEPS = ("page_view", "add_to_cart", "checkout", "purchase")
Happening = tuple[Event, int]


def reference(happenings: Sequence[Happening], window: str, now_ms: int) -> dict[str, Any]:
    """Counts, sessions, users, funnel and revenue of `window` at `now_ms`."""
    now = now_ms // MINUTE
    first, last = (now - MINUTES[window] + 1, now) if window != "all" else (-(10**9), 10**9)
    inside = [(event, ms) for event, ms in happenings if first <= ms // MINUTE <= last]
    types = Counter(event.event_type for event, _ in inside)
    sessions = [s for s in sessions_of(happenings) if _overlaps(s, first, last)]
    depths = [depth(session) for session in sessions]
    revenue = _revenue(inside)
    users = _last_minutes(happenings)
    return {
        "total_events": sum(types.values()),
        "events_by_type": dict(types),
        "sessions": len(sessions),
        "users": sum(minute >= first for minute in users.values()),
        "active_sessions": sum(max(ms for _, ms in s) // MINUTE > now - 5 for s in sessions_of(happenings)),
        "active_users": sum(minute > now - 5 for minute in users.values()),
        "funnel": [sum(reached >= step for reached in depths) for step in (1, 2, 3, 4)],
        "revenue": {currency: cents for currency, cents in revenue.items() if True},
        "pages": _counted(inside, "page_view", "page"),
    }


def sessions_of(happenings: Sequence[Happening]) -> list[list[Happening]]:
    """By session_id; without one, each person's events split where 30 minutes pass without any."""
    named: dict[str, list[Happening]] = defaultdict(list)
    of_people: dict[str, list[Happening]] = defaultdict(list)
    for event, ms in happenings:
        if event.session_id is not None:
            named[event.session_id].append((event, ms))
        else:
            of_people[event.user_id or event.anonymous_id or ""].append((event, ms))
    found = list(named.values())
    for events in of_people.values():
        events.sort(key=lambda happening: happening[1])
        visit = [events[0]]
        for happening in events[1:]:
            if happening[1] - visit[-1][1] > 30 * MINUTE:
                found.append(visit)
                visit = []
            visit.append(happening)
        found.append(visit)
    return found


def depth(session: Sequence[Happening]) -> int:
    """Steps of the funnel for which times t1 <= t2 <= ... exist, by trying every combination."""
    times = [sorted({ms for event, ms in session if event.event_type == step}) for step in STEPS]
    for steps in (4, 3, 2, 1):
        if any(list(chosen) == sorted(chosen) for chosen in product(*times[:steps])):
            return steps
    return 0


def _overlaps(session: Sequence[Happening], first: int, last: int) -> bool:
    minutes = [ms // MINUTE for _, ms in session]
    return max(minutes) >= first and min(minutes) <= last


def _last_minutes(happenings: Sequence[Happening]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event, ms in happenings:
        person = event.user_id or event.anonymous_id
        if person is not None:
            found[person] = max(found.get(person, -(10**9)), ms // MINUTE)
    return found


def _revenue(happenings: Sequence[Happening]) -> dict[str, int]:
    cents: dict[str, int] = defaultdict(int)
    for event, _ in happenings:
        properties = event.properties or {}
        amount = next(
            (properties[name] for name in ("total", "revenue", "value") if properties.get(name) is not None), None
        )
        if event.event_type != "purchase" or isinstance(amount, bool) or not isinstance(amount, (int, float, str)):
            continue
        try:
            value = Decimal(str(amount))
        except InvalidOperation:
            continue
        if value.is_finite() and abs(value) <= 10**13:
            code = properties.get("currency")
            known = isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha()
            cents[code.upper() if known and isinstance(code, str) else "USD"] += int(
                (value * 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
            )
    return dict(cents)


def _counted(happenings: Sequence[Happening], event_type: str, name: str) -> dict[str, int]:
    values = ((event.properties or {}).get(name) for event, _ in happenings if event.event_type == event_type)
    counts = Counter(value[:200] for value in values if isinstance(value, str) and value)
    return dict(sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:10])
