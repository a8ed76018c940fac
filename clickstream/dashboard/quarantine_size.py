"""How many refused records the API keeps: its counts begin at its start, its quarantine is older."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final

from clickstream.client.reading import ApiProblem

READ_EVERY_S: Final = 10.0  # the API counts the lines of the file: not for every reading of the statistics


class QuarantineSize:
    """The `total` of `/rejected`, read again when refusals have come or the API has started anew."""

    def __init__(
        self,
        read: Callable[[], dict[str, Any]],
        executor: Executor,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total: int | None = None  # not known yet
        self._read = read
        self._executor = executor
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[object, object] | None = None
        self._read_at_s: float | None = None

    def note(self, stats: Mapping[str, Any]) -> None:
        """Take a look at fresh statistics; the total follows, on a thread of the executor."""
        accounting = stats.get("accounting") or {}
        seen = (accounting.get("since"), accounting.get("rejected"))
        with self._lock:
            is_new_start = self._seen is not None and seen[0] != self._seen[0]
            is_due = self._read_at_s is None or self._clock() - self._read_at_s >= READ_EVERY_S
            if seen == self._seen or not (is_new_start or is_due):
                return
            self._seen, self._read_at_s = seen, self._clock()
        self._executor.submit(self._refresh)

    def _refresh(self) -> None:
        try:
            total = self._read().get("total")
        except ApiProblem:
            total = None
            with self._lock:
                self._seen = None  # ask again with the next statistics that are due
        self.total = total if type(total) is int else None
