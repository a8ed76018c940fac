"""The Flask application over one pipeline."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, Rule

from api.analytics import analytics
from api.answers import failure
from api.ingest import ingest
from api.parts import EXTENSION, Parts
from api.persons import persons
from api.reads import reads
from api.rejected import rejected
from api.sdks import sdks
from api.service import service
from api.tracking_tests import tracking_tests
from api.turns import KINDS, Turns
from clickstream.access import WriteAccess
from clickstream.dashboard.static_files import StaticFiles
from clickstream.errors import ClickstreamError
from clickstream.expectations import Expectations
from clickstream.metrics import MetricsPage
from clickstream.pipeline import Pipeline
from clickstream.privacy import Privacy
from clickstream.recurring import Recurring

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log: Final = logging.getLogger("clickstream.api")
_ROOT: Final = Path(__file__).resolve().parent.parent


def create_app(
    pipeline: Pipeline,
    *,
    max_body_bytes: int,
    max_records: int,
    read_token: str = "",
    host: str = "127.0.0.1",
    write_access: WriteAccess | None = None,
    privacy: Privacy,
) -> Flask:
    """The application; its views run on the server's loop thread, see clickstream/server/."""
    app = _LeanFlask("clickstream", _ROOT / "templates")
    app.url_map.merge_slashes = False  # else //stats is a redirect, which no sender follows with its body
    expectations = Expectations()
    pipeline.subscribe(expectations.observe)
    pipeline.on_rewriting(expectations.forget)
    app.extensions[EXTENSION] = Parts(
        pipeline=pipeline,
        privacy=privacy,
        expectations=expectations,
        metrics_page=MetricsPage(pipeline),
        static=StaticFiles(_ROOT / "static", "*"),
        write_access=write_access or WriteAccess((), rate_per_s=0, clock_s=time.monotonic),
        turned_away=Recurring(_log, "senders turned away", level=logging.WARNING),
        read_token=read_token,
        host=host,
        max_body_bytes=max_body_bytes,
        max_records=max_records,
    )
    app.extensions["turns"] = {kind: Turns(kind) for kind in KINDS}
    for blueprint in (analytics, ingest, persons, reads, rejected, service, sdks, tracking_tests):
        app.register_blueprint(blueprint)
    app.register_error_handler(ClickstreamError, failure)
    app.register_error_handler(HTTPException, failure)
    return app


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """An empty session that nobody saves: this API sets no cookies."""
        return _NO_SESSION

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing: see open_session."""

    def is_null_session(self, obj: object) -> bool:
        """Always."""
        return True


_NO_SESSION: Final = SessionInterface.null_session_class()


class _LeanResponse(Response):
    """Flask's, without another look through headers that are complete already."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The body, after its status and headers."""
        body = self.response
        if type(body) is not list or "Content-Length" not in self.headers or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return body


class _LeanContext(RequestContext):
    """Flask's, which remembers which view an address without variables has."""

    app: _LeanFlask

    def match_request(self) -> None:
        """Find the view."""
        request = self.request
        address = (request.method, request.path)
        rule = self.app.rules_found.get(address)
        if rule is not None:
            request.url_rule, request.view_args = rule, {}
            return
        super().match_request()
        if request.url_rule is not None and not request.url_rule.arguments:
            self.app.rules_found[address] = request.url_rule


class _LeanFlask(Flask):
    """Flask without what this API has no use for; together that is an eighth of the cost of a small request."""

    session_interface = _NoSessions()
    response_class = _LeanResponse

    def __init__(self, name: str, templates: Path) -> None:
        super().__init__(name, static_folder=None, template_folder=templates)
        self.rules_found: dict[tuple[str, str], Rule] = {}  # by method and path

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the view: by the path alone, because no route here depends on the name of the host."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        host, scheme = environ.get("HTTP_HOST", "localhost"), environ["wsgi.url_scheme"]
        return MapAdapter(self.url_map, host, "/", "", scheme, request.path, request.method, environ["QUERY_STRING"])

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """Where the request is handled."""
        return _LeanContext(self, environ)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func`: no view here is a coroutine."""
        return func
