"""What the page of the dashboard asks for: statistics, events, the quarantine."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Final

from flask import Blueprint, Response, request

from clickstream.client.reading import ApiProblem
from clickstream.dashboard.snapshots import Snapshot
from clickstream.query import PROPERTY
from clickstream.stats import WINDOWS as SPANS
from web.answers import deferred_answer, error_answer, json_answer, placeholder, problem_answer, secured
from web.board import Board, board
from web.relay import whatever_happens
from web.static_answer import takes_gzip

# A browser gets the numbers before when the API has not given new ones within this time.
PATIENCE_S: Final = 0.08
WINDOWS: Final = (*SPANS, "all")
_FILTERS: Final = frozenset(
    {"limit", "cursor", "event_id", "event_type", "user_id", "session_id", "anonymous_id", "product", "is_bot"}
    | {"since", "until", "code"}
)

numbers: Final = Blueprint("numbers", __name__)


@numbers.get("/api/stats")
def stats() -> Response:
    """The statistics of `window`, shared by all browsers, with `dashboard.state` saying how fresh they are."""
    here = board()
    window = request.args.get("window", "all")
    if window not in WINDOWS:
        return error_answer(
            400, "invalid_parameter", f"window={window!r}: expected 15m, 1h, 24h or all", field="window"
        )
    seen, zipped = request.headers.get("If-None-Match", ""), takes_gzip()

    def shaped(snapshot: Snapshot) -> Response:
        return _snapshot_answer(here, snapshot, seen=seen, zipped=zipped)

    deferred, answer = deferred_answer()
    here.snapshots.ask(window, lambda snapshot: answer(whatever_happens(lambda: shaped(snapshot))))
    before = here.snapshots.last(window)
    if before is not None:
        asyncio.get_running_loop().call_later(PATIENCE_S, lambda: deferred.resolve(shaped(before)))
    return placeholder(deferred)


@numbers.get("/api/events")
def events() -> Response:
    """Events as the API's `/events` gives them; the same filters."""
    return _relayed("/events")


@numbers.get("/api/event")
def event() -> Response:
    """The newest event that the filters find, byte for byte as it is stored: numbers too large for a browser stay."""
    return _relayed("/events", stored=True)


@numbers.get("/api/rejected")
def rejected() -> Response:
    """The quarantine as the API's `/rejected` gives it."""
    return _relayed("/rejected")


def _relayed(path: str, *, stored: bool = False) -> Response:
    here = board()
    params = [(k, v) for k, v in request.args.items(multi=True) if k in _FILTERS or k.startswith(PROPERTY)]
    zipped = takes_gzip()

    def given() -> Response:
        try:
            if stored:
                body = here.reader.stored_event(params)
            else:
                body = json.dumps(here.reader.get(path, params), ensure_ascii=False).encode("utf-8", "replace")
        except ApiProblem as problem:
            return problem_answer(problem)
        if body is None:
            return error_answer(404, "not_found", "this event is not stored any more")
        return json_answer(200, body, gzip.compress(body, 5) if zipped else None)

    return here.relay.answer(given)


def _snapshot_answer(here: Board, snapshot: Snapshot, *, seen: str, zipped: bool) -> Response:
    encoded = here.encoded(snapshot)
    if encoded.status == 200 and encoded.etag in seen:
        response = Response(status=304)
    else:
        response = json_answer(encoded.status, encoded.body, encoded.gzipped if zipped else None)
    response.set_etag(encoded.etag, weak=True)
    ages_ms = here.ages_ms(snapshot)
    for name, header in (("snapshot", "X-Snapshot-Age-Ms"), ("failing", "X-Failing-Ms")):
        if name in ages_ms:
            response.headers[header] = str(ages_ms[name])
    return secured(response)
