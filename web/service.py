"""Whether this process is well, and the files that its pages are made of."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, jsonify

from clickstream import __version__
from web.answers import error_answer
from web.board import board
from web.static_answer import static_answer

service: Final = Blueprint("service", __name__)


@service.get("/health")
def health() -> Response:
    """200 while this process answers; the API's state is in `/api/stats`."""
    return jsonify(status="ok", version=__version__)


@service.get("/static/<path:path>")
def static(path: str) -> Response:
    """A static file; under its versioned path it may be kept for ever."""
    found = board().static.find(path)
    if found is None:
        return error_answer(404, "not_found", f"there is no static file {path}")
    file, for_ever = found
    return static_answer(file, keep="public, max-age=31536000, immutable" if for_ever else "no-cache")
