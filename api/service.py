"""What operators and the curious ask: who are you, are you well, how do I use you."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, current_app, render_template, request

from api.access import refuse_strangers
from api.answers import reply, static_file
from api.parts import parts
from clickstream import __version__
from clickstream.metrics import MEDIA_TYPE

_PAGE_POLICY: Final = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

service: Final = Blueprint("service", __name__)


@service.get("/")
def get_index() -> Response:
    """Name, version, health and the list of endpoints; a browser is sent to the page for people."""
    prefers_page = request.accept_mimetypes.best_match(("application/json", "text/html")) == "text/html"
    answer = Response(status=HTTPStatus.FOUND, headers={"Location": "docs"}) if prefers_page else _index()
    answer.vary.add("Accept")
    return answer


def _index() -> Response:
    rules = {_shown(rule.rule) for rule in current_app.url_map.iter_rules() if not rule.rule.startswith("/static")}
    health = parts().pipeline.readiness()
    return reply({"name": "clickstream", "version": __version__, "health": health, "endpoints": sorted(rules)})


@service.get("/health")
def get_health() -> Response:
    """The process lives."""
    return reply({"status": "ok", "version": __version__})


@service.get("/ready")
def get_ready() -> Response:
    """Whether events are taken in, or how far the replay is."""
    readiness = parts().pipeline.readiness()
    status = HTTPStatus.OK if readiness["status"] == "ready" else HTTPStatus.SERVICE_UNAVAILABLE
    return reply(readiness, status)


@service.get("/metrics")
def get_metrics() -> Response:
    """Prometheus metrics."""
    refuse_strangers()
    page = parts().metrics_page
    return Response(page.text(), content_type=MEDIA_TYPE)


@service.get("/openapi.json")
def get_openapi() -> Response:
    """The OpenAPI 3.1 description of this API."""
    return static_file("openapi.json")


@service.get("/static/<path:path>")
def get_static(path: str) -> Response:
    """What the page /docs is made of."""
    return static_file(path)


@service.get("/docs")
def get_docs() -> Response:
    """A page to read about the API and try it."""
    page = render_template("api_docs.html", version=__version__)
    return Response(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _PAGE_POLICY})


def _shown(rule: str) -> str:
    """A Flask rule as OpenAPI writes it: `/users/<path:person_id>` is `/users/{person_id}`."""
    return _VARIABLE.sub(r"{\1}", rule)


_VARIABLE: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
