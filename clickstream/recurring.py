"""A failure that comes again and again, in a log that stays readable."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Final

from clickstream.errors import ClickstreamError

_QUIET_S: Final = 30.0
_MOST_KINDS: Final = 8  # that are told apart: a message may hold anything
_NUMBERS: Final = re.compile(r"\d+")  # how many, how long, where: not what


class Recurring:
    """Logs each kind of failure at most once in 30 seconds, and once that it is over."""

    def __init__(
        self,
        log: logging.Logger,
        what: str,
        *,
        level: int = logging.ERROR,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._what = what
        self._level = level
        self._clock_s = clock_s
        self._said_s: dict[str, float] = {}  # by kind; also when it is over, or one that comes and goes fills the log
        self._is_said = False  # since it was last over

    def failed(self, problem: Exception) -> None:
        """It has happened; one that neither the system nor this project explains is told with its traceback."""
        now_s = self._clock_s()
        kind = f"{type(problem).__name__} {_NUMBERS.sub('', str(problem))}"
        said_s = self._said_s
        if kind in said_s and now_s - said_s[kind] < _QUIET_S:
            return
        for one in [one for one, at_s in said_s.items() if now_s - at_s >= _QUIET_S]:
            del said_s[one]
        if len(said_s) < _MOST_KINDS:
            said_s[kind] = now_s
            self._is_said = True
            unexplained = None if isinstance(problem, (OSError, ClickstreamError)) else problem
            self._log.log(self._level, "%s error=%s", self._what, problem, exc_info=unexplained)

    def over(self) -> None:
        """It has not happened this time."""
        if self._is_said:
            self._is_said = False
            self._log.info("over: %s", self._what)
