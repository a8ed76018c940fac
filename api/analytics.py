"""GET /analytics/<name>: questions in SQL over everything that is kept."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast

from flask import Blueprint, Response, current_app, request

from api.access import refuse_strangers
from api.answers import integer_parameter, on_worker, only_parameters, ready_backend, reply
from api.parts import parts
from clickstream.analytics.catalog import QUESTIONS
from clickstream.analytics.engine import require_question
from clickstream.errors import Unavailable
from clickstream.query import time_parameter

MOST_ROWS: Final = 10_000

_MOST_WAITING: Final = 8
_NICENESS: Final = 10

analytics: Final = Blueprint("analytics", __name__)
analytics.before_request(refuse_strangers)


@analytics.get("/analytics")
def get_questions() -> Response:
    """The questions that can be asked."""
    only_parameters()
    return reply({"questions": [{"name": name, "description": meaning} for name, meaning in QUESTIONS.items()]})


@analytics.get("/analytics/<name>")
def get_answer(name: str) -> Response:
    """The answer to one question, computed by DuckDB at this moment."""
    require_question(name)
    only_parameters("since", "until", "limit")
    since_ms, until_ms = (
        time_parameter(bound, request.args[bound]) if bound in request.args else None for bound in ("since", "until")
    )
    limit = integer_parameter("limit", default=1000, least=1, most=MOST_ROWS)
    backend, pipe = ready_backend(), parts().pipeline

    def work() -> Response:
        pipe.require_ready()  # what was asked before may have waited into a time when the journal is rewritten
        return reply(backend.ask(name, since_ms=since_ms, until_ms=until_ms, limit=limit).as_dict())

    return cast("Asking", current_app.extensions["asking"]).one_at_a_time(work)


class Asking:
    """The one thread on which questions are answered; it comes with the first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="analytics", initializer=_give_way)
        self._lock = threading.Lock()
        self._waiting = 0

    def one_at_a_time(self, work: Callable[[], Response]) -> Response:
        """The answer of `work`, once the questions before it are answered; raises Unavailable behind too many."""
        if self._waiting >= _MOST_WAITING:
            raise Unavailable(f"{_MOST_WAITING} questions are waiting already; ask again shortly", retry_after_s=5)
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
