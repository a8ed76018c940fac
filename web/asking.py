"""Questions under way to the API's `/analytics`: on threads of their own, as one can take a minute."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from flask import Response

from clickstream.client.reading import ApiProblem, ApiReader, Params
from web.answers import error_answer, json_answer, problem_answer
from web.relay import Relay, busy_answer
from web.static_answer import takes_gzip

ANSWER_TIMEOUT_S: Final = 60.0
_MOST_WAITING: Final = 16
_AT_A_TIME: Final = 2  # the API answers one after the other: more would wait there, where nothing is taken back
_AGAIN_AFTER_S: Final = 5


class Asking:
    """Questions under way; neither the list of them nor the numbers of the dashboard wait behind these."""

    def __init__(self, api_url: str, read_token: str) -> None:
        self.list = _Line(ApiReader(api_url, read_token=read_token), threads=1)
        self.answers = _Line(
            ApiReader(api_url, read_token=read_token, read_timeout_s=ANSWER_TIMEOUT_S), threads=_AT_A_TIME
        )

    def close(self) -> None:
        """Forget what has not been asked yet."""
        self.list.close()
        self.answers.close()


class _Line:
    """Those who wait for `reader`, which asks on so many `threads`."""

    def __init__(self, reader: ApiReader, *, threads: int) -> None:
        self._reader = reader
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="questions")
        self._relay = Relay(self._executor, most=_MOST_WAITING)
        self._newest: dict[str, object] = {}  # of each page, while it waits

    def read(self, path: str, params: Params = (), *, page: str = "") -> Response:
        """What the API answers at `path`, given later; not asked any more once the same `page` has asked again."""
        zipped = takes_gzip()
        mine = object()
        if page:
            self._newest[page] = mine

        def answered() -> Response:
            if page and self._newest.get(page) is not mine:
                return error_answer(409, "superseded", "the same page has asked something else since")
            try:
                body = self._reader.body(path, params)
            except ApiProblem as problem:
                return _problem(problem)
            finally:
                if self._newest.get(page) is mine:
                    del self._newest[page]
            return json_answer(200, body, gzip.compress(body, 5) if zipped else None)

        return self._relay.answer(answered)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _problem(problem: ApiProblem) -> Response:
    if problem.kind == "replaying":
        how_far = "" if problem.progress is None else f": {problem.progress:.0%} is read"
        return error_answer(503, "replaying", f"{problem}{how_far}")
    if problem.kind == "http" and problem.status == 503:  # so many questions wait already: not a failure
        return busy_answer(str(problem), after_s=_AGAIN_AFTER_S)
    return problem_answer(problem)
