"""Exact memory of the most recent keys, bounded: at least the last `window` of them, at most twice as many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

V = TypeVar("V")


class RecentIds:
    """The last `window` ids, exact; dedupe asks it."""

    def __init__(self, window: int) -> None:
        self.window = window
        self._ids: set[str] = set()
        self._order: deque[str] = deque()
        self._held = 0  # the newest ones, which do not count until it is settled what became of them

    def __len__(self) -> int:
        return len(self._ids) - self._held

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def has_any(self, ids: Iterable[str]) -> bool:
        """Whether at least one of `ids` is known."""
        return not self._ids.isdisjoint(ids)

    def unknown_among(self, ids: Sequence[str]) -> Sequence[int]:
        """Where in `ids` each one stands for the first time that is not known."""
        distinct = set(ids)
        if len(distinct) == len(ids) and not self.has_any(distinct):
            return range(len(ids))
        seen: set[str] = set()
        unknown = []
        for index, one in enumerate(ids):
            if one not in self._ids and one not in seen:
                seen.add(one)
                unknown.append(index)
        return unknown

    def add(self, fresh: Sequence[str]) -> None:
        """Remember `fresh`, distinct and not known yet; the oldest beyond the window are forgotten."""
        self.hold(fresh)
        self.settle(len(fresh))

    def hold(self, fresh: Sequence[str]) -> None:
        """Know `fresh` like `add`, but forget nothing for them yet: `settle` or `forget` must follow, in order."""
        self._ids.update(fresh)
        self._order.extend(fresh)
        self._held += len(fresh)

    def settle(self, count: int) -> None:
        """The oldest `count` of those that are held stay; the oldest of all beyond the window are forgotten."""
        self._held -= count
        surplus = len(self._order) - self._held - self.window
        if surplus > 0:
            leave = self._order.popleft
            self._ids.difference_update([leave() for _ in range(surplus)])

    def remember(self, ids: Sequence[str]) -> None:
        """Add those of `ids` that are not known when their turn comes; among them may be copies."""
        distinct = set(ids)
        if len(distinct) == len(ids) and not self.has_any(distinct):
            self.add(ids)
            return
        for one in ids:  # a copy may stand here because the first was forgotten by then: it is the one to remember
            if one not in self._ids:
                self.add([one])

    def clear(self) -> None:
        """Know nothing."""
        self._ids.clear()
        self._order.clear()
        self._held = 0

    def forget(self, ids: Sequence[str]) -> None:
        """Take back ids that were added lately, because their events were not kept after all."""
        gone = self._ids.intersection(ids)
        self._ids -= gone
        self._held = max(0, self._held - len(gone))
        later: list[str] = []
        while gone and self._order:
            newest = self._order.pop()
            if newest in gone:
                gone.remove(newest)
            else:
                later.append(newest)
        self._order.extend(reversed(later))

    def oldest_first(self) -> list[str]:
        """All remembered ids in the order they came."""
        return list(self._order)


class RecentMap(Generic[V]):
    """A dict that keeps at least the `window` most recently used keys.

    Two generations: when the young one is full it becomes the old one, and the old one is forgotten.
    `forgotten` counts the keys lost so far; while it is 0 every count taken from here is exact.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self.young: dict[str, V] = {}
        self.old: dict[str, V] = {}
        self.forgotten = 0

    def get(self, key: str) -> V | None:
        """The value of `key`, which counts as a use; None when it is unknown or forgotten."""
        value = self.young.get(key)
        if value is None and self.old and (value := self.old.pop(key, None)) is not None:
            self._put(key, value)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        self._put(key, value)

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def _put(self, key: str, value: V) -> None:
        if len(self.young) >= self._window and key not in self.young:
            self.forgotten += len(self.old)
            self.old, self.young = self.young, {}
        self.young[key] = value
