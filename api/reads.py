"""The ways out: numbers, pages of events, downloads, what was refused."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from api.access import refuse_strangers
from api.answers import integer_parameter, on_worker, only_parameters, parameters, ready_backend, reply
from api.parts import parts
from api.turns import turns
from clickstream.csv_rows import COLUMNS, columns_of
from clickstream.errors import RequestRefused
from clickstream.export import MEDIA_TYPES
from clickstream.query import from_parameters
from clickstream.stats import WINDOWS

MOST_EVENTS: Final = 1000  # of one page

reads: Final = Blueprint("reads", __name__)
reads.before_request(refuse_strangers)


@reads.get("/stats")
def get_stats() -> Response:
    """The numbers of one window."""
    only_parameters("window")
    window = request.args.get("window", "all")
    if window != "all" and window not in WINDOWS:
        known = ", ".join([*WINDOWS, "all"])
        raise RequestRefused("invalid_parameter", f"window={window[:40]}: expected {known}", field="window")
    return reply(parts().pipeline.statistics(window))


@reads.get("/events", provide_automatic_options=False)  # OPTIONS: ingest.py
def get_events() -> Response:
    """One page of events, newest first."""
    query = from_parameters(parameters(), also=frozenset({"limit", "cursor"}))
    limit = integer_parameter("limit", default=100, least=1, most=MOST_EVENTS)
    cursor = request.args.get("cursor")
    backend, pipe = ready_backend(), parts().pipeline

    def work() -> Response:
        pipe.require_ready()  # it may have waited into a time when the journal is rewritten
        page = backend.events(query, limit=limit, cursor=cursor)
        return reply({"events": [msgspec.Raw(record) for record in page.records], "next_cursor": page.next_cursor})

    if query.is_everything:
        return on_worker(work)
    return turns("search").one_at_a_time(work)  # what matches rarely is looked for through the whole journal


@reads.get("/export")
def get_export() -> Response:
    """Every matching event as a download, streamed."""
    query = from_parameters(parameters(), also=frozenset({"format", "columns"}))
    form = request.args.get("format", "json")
    if form not in MEDIA_TYPES:
        raise RequestRefused(
            "invalid_parameter", f"format={form[:40]}: expected {' or '.join(MEDIA_TYPES)}", field="format"
        )
    columns = _columns(form)
    name = f"clickstream_export_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    backend, pipe = ready_backend(), parts().pipeline

    def begun(pieces: Iterator[bytes]) -> Response:
        first = next(pieces, b"")  # now, so that what goes wrong so far is an answer and not a broken download
        return Response(_together(first, pieces), content_type=MEDIA_TYPES[form], headers=headers)

    def make_whole() -> Response:
        pipe.require_ready()  # it may have waited into a time when the journal is rewritten
        return begun(backend.export(query, form, columns=columns))

    if request.method == "HEAD":
        return Response(iter(()), content_type=MEDIA_TYPES[form], headers=headers)
    if form == "parquet":
        return turns("export").one_at_a_time(make_whole)
    # On this thread nobody rewrites the journal while it is opened.
    pieces = backend.export(query, form, columns=columns)
    return on_worker(lambda: begun(pieces))


def _columns(form: str) -> Sequence[str]:
    """Those that the request asks for; raises RequestRefused where `form` has none to choose."""
    asked = request.args.get("columns")
    if asked is None:
        return COLUMNS
    if form != "csv":
        message = f"only format=csv has columns to choose, {form} has every field"
        raise RequestRefused("invalid_parameter", message, field="columns")
    return columns_of(asked)


def _together(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


@reads.get("/rejected")
def get_rejected() -> Response:
    """What was refused lately, newest first."""
    only_parameters("limit", "code")
    limit = integer_parameter("limit", default=100, least=1, most=MOST_EVENTS)
    code = request.args.get("code")
    quarantine = parts().pipeline.quarantine
    return on_worker(
        lambda: reply({"rejected": quarantine.newest(limit=limit, code=code), "total": quarantine.count()})
    )
