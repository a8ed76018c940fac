"""Most frequent pages, products, referrers and devices, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from clickstream.events import Event

LONGEST_VALUE: Final = 200  # characters of a page or name that is counted by itself
DIMENSIONS: Final = ("pages", "products", "bought", "referrers", "devices")

_REFERRERS_REMEMBERED: Final = 10_000
_hosts: Final[dict[str, str]] = {}


class TopCounts(msgspec.Struct):
    """How often each value occurred; once `most` values of a dimension are known, further ones are left out."""

    most: int
    counts: dict[str, dict[str, int]] = msgspec.field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    exact: bool = True

    def add(self, found: Mapping[str, Mapping[str, int]]) -> None:
        """Add counts by dimension and value."""
        for name, values in found.items():
            known = self.counts[name]
            for value, count in values.items():
                if value in known:
                    known[value] += count
                elif len(known) < self.most:
                    known[value] = count
                else:
                    self.exact = False


def count_values(events: Sequence[Event]) -> dict[str, Counter[str]]:
    """Pages, referrers, devices and products of page views, and units bought, in `events`."""
    views = [event.properties for event in events if event.event_type == "page_view" and event.properties]
    purchases = [event.properties for event in events if event.event_type == "purchase" and event.properties]
    found: dict[str, Counter[str]] = {}
    if views:
        found["pages"] = _counted(view.get("page") for view in views)
        found["referrers"] = Counter(
            _host(value) for view in views if type(value := view.get("referrer")) is str and value
        )
        found["devices"] = _counted(view.get("device") for view in views)
        found["products"] = _counted(view.get("product_name") or view.get("product_id") for view in views)
    if purchases:
        found["bought"] = _units(purchases)
    return found


def merged(parts: Iterable[TopCounts]) -> TopCounts:
    """The sum of `parts`, without a bound of its own."""
    total = TopCounts(most=10**9)
    for part in parts:
        total.add(part.counts)
        total.exact = total.exact and part.exact
    return total


def _counted(values: Iterable[object]) -> Counter[str]:
    return Counter([value[:LONGEST_VALUE] for value in values if type(value) is str and value])


def _units(purchases: Iterable[dict[str, object]]) -> Counter[str]:
    units: Counter[str] = Counter()
    for purchase in purchases:
        items = purchase.get("items")
        for item in items if isinstance(items, list) else [purchase]:
            if isinstance(item, dict):
                name = item.get("product_name") or item.get("product_id")
                quantity = item.get("quantity", 1)
                if type(name) is str and type(quantity) is int and 0 < quantity < 1_000_000:
                    units[name[:LONGEST_VALUE]] += quantity
    return units


def _host(referrer: str) -> str:
    host = _hosts.get(referrer)
    if host is None:
        try:
            host = urlsplit(referrer).hostname or referrer
        except ValueError:
            host = referrer
        host = host.removeprefix("www.")[:LONGEST_VALUE]
        if len(_hosts) < _REFERRERS_REMEMBERED:
            _hosts[referrer] = host
    return host
