"""Stats -> the numbers that `/stats`, the dashboard and the terminal show for one window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from clickstream.stats.fold import Stats
from clickstream.stats.minutes import Minute
from clickstream.stats.money import DEFAULT_CURRENCY, as_text, average
from clickstream.stats.names import sum_of_currencies, sum_of_types
from clickstream.stats.sessions import FUNNEL
from clickstream.stats.top import TopCounts, merged
from clickstream.timestamps import MINUTE_MS, minute_text, text

WINDOWS: Final = {"15m": 15, "1h": 60, "24h": 24 * 60}  # minutes; anything else is all time

_ACTIVE_MINUTES: Final = 5
_TOP_SHOWN: Final = 10
_FOREVER: Final = 2**40
_SERIES: Final = {"15m": (15, 1), "1h": (60, 1), "24h": (96, 15), "all": (60, 1)}  # points, minutes each


def snapshot(stats: Stats, window: str, now_ms: int) -> dict[str, Any]:
    """The numbers of `window` (15m, 1h, 24h, all) at `now_ms`; docs/api.md explains each key.

    A window is aligned to whole minutes of event time and ends with the running one.
    """
    now = now_ms // MINUTE_MS
    numbers = _all_time(stats) if window == "all" else _windowed(stats, now - WINDOWS[window] + 1, now)
    active = list(stats.minutes.between(now - _ACTIVE_MINUTES + 1, _FOREVER))
    numbers["sessions"] |= {
        "active": sum(sum(minute.last_sessions) for minute in active),
        "exact": stats.sessions.forgotten == 0 and stats.visits.forgotten == 0,
    }
    numbers["users"] |= {
        "active": sum(minute.last_users for minute in active),
        "exact": stats.people.forgotten == 0,
    }
    numbers["series"] = _series(stats, window, now)
    numbers["rolling_minute"] = {"events": stats.minutes.rolling(now_ms)}
    numbers["window"] = _window(stats, window, now, now_ms)
    numbers["previous"] = _previous(stats, window, now)
    numbers["generated_at"] = text(now_ms)
    return numbers


def _all_time(stats: Stats) -> dict[str, Any]:
    return {
        "total_events": sum(stats.types.values()),
        "events_by_type": _largest_first(stats.types),
        "sessions": {"total": sum(stats.session_depths)},
        "users": {"total": stats.users},
        **_funnel(stats.session_depths),
        "revenue": _revenue(stats.revenue, stats.types.get("purchase", 0)),
        "top": _top(stats.top),
    }


def _windowed(stats: Stats, first: int, last: int) -> dict[str, Any]:
    minutes = list(stats.minutes.between(first, last))
    # A session or user with a last event after the window's end (a fast clock) still belongs to it.
    reaching = list(stats.minutes.between(first, _FOREVER))
    later = stats.minutes.between(last + 1, _FOREVER)  # sessions that begin there lie wholly in the future
    depths = [
        ended - begun
        for ended, begun in zip(
            _columns(minute.last_sessions for minute in reaching),
            _columns(minute.first_sessions for minute in later),
            strict=True,
        )
    ]
    types = sum_of_types(minute.types for minute in minutes)
    return {
        "total_events": sum(types.values()),
        "events_by_type": _largest_first(types),
        "sessions": {"total": sum(depths)},
        "users": {"total": sum(minute.last_users for minute in reaching)},
        **_funnel(depths),
        "revenue": _revenue(sum_of_currencies(minute.revenue for minute in minutes), types.get("purchase", 0)),
        "top": _top(merged(stats.minutes.top_between(first, last))),
    }


def _funnel(depths: Sequence[int]) -> dict[str, Any]:
    reached = [sum(depths[step:]) for step in range(1, len(depths))]
    view, cart, checkout, purchase = reached
    cart_to_purchase = _ratio(purchase, cart)
    return {
        "funnel": [{"step": step, "sessions": count} for step, count in zip(FUNNEL, reached, strict=True)],
        "conversion": {
            "view_to_cart": _ratio(cart, view),
            "cart_to_checkout": _ratio(checkout, cart),
            "checkout_to_purchase": _ratio(purchase, checkout),
            "view_to_purchase": _ratio(purchase, view),
            "cart_abandonment": None if cart_to_purchase is None else 1 - cart_to_purchase,
        },
    }


def _revenue(by_currency: dict[str, int], orders: int) -> dict[str, Any]:
    currency = max(by_currency, key=lambda code: (by_currency[code], code), default=DEFAULT_CURRENCY)
    cents = by_currency.get(currency, 0)
    return {
        "currency": currency,
        "total": as_text(cents),
        "cents": cents,
        "orders": orders,
        "average_order": as_text(average(cents, orders)) if orders and len(by_currency) <= 1 else None,
        "by_currency": dict(sorted(by_currency.items())),
    }


def _top(top: TopCounts) -> dict[str, Any]:
    bought = top.counts["bought"]
    products = [{**row, "purchases": bought.get(row["value"], 0)} for row in _rows(top.counts["products"] or bought)]
    if not top.counts["products"]:
        products = [{**row, "count": 0} for row in products]
    return {
        "pages": _rows(top.counts["pages"]),
        "products": products,
        "referrers": _rows(top.counts["referrers"]),
        "devices": _rows(top.counts["devices"]),
        "exact": top.exact,
    }


def _rows(counts: dict[str, int]) -> list[dict[str, Any]]:
    best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP_SHOWN]
    return [{"value": value, "count": count} for value, count in best]


def _series(stats: Stats, window: str, now: int) -> dict[str, Any]:
    points, width = _SERIES[window]
    last = now - now % width
    starts = range(last - (points - 1) * width, last + 1, width)
    return {
        "interval_s": width * 60,
        "points": [_point(start, stats.minutes.between(start, start + width - 1)) for start in starts],
    }


def _point(start: int, minutes: Iterable[Minute]) -> dict[str, Any]:
    types = sum_of_types(minute.types for minute in minutes)
    return {"start": minute_text(start), "events": sum(types.values()), "by_type": types}


def _window(stats: Stats, window: str, now: int, now_ms: int) -> dict[str, Any]:
    if window == "all":
        begin = None if stats.first_ms is None else text(stats.first_ms)
    else:
        begin = minute_text(now - WINDOWS[window] + 1)
    return {"name": window, "from": begin, "to": text(now_ms)}


def _previous(stats: Stats, window: str, now: int) -> dict[str, Any] | None:
    if window == "all":
        return None
    last = now - WINDOWS[window]
    first = last - WINDOWS[window] + 1
    minutes = list(stats.minutes.between(first, last))
    types = sum_of_types(minute.types for minute in minutes)
    overlapping = sum(sum(minute.last_sessions) for minute in stats.minutes.between(first, _FOREVER))
    overlapping -= sum(sum(minute.first_sessions) for minute in stats.minutes.between(last + 1, _FOREVER))
    revenue = _revenue(sum_of_currencies(minute.revenue for minute in minutes), types.get("purchase", 0))
    return {
        "total_events": sum(types.values()),
        "page_views": types.get("page_view", 0),
        "sessions": overlapping,
        "purchases": types.get("purchase", 0),
        "revenue_cents": revenue["cents"],
        "revenue_currency": revenue["currency"],
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _largest_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _columns(rows: Iterable[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * (len(FUNNEL) + 1)
