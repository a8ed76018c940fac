"""Numbers, times and names as text for a terminal; what a sender wrote can never steer the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from clickstream.timestamps import parse

UNKNOWN: Final = "-"
# The colours of the dashboard's dark theme; they can be told apart on a light ground as well.
COLOURS: Final = {
    "page_view": "#5b9bf3",
    "click": "#63c7e6",
    "search": "#d08bd0",
    "add_to_cart": "#f0b23c",
    "remove_from_cart": "#8e99a6",
    "checkout": "#3fbf88",
    "purchase": "#f0764f",
}
# In the order of the dashboard's --type-custom-1 to 8.
CUSTOM_COLOURS: Final = (
    "#a99cf5", "#cbb05a", "#4fc3bb", "#ea86b5", "#9cc46a", "#c99c7d", "#9fb0d0", "#e68a8a",
)  # fmt: skip
_TELLING: Final = {
    "page_view": ("page", "product_name"),
    "click": ("element", "page"),
    "search": ("query", "results_count"),
    "add_to_cart": ("product_name", "price"),
    "remove_from_cart": ("product_name", "price"),
    "checkout": ("cart_value", "order_id"),
    "purchase": ("total", "order_id"),
}
_AMOUNTS: Final = frozenset({"price", "cart_value", "total"})
_SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_HASH_MODULUS: Final = 65_521


_PLAIN: Final = {"€": "EUR ", "£": "GBP ", "¥": "JPY ", "…": "..."}


def legible(problem: UnicodeError) -> tuple[str, int]:
    """Codec error handler: what an encoding lacks in other words, or a question mark."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    lacking = problem.object[problem.start : problem.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), problem.end


def clean(value: object) -> str:
    """`value` on one line without anything a terminal would obey."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(character if character.isprintable() else "�" for character in text)


def clean_lines(text: str) -> str:
    """`text`, which may have several lines, without anything a terminal would obey."""
    return "\n".join(clean(line) for line in text.split("\n"))


def as_json(value: object, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """`value` as JSON in which whatever a terminal might obey (C1, DEL, directions of writing) is escaped as well."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    if text.isprintable():
        return text
    # A line break is the indentation's own: inside a text it is an escape already.
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` cells, its end replaced by ~ where it is longer."""
    return text + " " * (width - cell_len(text)) if cell_len(text) <= width else set_cell_size(text, width - 1) + "~"


def rounded(number: float | Decimal, places: int) -> str:
    """`number` with so many decimals: its written digits, half away from zero, as browsers round on the pages."""
    return f"{Decimal(str(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"


def count(value: object) -> str:
    """1,234 up to 999,999, then 1.2M."""
    if type(value) is not int:
        return UNKNOWN
    if value < 1_000_000:
        return f"{value:,}"
    return f"{rounded(value / 1e6, 1)}M" if value < 1e9 else f"{rounded(value / 1e9, 1)}B"


def percent(ratio: float | None) -> str:
    """One decimal; "-" where there was nothing to divide by."""
    if ratio is None:
        return UNKNOWN
    return "<0.1%" if 0 < ratio < 0.001 else f"{rounded(Decimal(str(ratio)) * 100, 1)}%"


def share(part: int, whole: int) -> str:
    """`part` of `whole` in percent."""
    return percent(part / whole if whole else None)


def money(amount: object, currency: str) -> str:
    """$1,234.50, or `1,234.50 CHF` where no symbol is known."""
    if amount is None:
        return UNKNOWN
    text = rounded(Decimal(str(amount)), 2)
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{text} {clean(currency)}"


def age(seconds: float) -> str:
    """9 s, 3 min, 2 h or 4 days."""
    for size, unit in ((86_400 * 2, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // (86_400 if unit == 'days' else size))} {unit}"
    return f"{max(0, int(seconds))} s"


def clock(stamp: object, form: str = "%H:%M:%S", zone: timezone | None = None) -> str:
    """A time of an event on this machine's clock."""
    try:
        ms = parse(str(stamp))
    except ValueError:
        return UNKNOWN
    return datetime.fromtimestamp(ms / 1000, timezone.utc).astimezone(zone).strftime(form)


def type_name(event_type: str) -> str:
    """`add_to_cart` -> `Add to cart`."""
    words = clean(event_type).replace("_", " ")
    return words[:1].upper() + words[1:]


def type_colour(event_type: str) -> str:
    """The colour a type has on the dashboard too."""
    known = COLOURS.get(event_type)
    if known:
        return known
    total = 0
    for character in event_type:
        total = (total * 31 + ord(character)) % _HASH_MODULUS
    return CUSTOM_COLOURS[total % len(CUSTOM_COLOURS)]


def telling(event: Mapping[str, Any]) -> str:
    """The one line that says what an event was about."""
    properties = event.get("properties")
    if not isinstance(properties, dict) or not properties:
        return UNKNOWN
    names = _TELLING.get(str(event.get("event_type")), ())
    found = [_value(name, properties) for name in names if properties.get(name) not in (None, "")]
    return ", ".join(found or [f"{clean(name)}={clean(value)}" for name, value in list(properties.items())[:3]])


def _value(name: str, properties: Mapping[str, Any]) -> str:
    value = properties[name]
    if name in _AMOUNTS and type(value) in (int, float):
        return money(value, str(properties.get("currency", "USD")))
    return clean(value) + (" results" if name == "results_count" else "")
