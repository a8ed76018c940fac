"""The table: what was measured, the goal, the figure, and whether it was met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `at_least` and `at_most` are the goal, if there is one."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no goal."""
        if self.at_least is None and self.at_most is None:
            return ""
        enough = self.at_least is None or self.value >= self.at_least
        return "met" if enough and (self.at_most is None or self.value <= self.at_most) else "missed"

    def goal(self) -> str:
        """The goal as text."""
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)}{self.unit}"
        return "" if self.at_most is None else f"≤ {_number(self.at_most)}{self.unit}"


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table that is also readable as text."""
    rows = [("what", "goal", "figure", "", "measured")]
    rows += [(one.name, one.goal(), f"{_number(one.value)}{one.unit}", one.verdict(), one.note) for one in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
