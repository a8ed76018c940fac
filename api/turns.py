"""Work that can take seconds, by DuckDB or through the whole journal: one at a time of each kind, at nobody's cost."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast

from flask import Response, current_app

from api.answers import on_worker
from clickstream.errors import Unavailable

KINDS: Final = ("analytics", "export", "search")

_MOST_WAITING: Final = 8
_NICENESS: Final = 10


def turns(kind: str) -> Turns:
    """The line in which work of one of KINDS waits for its turn."""
    return cast("dict[str, Turns]", current_app.extensions["turns"])[kind]


class Turns:
    """One thread, which comes with the first work, and those that wait for it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=kind, initializer=_give_way)
        self._lock = threading.Lock()
        self._waiting = 0

    def one_at_a_time(self, work: Callable[[], Response]) -> Response:
        """The answer of `work`, once what came before is answered; raises Unavailable behind too many."""
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                message = f"{self._kind}: {_MOST_WAITING} requests are waiting already; ask again shortly"
                raise Unavailable(message, retry_after_s=5)
            self._waiting += 1

        def run() -> Response:
            try:
                return work()
            finally:
                with self._lock:
                    self._waiting -= 1

        return on_worker(run, self._thread)


def _give_way() -> None:
    """Leave the processor to whoever takes events in; DuckDB's own threads inherit it. Only Linux can do that."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
