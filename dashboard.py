"""The dashboard: its pages, and the API's numbers read once per interval for every browser that shows them."""

from __future__ import annotations

import clickstream.packages  # noqa: F401 - first: it says what to do when packages are missing

# isort: split
import argparse
import asyncio
import gzip
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

import config
from clickstream import __version__
from clickstream.client.reading import ApiProblem, ApiReader
from clickstream.dashboard.access import holds, is_this_machine
from clickstream.dashboard.quarantine_size import QuarantineSize
from clickstream.dashboard.snapshot_json import SnapshotJson, encode
from clickstream.dashboard.snapshots import SharedSnapshots, Snapshot
from clickstream.dashboard.static_files import StaticFiles
from clickstream.errors import ClickstreamError
from clickstream.server import leave, serve
from clickstream.stats import WINDOWS
from web.answers import (
    deferred_answer,
    error_answer,
    json_answer,
    placeholder,
    problem_answer,
    secured,
)
from web.questions import Asking, questions
from web.relay import Relay, whatever_happens
from web.static_answer import static_answer, takes_gzip

ROOT: Final = Path(__file__).resolve().parent

# A browser gets the numbers before when the API has not given new ones within this time.
PATIENCE_S: Final = 0.08
# Requests for events that wait for the API; beyond it 503, so that a slow API cannot pile them up.
MOST_RELAYED: Final = 32
_FILTERS: Final = frozenset(
    {"limit", "cursor", "event_id", "event_type", "user_id", "session_id", "anonymous_id", "product"}
    | {"since", "until", "code"}
)
_NO_NUMBERS: Final = b"null<!--numbers-->"  # where the template leaves room for them
_THEMES: Final = ("light", "dark")
_WINDOWS: Final = (*WINDOWS, "all")

blueprint: Final = Blueprint("dashboard", __name__)


class Board:
    """What the views share: the reader of the API, its snapshots, the static files."""

    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings
        self.reader = ApiReader(settings.api_url, read_token=settings.read_token)
        self.executor = ThreadPoolExecutor(8, thread_name_prefix="api")
        self.quarantine = QuarantineSize(lambda: self.reader.get("/rejected", [("limit", "1")]), self.executor)
        self.snapshots = SharedSnapshots(self._read, self.executor, interval_s=settings.poll_interval_s)
        self.static = StaticFiles(ROOT / "static")
        self.relay = Relay(self.executor, most=MOST_RELAYED)
        self.asking = Asking(settings.api_url, settings.read_token)

    def _read(self, window: str) -> dict[str, Any]:
        stats = self.reader.stats(window)
        self.quarantine.note(stats)
        return stats

    def encoded(self, snapshot: Snapshot) -> SnapshotJson:
        """What browsers get of `snapshot`."""
        return encode(snapshot, api_url=self.settings.api_url, quarantined=self.quarantine.total)

    def ages_ms(self, snapshot: Snapshot) -> dict[str, int]:
        """How old the numbers are and for how long readings fail, where so: a browser's clock may be another."""
        ages_s = {"snapshot": self.snapshots.age_s(snapshot), "failing": self.snapshots.failing_s(snapshot)}
        return {name: round(age_s * 1000) for name, age_s in ages_s.items() if age_s is not None}

    def close(self) -> None:
        """Forget requests that have not started; those under way end by their timeout."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.asking.close()


def create_app(settings: config.Settings) -> Flask:
    """The dashboard as a WSGI application for `clickstream.server.serve`."""
    app = Flask(__name__, static_folder=None, template_folder=str(ROOT / "templates"))
    board = app.extensions["board"] = Board(settings)
    app.extensions["questions"] = board.asking
    app.register_blueprint(blueprint)
    app.register_blueprint(questions)
    app.after_request(secured)
    return app


@blueprint.before_app_request
def refuse_strangers() -> Response | None:
    """401 without the READ_TOKEN, 403 for a page that reached this machine under a foreign name."""
    settings = _board().settings
    if request.path == "/health":
        return None
    if settings.read_token:
        given = request.authorization
        if given is not None and holds(settings.read_token, given.password or given.token):
            return None
        answer = error_answer(401, "unauthorized", "give READ_TOKEN as the password; any user name will do")
        answer.headers["WWW-Authenticate"] = 'Basic realm="clickstream", charset="UTF-8"'
        return answer
    if is_this_machine(request.host, settings.dashboard_host):
        return None
    return error_answer(403, "forbidden", f"{request.host} is not this machine; open the dashboard as localhost")


@blueprint.get("/")
def page() -> Response:
    """The page, with the numbers in it when they are to be had at once: it never waits for the API."""
    board = _board()
    html = _rendered("dashboard.html", poll_interval_s=board.settings.poll_interval_s)
    zipped = takes_gzip()
    deferred, answer = deferred_answer()
    window = request.args.get("window", "all")
    if window in _WINDOWS:
        board.snapshots.ask(
            window,
            lambda snapshot: answer(whatever_happens(lambda: _page_answer(board, html, snapshot, zipped=zipped))),
        )
    without = _page_answer(board, html, None, zipped=zipped)
    asyncio.get_running_loop().call_later(PATIENCE_S if window in _WINDOWS else 0, deferred.resolve, secured(without))
    return placeholder(deferred)


@blueprint.get("/questions")
def questions_page() -> Response:
    """The page that asks `/analytics`; what it asks for stands in its address, which its script reads."""
    return _html_answer(_rendered("questions.html").encode(), zipped=takes_gzip())


@blueprint.get("/api/stats")
def stats() -> Response:
    """The statistics of `window`, shared by all browsers, with `dashboard.state` saying how fresh they are."""
    board = _board()
    window = request.args.get("window", "all")
    if window not in _WINDOWS:
        return error_answer(
            400, "invalid_parameter", f"window={window!r}: expected 15m, 1h, 24h or all", field="window"
        )
    seen, zipped = request.headers.get("If-None-Match", ""), takes_gzip()

    def shaped(snapshot: Snapshot) -> Response:
        return _snapshot_answer(board, snapshot, seen=seen, zipped=zipped)

    deferred, answer = deferred_answer()
    board.snapshots.ask(window, lambda snapshot: answer(whatever_happens(lambda: shaped(snapshot))))
    before = board.snapshots.last(window)
    if before is not None:
        asyncio.get_running_loop().call_later(PATIENCE_S, lambda: deferred.resolve(shaped(before)))
    return placeholder(deferred)


@blueprint.get("/api/events")
def events() -> Response:
    """Events as the API's `/events` gives them; the same filters."""
    return _relayed("/events")


@blueprint.get("/api/event")
def event() -> Response:
    """The newest event that the filters find, byte for byte as it is stored: numbers too large for a browser stay."""
    return _relayed("/events", stored=True)


@blueprint.get("/api/rejected")
def rejected() -> Response:
    """The quarantine as the API's `/rejected` gives it."""
    return _relayed("/rejected")


@blueprint.get("/health")
def health() -> Response:
    """200 while this process answers; the API's state is in `/api/stats`."""
    return jsonify(status="ok", version=__version__)


@blueprint.get("/static/<path:path>")
def static(path: str) -> Response:
    """A static file; under its versioned path it may be kept for ever."""
    found = _board().static.find(path)
    if found is None:
        return error_answer(404, "not_found", f"there is no static file {path}")
    file, for_ever = found
    return static_answer(file, keep="public, max-age=31536000, immutable" if for_ever else "no-cache")


@blueprint.app_errorhandler(HTTPException)
def http_error(problem: HTTPException) -> Response:
    """Flask's own refusals in the shape of all others."""
    code = {404: "not_found", 405: "method_not_allowed"}.get(problem.code or 500, "internal")
    return error_answer(problem.code or 500, code, problem.description or problem.name)


def _relayed(path: str, *, stored: bool = False) -> Response:
    board = _board()
    params = [(k, v) for k, v in request.args.items(multi=True) if k in _FILTERS or k.startswith("property.")]
    zipped = takes_gzip()

    def given() -> Response:
        try:
            if stored:
                body = board.reader.stored_event(params)
            else:
                body = json.dumps(board.reader.get(path, params), ensure_ascii=False).encode("utf-8", "replace")
        except ApiProblem as problem:
            return problem_answer(problem)
        if body is None:
            return error_answer(404, "not_found", "this event is not stored any more")
        return json_answer(200, body, gzip.compress(body, 5) if zipped else None)

    return board.relay.answer(given)


def _page_answer(board: Board, html: str, snapshot: Snapshot | None, *, zipped: bool) -> Response:
    body = html.encode()
    if snapshot is not None and snapshot.stats is not None:
        ages = json.dumps(board.ages_ms(snapshot)).encode()
        numbers = board.encoded(snapshot).body[:-1] + b',"ages_ms":' + ages + b"}"
        # A "<" could end the script element that the numbers stand in; they are data, so it may be written otherwise.
        body = body.replace(_NO_NUMBERS, numbers.replace(b"<", b"\\u003c"))
    return _html_answer(body, zipped=zipped)


def _rendered(template: str, **values: object) -> str:
    board = _board()
    theme = request.cookies.get("theme")
    return render_template(
        template,
        api_url=board.settings.api_url,
        env=board.settings.env,
        needs_token=bool(board.settings.read_token),  # which a browser has for the dashboard, not for the API
        static=f"/static/{board.static.version}",
        theme=theme if theme in _THEMES else None,
        version=__version__,
        **values,
    )


def _html_answer(body: bytes, *, zipped: bool) -> Response:
    response = Response(gzip.compress(body, 5) if zipped else body, mimetype="text/html")
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.update(("Cookie", "Accept-Encoding"))
    return response


def _snapshot_answer(board: Board, snapshot: Snapshot, *, seen: str, zipped: bool) -> Response:
    encoded = board.encoded(snapshot)
    if encoded.status == 200 and encoded.etag in seen:
        response = Response(status=304)
    else:
        response = json_answer(encoded.status, encoded.body, encoded.gzipped if zipped else None)
    response.set_etag(encoded.etag, weak=True)
    ages_ms = board.ages_ms(snapshot)
    for name, header in (("snapshot", "X-Snapshot-Age-Ms"), ("failing", "X-Failing-Ms")):
        if name in ages_ms:
            response.headers[header] = str(ages_ms[name])
    return secured(response)


def _board() -> Board:
    board: Board = current_app.extensions["board"]
    return board


def _parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description="Serves the dashboard on DASHBOARD_HOST:DASHBOARD_PORT until Ctrl-C or SIGTERM.",
        epilog=config.help_text("DASHBOARD_", "API_", "READ_TOKEN", "POLL_INTERVAL_S"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the dashboard until it is stopped; exit code 2 when the settings do not allow it."""
    _parser().parse_args(arguments)
    try:
        settings = config.from_environment()
        app = create_app(settings)
        serve(
            app.wsgi_app,
            host=settings.dashboard_host,
            port=settings.dashboard_port,
            port_setting="DASHBOARD_PORT",
            max_body_bytes=1024,
            on_stop=app.extensions["board"].close,
        )
    except ClickstreamError as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    leave(main())
