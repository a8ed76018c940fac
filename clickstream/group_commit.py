"""Group commit: one thread that writes everything that waits, syncs once, then reports to whoever waits."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from clickstream.errors import BackendUnavailable
from clickstream.recurring import Recurring

_log: Final = logging.getLogger(__name__)

# Measured: groups above about 2 MB halve throughput, because the loop has nothing to do while they are synced.
MAX_GROUP_BYTES: Final = 2 * 1024 * 1024


class Entry(Protocol):
    """What one request wants kept."""

    records: Sequence[bytes]
    size: int


E = TypeVar("E", bound=Entry)


class GroupCommit(Generic[E]):
    """Calls `write` with the records of as many entries as wait, then `report(entries, error)`, in order.

    Both run on the commit thread. A failed group does not hold up the next one.
    """

    def __init__(
        self,
        write: Callable[[Sequence[E]], None],
        report: Callable[[list[E], BackendUnavailable | None], None],
    ) -> None:
        self._write = write
        self._report = report
        self._waiting: queue.SimpleQueue[E | None] = queue.SimpleQueue()
        self._not_kept = Recurring(_log, "events not kept")
        self._thread = threading.Thread(target=self._run, name="group-commit")

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def submit(self, entry: E) -> None:
        """Queue `entry`; never blocks."""
        self._waiting.put(entry)

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            group, stopping = self._take_group()
            if group:
                self._commit(group)

    def _take_group(self) -> tuple[list[E], bool]:
        entry = self._waiting.get()
        group: list[E] = []
        size = 0
        while entry is not None:
            group.append(entry)
            size += entry.size
            if size >= MAX_GROUP_BYTES:
                return group, False
            try:
                entry = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[E]) -> None:
        try:
            self._write(group)
        except BackendUnavailable as problem:
            self._not_kept.failed(problem)
            self._report(group, problem)
        except Exception as problem:  # noqa: BLE001 - this thread must outlive any failure, or every sender hangs
            self._not_kept.failed(problem)
            self._report(group, BackendUnavailable(f"events cannot be kept now: {problem}"))
        else:
            if any(entry.records for entry in group):
                self._not_kept.over()
            self._report(group, None)
