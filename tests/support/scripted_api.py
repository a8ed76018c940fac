"""An API that answers as a test scripts it: for the states that the real one cannot be brought into."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from clickstream.stats import Stats, snapshot
from tests.support.shop import stamp

Answer = Callable[[Request], Response]


class ScriptedApi:
    """A server on a free loopback port; `answer` may be replaced at any time, `asked` tells what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Any:  # noqa: ANN401 - the WSGI signature
        request = Request(environ)
        self.asked.append(request.full_path.rstrip("?"))
        return self.answer(request)(environ, start_response)


@contextmanager
def scripted_api(answer: Answer) -> Iterator[ScriptedApi]:
    """A ScriptedApi that is closed when the block ends."""
    api = ScriptedApi(answer)
    try:
        yield api
    finally:
        api.close()


def says(body: object, status: int = 200, **headers: str) -> Answer:
    """Always this answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: Response(content, status, headers, mimetype="application/json")


def numbers(**changes: object) -> dict[str, Any]:
    """What `/stats` says when nothing has happened, with `changes`."""
    now_ms = 1_768_473_000_000
    return {
        **snapshot(Stats(), "all", now_ms),
        "recent_events": [],
        "accounting": {
            "received": 0,
            "accepted": 0,
            "duplicates": 0,
            "rejected": 0,
            "since": "2026-01-15T10:00:00.000Z",
        },
        "rejected_by_code": {},
        "rolling_minute": {"events": 0},
        "ingest": {
            "backend": "local",
            "events_per_second": 0.0,
            "commit_latency_ms": {"p50": None, "p99": None},
            "dedupe": {"window": 1_000_000, "ids": 0},
            "last_event_at": None,
            "journal_bytes": 4,
            "damaged_records": 0,
            "fsync": "always",
        },
        **changes,
    }


__all__ = ["ScriptedApi", "numbers", "says", "scripted_api", "stamp"]
