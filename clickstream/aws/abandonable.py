"""Work on threads that the process need not wait for: a call that hangs must not hold up a stop."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class AbandonableThreads(Generic[T]):
    """At most `most` daemon threads. ThreadPoolExecutor would do, but the interpreter joins its threads at exit."""

    def __init__(self, most: int, *, name: str) -> None:
        self._most: Final = most
        self._name = name
        self._waiting: queue.SimpleQueue[tuple[Callable[[], T], Future[T]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open: set[Future[T]] = set()
        self._lock = threading.Lock()
        self._grace_s: float | None = None

    def start(self, work: Callable[[], T]) -> Future[T]:
        """The result of `work` in time; `result` raises CancelledError once it is abandoned."""
        future: Future[T] = Future()
        with self._lock:
            self._open.add(future)
            if len(self._threads) < min(self._most, len(self._open)):
                self._add_thread()
            grace_s = self._grace_s
        self._waiting.put((work, future))
        if grace_s is not None:
            _later(grace_s, future.cancel)
        return future

    def hurry(self, grace_s: float) -> None:
        """From now on abandon whatever takes longer than `grace_s`: what is open now, and what is started later."""
        with self._lock:
            self._grace_s = grace_s
            is_open = list(self._open)
        for future in is_open:
            _later(grace_s, future.cancel)

    def close(self) -> None:
        """End the threads that are idle; an abandoned call ends with the process."""
        with self._lock:
            for _ in self._threads:
                self._waiting.put(None)

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            work, future = job
            if not future.cancelled():
                # Nobody marks it as running, so that it can be cancelled to the end; a late result is thrown away.
                with contextlib.suppress(InvalidStateError):
                    try:
                        result = work()
                    except BaseException as problem:  # noqa: BLE001 (the thread's outermost frame: it belongs to the caller)
                        future.set_exception(problem)
                    else:
                        future.set_result(result)
            with self._lock:
                self._open.discard(future)


def _later(seconds: float, call: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


__all__ = ["AbandonableThreads", "CancelledError"]
