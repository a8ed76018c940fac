"""One reading of the statistics for everybody who looks: once per interval, and only when somebody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from clickstream.client.reading import ApiProblem

EVENTS_MAY_BE_OLD_S: Final = 60.0


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The last good statistics of one window (None: never any), and what is wrong since then (None: nothing)."""

    window: str
    asked_at_s: float  # of this snapshot's clock
    stats: dict[str, Any] | None = None
    read_at_s: float | None = None  # when `stats` arrived, same clock
    read_at: float | None = None  # likewise, seconds since 1970
    problem: ApiProblem | None = None
    failing_since: float | None = None  # seconds since 1970: since then no reading of any window was good
    failing_since_s: float | None = None  # likewise, this snapshot's clock


@dataclass(slots=True)
class _Window:
    last: Snapshot | None = None
    waiting: list[Callable[[Snapshot], object]] = field(default_factory=list)
    reading: bool = False


class SharedSnapshots:
    """Snapshots by window, each read at most once per `interval_s` however many ask, from any thread."""

    def __init__(
        self,
        read: Callable[[str], dict[str, Any]],
        executor: Executor,
        *,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._read = read
        self._executor = executor
        self._interval_s = interval_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}
        self._failing_since: tuple[float, float] | None = None  # by both clocks

    def last(self, window: str) -> Snapshot | None:
        """The latest snapshot of `window`, however old."""
        with self._lock:
            known = self._windows.get(window)
            return known.last and self._presentable(known.last) if known else None

    def ask(self, window: str, answer: Callable[[Snapshot], object]) -> None:
        """Call `answer` with a snapshot not older than the interval: now if there is one, else after one reading."""
        with self._lock:
            asked = self._windows.setdefault(window, _Window())
            young = asked.last is not None and self._clock() - asked.last.asked_at_s < self._interval_s
            snapshot = asked.last if young else None
            start = snapshot is None and not asked.reading
            if snapshot is None:
                asked.waiting.append(answer)
                asked.reading = True
        if snapshot is not None:
            answer(snapshot)
        elif start:
            self._executor.submit(self._refresh, window)

    def age_s(self, snapshot: Snapshot) -> float | None:
        """Seconds since the statistics in `snapshot` arrived."""
        return None if snapshot.read_at_s is None else self._clock() - snapshot.read_at_s

    def failing_s(self, snapshot: Snapshot) -> float | None:
        """Seconds for which no reading of any window was good; None when `snapshot` is."""
        return None if snapshot.failing_since_s is None else self._clock() - snapshot.failing_since_s

    def _presentable(self, snapshot: Snapshot) -> Snapshot:
        """`snapshot`, of an old one only the numbers: its events may have been erased since."""
        age_s = self.age_s(snapshot)
        if snapshot.stats is None or age_s is None or age_s < EVENTS_MAY_BE_OLD_S:
            return snapshot
        return replace(snapshot, stats={**snapshot.stats, "recent_events": []})

    def _refresh(self, window: str) -> None:
        asked = self._windows[window]
        asked_at_s = self._clock()
        kept = asked.last
        try:
            kept = snapshot = self._next(window, asked.last, asked_at_s)
        except Exception as problem:  # noqa: BLE001 - outermost frame of its thread, and browsers wait for an answer
            # Not kept, so that the next request tries again.
            told = ApiProblem("garbage", f"the numbers could not be read: {type(problem).__name__}: {problem}")
            snapshot = self._failed(window, asked.last, asked_at_s, told)
        with self._lock:
            asked.last, asked.reading = kept, False
            waiting, asked.waiting = asked.waiting, []
        for answer in waiting:
            answer(snapshot)

    def _next(self, window: str, before: Snapshot | None, asked_at_s: float) -> Snapshot:
        try:
            stats = self._read(window)
        except ApiProblem as problem:
            return self._failed(window, before, asked_at_s, problem)
        with self._lock:
            self._failing_since = None
        return Snapshot(window, asked_at_s, stats, self._clock(), self._wall_clock())

    def _failed(self, window: str, before: Snapshot | None, asked_at_s: float, problem: ApiProblem) -> Snapshot:
        with self._lock:
            since = self._failing_since = self._failing_since or (self._wall_clock(), self._clock())
        if before is None:
            return Snapshot(window, asked_at_s, None, None, None, problem, *since)
        before = self._presentable(before)
        return Snapshot(window, asked_at_s, before.stats, before.read_at_s, before.read_at, problem, *since)
