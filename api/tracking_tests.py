"""Routes to test one's tracking with: /expect, and Snowplow Micro's /micro/*."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from flask import Blueprint, Response, request

from api.access import refuse_other_sites, refuse_pages_of_other_sites, refuse_strangers
from api.answers import integer_parameter, only_parameters, parameters, reply, request_body, test_id
from api.parts import parts
from clickstream import micro
from clickstream.arrivals import REMEMBERED
from clickstream.errors import RequestRefused
from clickstream.expectations import checked_scope, seconds
from clickstream.query import FILTERS, from_parameters
from clickstream.server import DEFERRED, Deferred

tracking_tests: Final = Blueprint("tracking_tests", __name__)
tracking_tests.before_request(refuse_strangers)
tracking_tests.before_request(refuse_other_sites)
_ALSO: Final = frozenset({"min", "timeout", "test_id"})


@tracking_tests.get("/expect")
def get_expect() -> Response:
    """Wait until at least `min` matching events have come: 200 with them, else 404 with what came instead."""
    query = from_parameters(parameters(), also=_ALSO)
    least = integer_parameter("min", default=1, least=1, most=REMEMBERED)
    timeout_s = seconds(request.args.get("timeout", "5s"))
    scope = _scope()
    if query.is_everything and scope is None and "min" not in request.args:  # forgotten: any event at all would do
        known = ", ".join(FILTERS)
        raise RequestRefused("invalid_parameter", f"name what is expected ({known}), or min=1 for any event")
    deferred = Deferred()

    def done(answer: dict[str, Any]) -> None:
        deferred.resolve(reply(answer, HTTPStatus.OK if answer["status"] == "met" else HTTPStatus.NOT_FOUND))

    time_is_over = parts().expectations.expect(query, scope=scope, least=least, done=done)
    asyncio.get_running_loop().call_later(timeout_s, time_is_over)
    request.environ[DEFERRED] = deferred
    return Response()


@tracking_tests.delete("/expect")
def delete_expect() -> Response:
    """Begin anew: expectations of this scope no longer see what has come so far."""
    only_parameters("test_id")
    parts().expectations.reset(_scope())
    return reply({"status": "reset"})


@tracking_tests.get("/micro/all")
def get_micro_all() -> Response:
    """How many Snowplow events were good and bad since the last reset."""
    return reply(_micro_totals())


@tracking_tests.route("/micro/good", methods=["GET", "POST"])
def get_micro_good() -> Response:
    """The good Snowplow events, newest first."""
    return reply(micro.filtered(micro.good_events(parts().expectations.kept(_scope())), _conditions()))


@tracking_tests.route("/micro/bad", methods=["GET", "POST"])
def get_micro_bad() -> Response:
    """The refused Snowplow events, newest first."""
    return reply(micro.bad_events(parts().expectations.refused(_scope()))[: micro.limit_of(_conditions())])


@tracking_tests.route("/micro/reset", methods=["GET", "POST"])
def reset_micro() -> Response:
    """Begin anew, as DELETE /expect."""
    refuse_pages_of_other_sites()  # which can have an image asked for, although this changes something
    parts().expectations.reset(_scope())
    return reply(_micro_totals())


def _scope() -> str | None:
    return checked_scope(request.args.get("test_id")) or test_id(request.environ)


def _micro_totals() -> dict[str, int]:
    good = len(micro.good_events(parts().expectations.kept(_scope())))
    bad = len(micro.bad_events(parts().expectations.refused(_scope())))
    return {"total": good + bad, "good": good, "bad": bad}


def _conditions() -> Mapping[str, Any]:
    """The conditions of a request, in its body or its address; raises RequestRefused."""
    body = request_body(request.environ)
    try:
        conditions: Any = msgspec.json.decode(body) if body else request.args
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raise RequestRefused("invalid_body", f"the conditions are not JSON: {problem}") from None
    if not isinstance(conditions, Mapping):
        raise RequestRefused("invalid_body", "expected an object of conditions such as schema, event_type, limit")
    micro.limit_of(conditions)
    contexts = conditions.get("contexts", [])
    if not isinstance(contexts, str) and not (isinstance(contexts, list) and all(type(one) is str for one in contexts)):
        raise RequestRefused("invalid_parameter", "contexts: expected a list of schemas", field="contexts")
    return cast("Mapping[str, Any]", conditions)
