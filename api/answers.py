"""How every view answers: JSON, errors from the closed list, waiting for the disk, worker threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound

from api.parts import Parts, parts
from clickstream.access import RateLimited
from clickstream.arrivals import Refusal, refusals_of
from clickstream.backends.base import Backend
from clickstream.bodies import readable
from clickstream.entry import Receipt
from clickstream.errors import RequestRefused, Unavailable
from clickstream.events import PlainEvent
from clickstream.expectations import checked_scope
from clickstream.journal.quarantine import MAX_RAW_BYTES
from clickstream.marks import marked
from clickstream.server import BODY, BODY_REFUSED, DEFERRED, Deferred
from web.static_answer import static_answer

_log: Final = logging.getLogger("clickstream.api")
_CODES: Final = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed"}


def ready_backend() -> Backend:
    """The backend, once the journal has been replayed; raises Replaying before."""
    pipeline = parts().pipeline
    pipeline.require_ready()
    return pipeline.backend


class Sender(NamedTuple):
    """Who sends: the family of the SDK, or native; the name of the write key, where one was asked for; the test."""

    family: str
    key: str | None
    scope: str | None


def accept(
    records: list[bytes],
    sender: Sender,
    *,
    here: Parts,
    environ: dict[str, Any],
    answer: Callable[[Receipt], Response],
    unavailable: Callable[[Unavailable], Response] | None = None,
    events: Sequence[PlainEvent] | None = None,
) -> Response:
    """`answer` over the verdicts on `records`, sent once everything accepted is kept; else `unavailable`.

    `here` and `environ` are those of the request, which the view has looked up: that is not free, see parts.py.
    `unavailable` is called when the request is over; without one the answer is our own. `events` is what `records`
    hold, where an adapter has just written them.
    """
    deferred = Deferred()
    cleaned = here.privacy.cleaned(
        records, user_agent=environ.get("HTTP_USER_AGENT", ""), address=environ["REMOTE_ADDR"]
    )
    if sender.scope is not None:
        cleaned = marked(cleaned, "test_id", sender.scope)
    if cleaned != records:
        events = None

    def when_kept(problem: Unavailable | None) -> None:
        deferred.resolve(None if problem is None else (unavailable or failure)(problem))

    receipt = here.pipeline.accept(cleaned, events, source=sender.key or sender.family, when_kept=when_kept)
    if receipt.rejections:
        here.expectations.note_refused(refusals_of(receipt.rejections, sender.scope, sender.family))
    environ[DEFERRED] = deferred
    return answer(receipt)


def reason(receipt: Receipt) -> str:
    """Why nothing of a request was kept, in one sentence; empty when nothing was refused."""
    count = len(receipt.rejections)
    if count == 0:
        return ""
    first = receipt.rejections[0].message
    return first if count == 1 else f"none of {count} events was accepted; the first: {first}"


def refuse(body: bytes, refusal: RequestRefused, *, family: str) -> None:
    """Account for a body that holds no records."""
    here = parts()
    try:
        scope = test_id(request.environ)
    except RequestRefused:
        scope = None  # which may be why the body is refused
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "")
    text = readable(body, encoding=encoding, max_bytes=here.max_body_bytes)
    full_bytes = len(text or body)
    body = here.privacy.cleaned_body(text[:MAX_RAW_BYTES])
    is_cut = full_bytes > MAX_RAW_BYTES or (not text and bool(full_bytes))
    here.pipeline.refuse(body, refusal, source=family, full_bytes=full_bytes if is_cut else None)
    here.expectations.note_refused([Refusal(scope, family, refusal.code, refusal.field, str(refusal), body)])


def test_id(environ: Mapping[str, Any]) -> str | None:
    """The scope that the request's header X-Clickstream-Test-Id names; raises RequestRefused for one that is none."""
    return checked_scope(environ.get("HTTP_X_CLICKSTREAM_TEST_ID"))


def request_body(environ: Mapping[str, Any]) -> bytes:
    """The body as it came; raises RequestRefused or Unavailable when the server would not read it."""
    refused: RequestRefused | Unavailable | None = environ.get(BODY_REFUSED)
    if refused is not None:
        raise refused
    body: bytes = environ[BODY]
    return body


def on_worker(work: Callable[[], Response], threads: Executor | None = None) -> Response:
    """The answer of `work`, which runs on a worker thread (of `threads`, where given) because it reads files."""
    request.environ[DEFERRED] = Deferred.from_thread(work, failure, threads)
    return Response()


def reply(body: object, status: int = HTTPStatus.OK) -> Response:
    """`body` as JSON."""
    return Response(msgspec.json.encode(body) + b"\n", status, content_type="application/json")


def static_file(path: str, *, keep: str = "no-cache") -> Response:
    """A file of static/, compressed where the client takes that; `keep` is its Cache-Control."""
    found = parts().static.find(path)
    if found is None:
        raise NotFound
    return static_answer(found[0], keep=keep)


def failure(problem: BaseException) -> Response:
    """The JSON error for `problem`: its code, what is wrong, and when to try again."""
    if isinstance(problem, RequestRefused):
        answer = reply({"error": error(problem.code, str(problem), problem.field)}, problem.status)
        if problem.code == "unauthorized":
            answer.headers["WWW-Authenticate"] = "Bearer"
        if isinstance(problem, RateLimited):
            answer.headers["Retry-After"] = str(problem.retry_after_s)
        return answer
    if isinstance(problem, Unavailable):
        answer = reply({"error": error(problem.code, str(problem))}, HTTPStatus.SERVICE_UNAVAILABLE)
        answer.headers["Retry-After"] = str(problem.retry_after_s)
        return answer
    if isinstance(problem, HTTPException) and (problem.code or 500) < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _wrong_address(problem)
    cause = getattr(problem, "original_exception", None) or problem
    _log.error("request failed error=%r", cause, exc_info=cause)
    return reply({"error": error("internal", "the server failed; its log says why")}, HTTPStatus.INTERNAL_SERVER_ERROR)


def error(code: str, message: str, field: str | None = None) -> dict[str, str]:
    """The `error` object of an answer."""
    return {"code": code, "message": message} | ({} if field is None else {"field": field})


def integer_parameter(name: str, *, default: int, least: int, most: int) -> int:
    """A whole number from the query string; raises RequestRefused outside its bounds."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise RequestRefused(
            "invalid_parameter", f"{name}={text[:40]}: expected an integer from {least} to {most}", field=name
        )
    return int(text)


def parameters() -> Mapping[str, str]:
    """The query parameters; raises RequestRefused for one that stands twice: the second would change nothing."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise RequestRefused("invalid_parameter", f"{name[:40]} stands twice: it has one value", field=name[:40])
    return request.args


def only_parameters(*known: str) -> None:
    """Raise RequestRefused for a query parameter that is not `known`: a misspelt one would change nothing, silently."""
    for name in parameters():
        if name not in known:
            raise RequestRefused(
                "invalid_parameter",
                f"{name[:40]} is not a parameter here; known: {', '.join(known) or 'none'}",
                field=name[:40],
            )


def _hint(path: str) -> str:
    """Where a path that is not there may lead: without its slash, where that is an endpoint."""
    bare = path.rstrip("/")
    if bare not in ("", path) and current_app.url_map.bind("").allowed_methods(bare):
        return f"{bare} is, without the slash"
    return "GET / lists the endpoints"


def _wrong_address(problem: HTTPException) -> Response:
    status = HTTPStatus(problem.code or HTTPStatus.BAD_REQUEST)
    if status is HTTPStatus.NOT_FOUND:
        message = f"there is no {request.path} here; {_hint(request.path)}"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not possible on {request.path}; GET / lists the endpoints"
    else:
        message = problem.description or status.phrase
    answer = reply({"error": error(_CODES.get(status, "invalid_body"), message)}, status)
    if valid := getattr(problem, "valid_methods", None):
        answer.headers["Allow"] = ", ".join(sorted(valid))
    return answer
