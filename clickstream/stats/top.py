"""Most frequent pages, products, referrers and devices, bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from clickstream.events import AnyEvent

LONGEST_VALUE: Final = 200  # characters of a page or name that is counted by itself
DIMENSIONS: Final = ("pages", "products", "bought", "referrers", "devices")

_COUNT_BYTES: Final = 24  # of up to two counts, and of what says how long their value is
_REFERRERS_REMEMBERED: Final = 10_000
_hosts: Final[dict[str, str]] = {}


class _View(msgspec.Struct, gc=False):
    """What is counted of a page view; senders may write anything there."""

    page: Any = None
    referrer: Any = None
    device: Any = None
    product_name: Any = None
    product_id: Any = None


_views: Final = msgspec.json.Decoder(_View)


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

    def shorten(self, most_bytes: int) -> None:
        """Leave out the least frequent values until those of each dimension take at most `most_bytes` in an item."""
        for name, values in self.counts.items():
            kept = first_within(most_bytes, sorted(values, key=lambda value: -values[value]))
            if len(kept) < len(values):
                self.counts[name], self.exact = {value: values[value] for value in kept}, False


def count_values(events: Sequence[AnyEvent]) -> dict[str, Counter[str]]:
    """Pages, referrers, devices and products of page views, and units bought, in `events`."""
    views = [_view(event) for event in events if event.event_type == "page_view"]
    purchases = [event.properties for event in events if event.event_type == "purchase"]
    found: dict[str, Counter[str]] = {}
    if views:
        found["pages"] = _counted([view.page for view in views])
        found["referrers"] = _by_host([view.referrer for view in views])
        found["devices"] = _counted([view.device for view in views])
        found["products"] = _counted([_first_name(view.product_name, view.product_id) for view in views])
    if purchases:
        found["bought"] = _units([purchase for purchase in purchases if purchase])
    return found


def merged(parts: Iterable[TopCounts]) -> TopCounts:
    """The sum of `parts`, without a bound of its own."""
    total = TopCounts(most=10**9)
    for part in parts:
        total.add(part.counts)
        total.exact = total.exact and part.exact
    return total


def first_within(most_bytes: int, values: Sequence[str]) -> Sequence[str]:
    """As many of `values` from the first on as take at most `most_bytes` with their counts."""
    for number, value in enumerate(values):
        most_bytes -= len(value.encode()) + _COUNT_BYTES
        if most_bytes < 0:
            return values[:number]
    return values


def _view(event: AnyEvent) -> _View:
    raw = getattr(event, "raw_properties", None)  # decoding five names is cheaper than all of them
    try:
        return msgspec.convert(event.properties or {}, _View) if raw is None else _views.decode(raw)
    except msgspec.ValidationError:  # no object, in a file of an older version
        return _View()


def _first_name(name: object, otherwise: object) -> object:
    """The first that is a name: text that is not empty, as analytics/sql/events.sql says."""
    return name if type(name) is str and name else otherwise


def _counted(values: list[Any]) -> Counter[str]:
    try:
        counts: Counter[Any] = Counter(values)
    except TypeError:  # an object or array
        counts = Counter([value for value in values if type(value) is str])
    if all(type(value) is str and 0 < len(value) <= LONGEST_VALUE for value in counts):
        return counts
    found: Counter[str] = Counter()
    for value, count in counts.items():
        if type(value) is str and value:
            found[value[:LONGEST_VALUE]] += count
    return found


def _by_host(referrers: list[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for referrer, count in Counter([one for one in referrers if type(one) is str and one]).items():
        found[host_of(referrer)] += count
    return found


def _units(purchases: Iterable[dict[str, object]]) -> Counter[str]:
    units: Counter[str] = Counter()
    for purchase in purchases:
        items = purchase.get("items")
        for item in items if isinstance(items, list) else [purchase]:
            if isinstance(item, dict):
                name = _first_name(item.get("product_name"), item.get("product_id"))
                quantity = _quantity(item.get("quantity"))
                if type(name) is str and name and 0 < quantity < 1_000_000:
                    units[name[:LONGEST_VALUE]] += quantity
    return units


def _quantity(value: object) -> int:
    """Units of an item: a whole number, also as text, as analytics/sql/top_products.sql says; else 0."""
    if value is None:
        return 1
    if type(value) is str and len(value) <= 6 and value.isascii() and value.isdigit():
        return int(value)
    return value if type(value) is int else 0


def host_of(referrer: str) -> str:
    """The host of an address without `www.`, else the text itself, as analytics/hosts.py says in SQL."""
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
