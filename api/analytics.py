"""GET /analytics/<name>: questions in SQL over everything that is kept."""

from __future__ import annotations

import time
from typing import Final

from flask import Blueprint, Response, request

from api.access import refuse_strangers
from api.answers import integer_parameter, only_parameters, ready_backend, reply
from api.parts import parts
from api.turns import turns
from clickstream.analytics import dimensions
from clickstream.analytics.catalog import BREAKDOWN, FUNNEL, QUESTIONS, options_of, question_of
from clickstream.analytics.scope import VISIT, WITHOUT, Scope, choosing_parameters, texts_of
from clickstream.bounds import UTC
from clickstream.query import BOUNDS, time_parameter, zone_parameter

MOST_ROWS: Final = 10_000

analytics: Final = Blueprint("analytics", __name__)
analytics.before_request(refuse_strangers)


@analytics.get("/analytics")
def get_questions() -> Response:
    """The questions that can be asked."""
    only_parameters()
    questions = [{"name": name, "description": meaning} for name, meaning in QUESTIONS.items()]
    return reply({"questions": questions, "visit_properties": dimensions.KNOWN})


@analytics.get("/analytics/funnel")
def get_funnel() -> Response:
    """The funnel, of a shop or of steps of one's own."""
    return _answer(FUNNEL)


@analytics.get("/analytics/breakdown")
def get_breakdown() -> Response:
    """The breakdown by all that it goes by, or by one thing."""
    return _answer(BREAKDOWN)


@analytics.get("/analytics/<name>")
def get_answer(name: str) -> Response:
    """The answer to one of the other questions."""
    return _answer(name)


def _answer(name: str) -> Response:
    """The answer, computed by DuckDB at this moment."""
    question = question_of(name, request.args)
    visit, without = texts_of(VISIT, request.args), texts_of(WITHOUT, request.args)
    only_parameters(*options_of(name), *BOUNDS, "zone", "limit", *choosing_parameters(request.args))
    zone = zone_parameter(request.args["zone"]) if "zone" in request.args else UTC
    since_ms, until_ms = (
        time_parameter(bound, request.args[bound], zone) if bound in request.args else None for bound in BOUNDS
    )
    scope = Scope(since_ms, until_ms, visit, without, zone)
    limit = integer_parameter("limit", default=1000, least=1, most=MOST_ROWS)
    backend, pipe, asked_s = ready_backend(), parts().pipeline, time.perf_counter()

    def work() -> Response:
        pipe.require_ready()  # what was asked before may have waited into a time when the journal is rewritten
        table = backend.ask(question, scope, limit=limit).as_dict()
        elapsed_s = time.perf_counter() - asked_s  # with what came first: its turn, and events to be copied to Parquet
        return reply(table | {"elapsed_ms": round(elapsed_s * 1000, 1)})

    return turns("analytics").one_at_a_time(work)
