"""The answer to a question in SQL as people read it: numbers to the right, shares in percent, money in its units."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from rich.table import Table as Grid
from rich.text import Text

from clickstream.terminal import words

if TYPE_CHECKING:
    from clickstream.analytics.engine import Table

_SHARES: Final = frozenset({"conversion", "bounce_rate", "retained", "share"})
_CENTS: Final = "_cents"


def grid(table: Table) -> Grid:
    """`table` with a column for each of its own; programs read it as json or csv, where every value is exact."""
    found = Grid()
    for index, name in enumerate(table.columns):
        is_number = any(isinstance(row[index], (int, float)) for row in table.rows)
        found.add_column(name.removesuffix(_CENTS), justify="right" if is_number else "left")
    for row in table.rows:
        # Text: a page named [red] is a name, not markup.
        found.add_row(*[Text(_cell(name, cell)) for name, cell in zip(table.columns, row, strict=True)])
    return found


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
