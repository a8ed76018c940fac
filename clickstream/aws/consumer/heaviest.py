"""The most frequent values of all time in little room, however late they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from clickstream.stats.top import TopCounts, first_within

LIST_BYTES: Final = 25_000  # of the values of one dimension


class Heaviest(TopCounts):
    """Space-saving (Metwally, Agrawal, El Abbadi 2005): the `most` values that may have occurred most often.

    A count says how often a value certainly occurred; before it came into its list it may have occurred as often as
    `uncounted` says. So whoever has more than one in `most` of all occurrences is always among them. Counts are exact
    while nothing had to leave.
    """

    # By dimension, in the order of its counts: text would be stored twice, and this item is written with every batch.
    uncounted: dict[str, list[int]] = msgspec.field(default_factory=dict)
    # By dimension: how often a value that is not in the list may have occurred.
    left_out: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, found: Mapping[str, Mapping[str, int]]) -> None:
        """Add counts by dimension and value; the least frequent values leave."""
        for name, values in found.items():
            self._add(name, values)

    def _add(self, name: str, values: Mapping[str, int]) -> None:
        counts = self.counts[name]
        # An earlier consumer left lists without `uncounted`: 0 each.
        uncounted = dict.fromkeys(counts, 0) | dict(zip(counts, self.uncounted.get(name, ()), strict=False))
        for value, count in values.items():
            uncounted.setdefault(value, self.left_out.get(name, 0))
            counts[value] = counts.get(value, 0) + count
        possible = {value: count + uncounted[value] for value, count in counts.items()}
        ranked = sorted(counts, key=lambda value: -possible[value])
        kept = first_within(LIST_BYTES, ranked[: self.most])
        if len(kept) < len(ranked):
            self.exact = False
            self.left_out[name] = possible[ranked[len(kept)]]
        self.counts[name] = {value: counts[value] for value in kept}
        if self.left_out.get(name):
            self.uncounted[name] = [uncounted[value] for value in kept]
