"""A failure that comes again and again, in a log that stays readable."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from clickstream.errors import ClickstreamError

_QUIET_S: Final = 30.0


class Recurring:
    """Logs a failure at most once in 30 seconds, and once that it is over."""

    def __init__(self, log: logging.Logger, what: str, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._what = what
        self._clock_s = clock_s
        self._said_s: float | None = None

    def failed(self, problem: Exception) -> None:
        """It has happened; one that neither the system nor this project explains is told with its traceback."""
        now_s = self._clock_s()
        if self._said_s is None or now_s - self._said_s >= _QUIET_S:
            self._said_s = now_s
            unexplained = None if isinstance(problem, (OSError, ClickstreamError)) else problem
            self._log.error("%s error=%s", self._what, problem, exc_info=unexplained)

    def over(self) -> None:
        """It has not happened this time."""
        if self._said_s is not None:
            self._said_s = None
            self._log.info("over: %s", self._what)
