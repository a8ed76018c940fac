"""The answer to a question in SQL as people read it: numbers to the right, shares in percent, money in its units."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from rich.table import Table as Grid
from rich.text import Text

from clickstream.terminal import words

if TYPE_CHECKING:
    from clickstream.analytics.engine import Table

_SHARES: Final = frozenset({"conversion", "bounce_rate", "retained", "share"})
_CENTS: Final = "_cents"


def grid(table: Table, *, exact: bool = False) -> Grid:
    """`table` with a column for each of its own; programs read it as json or csv, where every value is exact.

    `exact` leaves numbers and names as they are here too: of SQL of one's own nobody knows what they mean.
    """
    found = Grid()
    for index, name in enumerate(table.columns):
        is_number = any(isinstance(row[index], (int, float)) for row in table.rows)
        found.add_column(
            words.clean(name) if exact else name.removesuffix(_CENTS), justify="right" if is_number else "left"
        )
    for row in table.rows:
        # Text: a page named [red] is a name, not markup.
        cells = map(_exact, row) if exact else map(_cell, table.columns, row)
        found.add_row(*map(Text, cells))
    return found


def value_text(cell: object) -> str:
    """A value as a program reads it: a text as it is, nothing for null, all else as JSON."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, separators=(",", ":"))


def _exact(cell: object) -> str:
    return words.UNKNOWN if cell is None else words.clean(value_text(cell))


def _cell(column: str, cell: object) -> str:
    if cell is None:
        return words.UNKNOWN  # nothing to say, such as the conversion of a first step
    if not isinstance(cell, (int, float)):
        return words.clean(str(cell))
    if column in _SHARES:
        return words.percent(cell)
    if column.endswith(_CENTS):
        return words.rounded(Decimal(str(cell)) / 100, 2)
    return f"{cell:,}" if isinstance(cell, int) else words.rounded(cell, 1)
