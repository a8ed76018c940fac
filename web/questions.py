"""What the page of questions asks for: the API's `/analytics`."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request

from clickstream.analytics.catalog import options_of, question_of
from clickstream.analytics.scope import VISIT, WITHOUT, choosing_parameters, texts_of
from clickstream.errors import RequestRefused
from clickstream.query import BOUNDS, time_parameter, zone_parameter
from web.answers import error_answer
from web.board import board

MOST_ROWS: Final = 10_000  # as many as the API gives

questions: Final = Blueprint("questions", __name__)


@questions.get("/api/questions")
def get_questions() -> Response:
    """The questions that the API can be asked."""
    try:
        _parameters(known=())
    except RequestRefused as problem:
        return _refusal(problem)
    return board().asking.list.read("/analytics")


@questions.get("/api/questions/<name>")
def get_answer(name: str) -> Response:
    """The API's answer to one question, with at most MOST_ROWS rows."""
    try:
        question_of(name, request.args)  # nothing but the name of a question becomes a path of the API
        for prefix in (VISIT, WITHOUT):
            texts_of(prefix, request.args)
        given = _parameters(known=(*options_of(name), *BOUNDS, "zone", *choosing_parameters(request.args)))
        for parameter, value in given:
            if parameter == "zone":
                zone_parameter(value)
            if parameter in BOUNDS:
                time_parameter(parameter, value)
    except RequestRefused as problem:
        return _refusal(problem)
    page = request.headers.get("X-Page", "")[:64]
    return board().asking.answers.read(f"/analytics/{name}", [*given, ("limit", str(MOST_ROWS))], page=page)


def _parameters(*, known: tuple[str, ...]) -> list[tuple[str, str]]:
    given = list(request.args.items(multi=True))
    for position, (name, _) in enumerate(given):
        if name not in known:
            message = f"{name[:40]} is not a parameter here; known: {', '.join(known) or 'none'}"
            raise RequestRefused("invalid_parameter", message, field=name[:40])
        if name in dict(given[:position]):
            raise RequestRefused("invalid_parameter", f"{name} is given twice", field=name)
    return given


def _refusal(problem: RequestRefused) -> Response:
    return error_answer(problem.status, problem.code, str(problem), field=problem.field)
