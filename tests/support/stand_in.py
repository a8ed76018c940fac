"""A small real server for SDKs: the registry's routes and `/events` in Flask, kept in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import make_server

from clickstream import bodies, events
from clickstream.wire import ROUTES, Route, WireRequest, cors_headers, preflight

_TRACKER = Path(__file__).parents[2] / "static" / "tracker.js"
_LIMITS = events.Limits(max_event_bytes=256 * 1024, max_nesting=32)


class StandIn:
    """What it has kept, by event_id, and what it has refused."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.rejections: list[events.Rejection] = []
        self.duplicates = 0
        self.url = ""

    def events(self) -> list[dict[str, Any]]:
        """The kept events, oldest first."""
        return list(self.kept.values())

    def accept(self, records: list[bytes]) -> list[int]:
        """Keep the good ones; the indexes of the others."""
        batch = events.validate(records, _LIMITS, int(time.time() * 1000))
        for record in batch.records:
            event = json.loads(record)
            self.duplicates += event["event_id"] in self.kept
            self.kept.setdefault(event["event_id"], event)
        self.rejections += batch.rejections
        return [rejection.index for rejection in batch.rejections]


def _app(stand_in: StandIn) -> Flask:
    app = Flask(__name__)

    def wire_request() -> WireRequest:
        return WireRequest(
            method=request.method,
            path=request.path,
            query=request.args.to_dict(),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=bodies.decompress(request.get_data(), encoding="", max_bytes=5 * 2**20),
            received_at=datetime.now(timezone.utc),
            user_agent=request.headers.get("User-Agent", ""),
        )

    def view_of(route: Route) -> Callable[..., Response]:
        def view(**_: str) -> Response:
            if request.method == "OPTIONS":
                answer = preflight(wire_request())
            else:
                batch = route.decode(wire_request())
                answer = route.answer(batch, stand_in.accept(list(batch.records)))
            return Response(
                answer.body, answer.status, {**answer.headers, **cors_headers(request.headers.get("Origin"))}
            )

        return view

    for number, route in enumerate(ROUTES):
        for rule in route.rules:
            app.add_url_rule(rule, f"{number}{rule}", view_of(route), methods=[*route.methods, "OPTIONS"])

    @app.post("/events")
    def post_events() -> Response:
        records = bodies.split(request.get_data(), media_type="application/json", max_records=10_000)
        refused = stand_in.accept(records)
        return Response("{}", 400 if len(refused) == len(records) else 202, cors_headers(request.headers.get("Origin")))

    @app.get("/tracker.js")
    def tracker() -> Response:
        return Response(_TRACKER.read_bytes(), 200, {"Content-Type": "text/javascript"})

    return app


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run the server on a free port until the block ends."""
    state = StandIn()
    server = make_server("127.0.0.1", 0, _app(state), threaded=True)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
