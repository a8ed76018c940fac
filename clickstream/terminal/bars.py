"""Bars and sparklines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_ASCII_HEIGHTS: Final = "_.:-=+*#"


def bar(value: float, most: float, width: int, *, ascii_only: bool = False) -> str:
    """A bar of `width` cells when `value` is `most`; to an eighth of a cell, or to a whole one in ASCII."""
    eighths = round(8 * width * value / most) if most > 0 else 0
    if value > 0:
        eighths = max(eighths, 1)
    if ascii_only:
        return "#" * max(1 if value > 0 else 0, eighths // 8)
    return _EIGHTHS[8] * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """One character for each of the last `width` values, each as high as its share of the largest."""
    heights = _ASCII_HEIGHTS if ascii_only else _HEIGHTS
    shown = values[-width:]
    most = max(shown, default=0)
    if most <= 0:
        return heights[0] * len(shown)
    return "".join(heights[min(len(heights) - 1, int(value / most * len(heights)))] for value in shown)
