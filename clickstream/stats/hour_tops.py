"""Most frequent values of one hour and of any of its minutes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Final

import msgspec

from clickstream.stats.top import DIMENSIONS, TopCounts

MOST_VALUES: Final = 2_000  # of a dimension in an hour

_LAST_MINUTE: Final = 59
_UNBOUNDED: Final = 10**9


class HourTops(msgspec.Struct):
    """How often each value occurred in each minute; further values than `most` of a dimension are left out.

    Each value stands here once and has a place; a minute is a list of counts by place, which is a tenth of what a
    dict for each minute would take.
    """

    most: int = MOST_VALUES
    places: dict[str, dict[str, int]] = msgspec.field(default_factory=lambda: {name: {} for name in DIMENSIONS})
    whole: dict[str, list[int]] = msgspec.field(default_factory=lambda: {name: [] for name in DIMENSIONS})
    minutes: dict[int, dict[str, list[int]]] = msgspec.field(default_factory=dict)  # by minute of the hour
    exact: bool = True

    def add(self, minute: int, found: Mapping[str, Mapping[str, int]]) -> None:
        """Add counts by dimension and value to one minute of the hour."""
        of_minute = self.minutes.get(minute)
        if of_minute is None:
            of_minute = self.minutes[minute] = {name: [] for name in DIMENSIONS}
        for name, values in found.items():
            places, whole, counts = self.places[name], self.whole[name], of_minute[name]
            for value, count in values.items():
                place = places.get(value)
                if place is None:
                    if len(places) >= self.most:
                        self.exact = False
                        continue
                    place = places[value] = len(places)
                    whole.append(0)
                if place >= len(counts):
                    counts += [0] * (place + 1 - len(counts))
                whole[place] += count
                counts[place] += count

    def between(self, first: int, last: int) -> TopCounts:
        """The sum of the minutes of the hour from `first` to `last`."""
        if first <= 0 and last >= _LAST_MINUTE:
            columns = self.whole
        else:
            parts = [counts for minute, counts in self.minutes.items() if first <= minute <= last]
            columns = {name: _sums([part[name] for part in parts]) for name in DIMENSIONS}
        counts = {
            name: {value: count for value, count in zip(places, columns[name], strict=False) if count}
            for name, places in self.places.items()
        }
        return TopCounts(_UNBOUNDED, counts, self.exact)


def _sums(columns: list[list[int]]) -> list[int]:
    return [sum(counts) for counts in zip_longest(*columns, fillvalue=0)]
