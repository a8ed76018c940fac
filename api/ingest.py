"""POST /events: a body in, verdicts out, sent once everything accepted is kept."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, current_app, request

from api.access import admit
from api.answers import accept, error, refuse, reply, request_body
from clickstream.bodies import decompress, split
from clickstream.errors import RequestRefused
from clickstream.pipeline import Receipt

ingest: Final = Blueprint("ingest", __name__)


@ingest.after_request
def _allow_any_origin(response: Response) -> Response:
    """Let anybody's page send events, as trackers do; reads carry no such header."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@ingest.post("/events", provide_automatic_options=False)  # allow_events answers it
def post_events() -> Response:
    """Take in events; the answer is sent once they are on disk."""
    try:
        body = decompress(
            request_body(),
            encoding=request.headers.get("Content-Encoding", ""),
            max_bytes=current_app.config["MAX_BODY_BYTES"],
        )
        records = split(body, media_type=request.content_type or "", max_records=current_app.config["MAX_RECORDS"])
    except RequestRefused as refusal:
        if refusal.code != "timeout":  # a slow network, not a fault of the events: they will come again
            admit(1)  # what strangers send fills no disk
            refuse(request.get_data(), refusal, source="native")
        raise
    source = admit(len(records))
    return accept(records, source=source or "native", answer=native_answer)


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
        first = receipt.rejections[0]
        count = len(receipt.rejections)
        message = first.message if count == 1 else f"none of {count} events was accepted; the first: {first.message}"
        body = {"error": error("all_rejected", message, first.field), "rejected": body["rejected"]}
        return reply(body, HTTPStatus.BAD_REQUEST)
    return reply(body, HTTPStatus.ACCEPTED)
