"""The dashboard as a Flask application: its pages, what they ask for, and who may see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from clickstream.dashboard.access import holds, why_strange
from web.answers import error_answer, secured
from web.board import EXTENSION, Board, board
from web.numbers import numbers
from web.pages import pages
from web.questions import questions
from web.service import service

if TYPE_CHECKING:
    from config import Settings

_TEMPLATES: Final = Path(__file__).resolve().parent.parent / "templates"


def create_app(settings: Settings) -> Flask:
    """The dashboard for `clickstream.server.serve`; `close` of its board ends what it does beside the loop."""
    app = Flask("dashboard", static_folder=None, template_folder=_TEMPLATES)
    app.extensions[EXTENSION] = Board(settings)
    for blueprint in (pages, numbers, questions, service):
        app.register_blueprint(blueprint)
    app.before_request(_refuse_strangers)
    app.after_request(secured)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _refuse_strangers() -> Response | None:
    """401 without the READ_TOKEN, 403 for a page that reached this machine under a foreign name."""
    settings = board().settings
    if request.path == "/health":
        return None
    if settings.read_token:
        given = request.authorization
        if given is not None and holds(settings.read_token, given.password or given.token):
            return None
        answer = error_answer(401, "unauthorized", "give READ_TOKEN as the password; any user name will do")
        answer.headers["WWW-Authenticate"] = 'Basic realm="clickstream", charset="UTF-8"'
        return answer
    strange = why_strange(request.environ, settings.dashboard_host)
    if not strange:
        return None
    return error_answer(403, "forbidden", f"{strange}; open the dashboard as localhost, or set READ_TOKEN")


def _http_error(problem: HTTPException) -> Response:
    """Flask's own refusals in the shape of all others."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(problem.code or 500, "internal")
    return error_answer(problem.code or 500, code, problem.description or problem.name)
