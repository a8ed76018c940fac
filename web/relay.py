"""Answers that wait for the API on other threads: so many at a time, and each of them comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from flask import Response

from web.answers import deferred_answer, error_answer, placeholder


class Relay:
    """Work on threads of `executor`; where `most` wait for it the next is refused, so that a slow API piles up none."""

    def __init__(self, executor: Executor, *, most: int) -> None:
        self._executor = executor
        self._most = most
        self._waiting = 0  # touched on the loop's thread alone

    def answer(self, work: Callable[[], Response]) -> Response:
        """What `work` answers, given later; 503 at once when too many wait already."""
        if self._waiting >= self._most:
            return busy_answer(f"{self._most} requests wait for the API already; try again in a second", after_s=1)
        deferred, give = deferred_answer()
        loop = asyncio.get_running_loop()

        def ended() -> None:
            self._waiting -= 1

        def run() -> None:
            try:
                give(whatever_happens(work))
            finally:
                loop.call_soon_threadsafe(ended)

        self._waiting += 1
        self._executor.submit(run)
        return placeholder(deferred)


def whatever_happens(shaped: Callable[[], Response]) -> Response:
    """What `shaped` answers, or 500: a browser waits for one of them."""
    try:
        return shaped()
    except Exception as problem:  # noqa: BLE001 - outermost frame of its thread, and a browser waits for an answer
        return error_answer(500, "internal", f"{type(problem).__name__}: {problem}")


def busy_answer(message: str, *, after_s: int) -> Response:
    """503 for what would be answered `after_s` seconds later."""
    answer = error_answer(503, "unavailable", message)
    answer.headers["Retry-After"] = str(after_s)
    return answer
