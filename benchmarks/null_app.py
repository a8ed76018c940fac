"""What everything is measured against: a Flask endpoint that reads the body and answers a constant.

`create_app` goes to granian's own WSGI server; `python -m benchmarks.null_app PORT FILE` is the same application
on our transport, where `GET /file` streams FILE as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flask import Flask, Response, request

from clickstream.server import serve

_BLOCK: Final = 1 << 20  # as the journal's reader


def create_app(file: Path | None = None) -> Flask:
    """The application; `file` is what `GET /file` sends."""
    app = Flask("null")

    @app.post("/events")
    def post_events() -> Response:
        request.get_data()
        return Response(b'{"status":"accepted","processed":1}\n', 202, content_type="application/json")

    @app.get("/file")
    def get_file() -> Response:
        return Response(_blocks(file or Path()), content_type="application/json")

    return app


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as source:
        while block := source.read(_BLOCK):
            yield block


if __name__ == "__main__":
    serve(
        create_app(Path(sys.argv[2])).wsgi_app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        port_setting="PORT",
        max_body_bytes=5 * 1024 * 1024,
    )
