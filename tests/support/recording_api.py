"""A small real HTTP server that keeps what is posted to it and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


class RecordingApi:
    """Speaks the contract of POST /events; `answers` (one a request, in order) replace the verdict while there are any.

    An answer None cuts the connection after the request was read and its events were kept: a lost answer.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.answers: list[Answer | None] = []
        self.rejects: Callable[[dict[str, Any]], str | None] = lambda event: None
        self.before: Callable[[], object] = lambda: None  # called, outside the lock, before a request is answered
        self.waiting: list[int] = []
        self.requests: list[list[dict[str, Any]]] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.duplicates = 0
        self.connections = 0
        self.url = ""

    def take(self, body: bytes) -> Answer | None:
        records = json.loads(body.decode(errors="replace"))["records"]  # one of the faults on demand is no UTF-8
        self.waiting.append(len(records))
        self.before()
        with self.lock:
            self.requests.append(records)
            answer = self.answers.pop(0) if self.answers else self._verdict(records)
            if answer is None:
                self._verdict(records)
            return answer

    def _verdict(self, records: list[dict[str, Any]]) -> Answer:
        rejected, fresh, duplicates = [], 0, 0
        for index, event in enumerate(records):
            code = self.rejects(event)
            if code is not None:
                rejected.append({"index": index, "event_id": named(event), "code": code, "message": "no"})
            elif event["event_id"] in self.events:
                duplicates += 1
            else:
                self.events[event["event_id"]] = event
                fresh += 1
        self.duplicates += duplicates
        if len(rejected) == len(records):
            return 400, {}, json.dumps({"error": {"code": "all_rejected"}, "rejected": rejected}).encode()
        verdict: dict[str, Any] = {"status": "partial" if rejected else "accepted", "processed": fresh}
        if duplicates:
            verdict["duplicates"] = duplicates
        if rejected:
            verdict["rejected"] = rejected
        return 202, {}, json.dumps(verdict).encode()


def named(record: object) -> str:
    """The id of what was sent, which a sender of faults may put in place of the whole event."""
    return str(record.get("event_id")) if isinstance(record, dict) else str(record)


def error(status: int, code: str, **headers: str) -> Answer:
    """An error answer as the API gives it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": {"code": code, "message": "told so"}}).encode()


@contextmanager
def recording_api() -> Iterator[RecordingApi]:
    """A running RecordingApi; its `url` is the endpoint."""
    api = RecordingApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            with api.lock:
                api.connections += 1

        def do_POST(self) -> None:
            answer = api.take(self.rfile.read(int(self.headers["Content-Length"])))
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}/events"
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
