"""POST /events: a body in, verdicts out, sent once everything accepted is kept."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, request

from api.access import admit
from api.answers import Sender, accept, error, failure, reason, refuse, reply, request_body, test_id
from api.parts import parts
from clickstream.bodies import decompress, split
from clickstream.entry import Receipt
from clickstream.errors import RequestRefused, Unavailable
from clickstream.server import BODY

ingest: Final = Blueprint("ingest", __name__)


@ingest.after_request
def _allow_any_origin(response: Response) -> Response:
    """Let anybody's page send events, as trackers do; reads carry no such header."""
    response.headers.add("Access-Control-Allow-Origin", "*")
    return response


@ingest.post("/events", provide_automatic_options=False)  # allow_events answers it
def post_events() -> Response:
    """Take in events; the answer is sent once they are on disk."""
    here, environ = parts(), request.environ
    try:
        encoding = environ.get("HTTP_CONTENT_ENCODING", "")
        body = decompress(request_body(environ), encoding=encoding, max_bytes=here.max_body_bytes)
        scope = test_id(environ)
        records = split(body, media_type=environ["CONTENT_TYPE"], max_records=here.max_records)
    except RequestRefused as refusal:
        if refusal.code != "timeout":  # a slow network, not a fault of the events: they will come again
            admit(here.write_access, 1)  # what strangers send fills no disk
            refuse(environ[BODY], refusal, family="native")
        raise
    sender = Sender("native", admit(here.write_access, len(records)), scope)
    return accept(records, sender, here=here, environ=environ, answer=native_answer, unavailable=_unavailable)


def _unavailable(problem: Unavailable) -> Response:
    return _allow_any_origin(failure(problem))  # the request is over, and with it what is done after each


@ingest.route("/events", methods=["OPTIONS"])
def allow_events() -> Response:
    """Let pages of any origin send events, as trackers do; reading stays same-origin."""
    headers = {
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Content-Type, Content-Encoding, X-Clickstream-Test-Id, X-Write-Key",
        "Access-Control-Max-Age": "600",
    }
    return Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def native_answer(receipt: Receipt) -> Response:
    """The answer of POST /events: 202, or 400 when no record at all was good."""
    body: dict[str, Any] = {"status": "partial" if receipt.rejections else "accepted", "processed": receipt.accepted}
    if receipt.duplicates:
        body["duplicates"] = receipt.duplicates
    if receipt.rejections:
        body["rejected"] = [
            {"index": one.index, "event_id": one.event_id, "code": one.code, "field": one.field, "message": one.message}
            for one in receipt.rejections
        ]
    if receipt.rejections and not receipt.accepted and not receipt.duplicates:
        why = error("all_rejected", reason(receipt), receipt.rejections[0].field)
        body = {"error": why, "rejected": body["rejected"]}
        return reply(body, HTTPStatus.BAD_REQUEST)
    return reply(body, HTTPStatus.ACCEPTED)
