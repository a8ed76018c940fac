"""What a purchase is worth: exact hundredths of a currency."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final

DEFAULT_CURRENCY: Final = "USD"
_LARGEST: Final = Decimal(10) ** 13  # beyond any order; keeps one absurd number from drowning the sum
# The DECIMAL(38, 18) of analytics/sql/events.sql: a long text is cut to it before it becomes cents, there and here.
_DIGITS: Final = Context(prec=38, rounding=ROUND_HALF_UP)
_FINEST, _CENT = Decimal("1e-18"), Decimal("0.01")
_SMALLEST, _GREATEST = -(2**63), 2**64 - 1  # what msgpack writes as a number
# As analytics/sql/events.sql reads it: Decimal also knows digits of other scripts, spaces, underscores and infinity.
_WRITTEN: Final = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")


def revenue(properties: dict[str, Any] | None) -> tuple[str, int] | None:
    """Currency and hundredths of a purchase's `total`, else `revenue`, else `value`; None where there is no amount."""
    if not properties:
        return None
    for name in ("total", "revenue", "value"):
        amount = properties.get(name)
        if amount is not None:
            cents = in_cents(amount)
            return None if cents is None else (_currency(properties.get("currency")), cents)
    return None


def in_cents(amount: object) -> int | None:
    """`amount`, a number or numeric text, in hundredths, halves to even; None when it is neither or absurd."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float, str)):
        return None
    if isinstance(amount, str) and _WRITTEN.fullmatch(amount) is None:
        return None
    try:
        value = _DIGITS.quantize(Decimal(str(amount)), _FINEST)
        if not -_LARGEST <= value <= _LARGEST:
            return None
        return int(value.quantize(_CENT, rounding=ROUND_HALF_EVEN) * 100)
    except InvalidOperation:
        return None


def average(cents: int, orders: int) -> int:
    """Hundredths for each of `orders`, halves away from zero, as the pages show the same average of a question."""
    return int((Decimal(cents) / orders).to_integral_value(ROUND_HALF_UP))


def storable(cents: Mapping[str, int]) -> dict[str, Any]:
    """`cents` as msgpack can hold them: sums beyond 64 bits as text; a decoder with strict=False reads them exactly."""
    return {currency: total if _SMALLEST <= total <= _GREATEST else str(total) for currency, total in cents.items()}


def as_text(cents: int) -> str:
    """`1234.05` for 123405."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _currency(code: object) -> str:
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isalpha():
        return code.upper()
    return DEFAULT_CURRENCY
