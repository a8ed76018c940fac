"""The old design, as a baseline: Flask's development server, and the whole file written anew for every request."""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request


def create_app(path: Path) -> Flask:
    """The application; `path` is rewritten by every POST."""
    app = Flask("old")
    events: list[dict[str, Any]] = []
    lock = threading.Lock()

    @app.post("/events")
    def post_events() -> Response:
        body = request.get_json()
        records = body.get("records", [body])
        with lock:
            events.extend(records)
            with path.open("w") as file:
                json.dump(events, file)
        return jsonify(status="accepted", processed=len(records))

    return app


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request would slow it down further
    create_app(Path(sys.argv[2])).run("127.0.0.1", int(sys.argv[1]), threaded=True)
