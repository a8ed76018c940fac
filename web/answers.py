"""Answers of the dashboard: JSON, errors, security headers, and answers that are given later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from flask import Response, request

from clickstream.client.reading import ApiProblem
from clickstream.server import DEFERRED, Deferred

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_PROBLEM_STATUS: Final = {"timeout": 504, "unreachable": 503, "replaying": 503}


def deferred_answer() -> tuple[Deferred, Callable[[Response], object]]:
    """An answer to be given later, and how to give it from any thread."""
    deferred, loop = Deferred(), asyncio.get_running_loop()
    return deferred, lambda response: loop.call_soon_threadsafe(deferred.resolve, secured(response))


def placeholder(deferred: Deferred) -> Response:
    """What a view returns after `deferred_answer`."""
    request.environ[DEFERRED] = deferred
    return Response(status=500)  # never sent: the server waits for the deferred answer


def json_answer(status: int, body: bytes, gzipped: bytes | None = None) -> Response:
    """`body`, or its compressed form for a client that takes it."""
    response = Response(body if gzipped is None else gzipped, status=status, mimetype="application/json")
    if gzipped is not None:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


def problem_answer(problem: ApiProblem) -> Response:
    """The API's own 4xx unchanged; anything else is a failure behind this server."""
    status = problem.status if problem.kind == "http" and problem.status in range(400, 500) else None
    status = status or _PROBLEM_STATUS.get(problem.kind, 502)
    return error_answer(status, problem.code or "unavailable", str(problem))


def error_answer(status: int, code: str, message: str, *, field: str | None = None) -> Response:
    """The one shape of every refusal."""
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return json_answer(status, json.dumps({"error": error}).encode())


def secured(response: Response) -> Response:
    """`response` with the headers that keep it from being framed, cached or scripted from elsewhere."""
    headers = response.headers
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers.setdefault("Cache-Control", "no-store")
    return response
