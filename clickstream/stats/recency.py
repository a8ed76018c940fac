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
        self._batches: deque[Sequence[str]] = deque()

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def add(self, fresh: Sequence[str]) -> None:
        """Remember `fresh`, which must not be known yet, and forget whole batches that left the window."""
        self._ids.update(fresh)
        self._batches.append(fresh)
        while len(self._ids) - len(self._batches[0]) >= self.window:
            self._ids.difference_update(self._batches.popleft())

    def forget(self, ids: Iterable[str]) -> None:
        """Take back ids whose events were not kept after all."""
        gone = set(ids)
        self._ids -= gone
        self._batches = deque(
            kept
            for batch in self._batches
            if (kept := batch if gone.isdisjoint(batch) else [one for one in batch if one not in gone])
        )

    def oldest_first(self) -> list[str]:
        """All remembered ids in the order they came."""
        return [event_id for batch in self._batches for event_id in batch]


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
        if len(self.young) >= self._window:
            self.forgotten += len(self.old)
            self.old, self.young = self.young, {}
        self.young[key] = value
