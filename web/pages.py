"""The pages themselves."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Final

from flask import Blueprint, Response, render_template, request

from clickstream import __version__
from clickstream.analytics.catalog import QUESTIONS
from clickstream.analytics.dimensions import KNOWN
from clickstream.analytics.scope import VISIT, WITHOUT
from clickstream.dashboard.snapshots import Snapshot
from clickstream.query import PROPERTY
from web.answers import deferred_answer, placeholder, secured
from web.board import Board, board
from web.numbers import PATIENCE_S, WINDOWS
from web.relay import whatever_happens
from web.static_answer import takes_gzip

_NO_NUMBERS: Final = b"null<!--numbers-->"  # where the template leaves room for them
_THEMES: Final = ("light", "dark")

pages: Final = Blueprint("pages", __name__)


@pages.get("/")
def page() -> Response:
    """The page, with the numbers in it when they are to be had at once: it never waits for the API."""
    here = board()
    html = _rendered("dashboard.html", poll_interval_s=here.settings.poll_interval_s)
    zipped = takes_gzip()
    deferred, answer = deferred_answer()
    window = request.args.get("window", "all")
    if window in WINDOWS:
        here.snapshots.ask(
            window,
            lambda snapshot: answer(whatever_happens(lambda: _page_answer(here, html, snapshot, zipped=zipped))),
        )
    without = _page_answer(here, html, None, zipped=zipped)
    asyncio.get_running_loop().call_later(PATIENCE_S if window in WINDOWS else 0, deferred.resolve, secured(without))
    return placeholder(deferred)


@pages.get("/questions")
def questions_page() -> Response:
    """The page that asks `/analytics`; what it asks for stands in its address, which its script reads."""
    # Of a name that stands twice the later text, as visits.js reads them.
    given = [(name, texts[-1]) for name, texts in request.args.lists() if name.startswith((VISIT, WITHOUT))]
    by = request.args.get("by", "")
    html = _rendered(
        "questions.html",
        events_file=board().settings.events_file,
        # What the address says is there from the beginning, so that nothing moves.
        ask=request.args.get("ask", ""),
        steps=request.args.get("steps", ""),
        by=by,
        of=request.args.get("of", ""),
        own=by.removeprefix(PROPERTY) if by.startswith(PROPERTY) else "",
        visit=[(name, _chip(name), text) for name, text in given],
        questions=[(name, _label(name), meaning) for name, meaning in QUESTIONS.items()],
        visit_properties=[(name, _label(name)) for name in KNOWN],
    )
    return _html_answer(html.encode(), zipped=takes_gzip())


def _label(name: str) -> str:
    """What the page calls a question or a property of visits; its scripts say the same."""
    if name.startswith(PROPERTY):
        return name.removeprefix(PROPERTY)
    if name == "os":
        return "Operating system"
    words = name.replace("_", " ")
    return f"UTM{words[3:]}" if words.startswith("utm") else words[:1].upper() + words[1:]


def _chip(parameter: str) -> str:
    """What the page calls that which is said, or must not be, in chosen visits."""
    prefix, _, name = parameter.partition(".")
    return f"Without {_in_sentence(name)}" if prefix + "." == WITHOUT else _label(name)


def _in_sentence(name: str) -> str:
    label = _label(name)
    return label if name.startswith(PROPERTY) or label.startswith("UTM") else label[:1].lower() + label[1:]


def _page_answer(here: Board, html: str, snapshot: Snapshot | None, *, zipped: bool) -> Response:
    body = html.encode()
    if snapshot is not None and snapshot.stats is not None:
        ages = json.dumps(here.ages_ms(snapshot)).encode()
        numbers = here.encoded(snapshot).body[:-1] + b',"ages_ms":' + ages + b"}"
        # A "<" could end the script element that the numbers stand in; they are data, so it may be written otherwise.
        body = body.replace(_NO_NUMBERS, numbers.replace(b"<", b"\\u003c"))
    return _html_answer(body, zipped=zipped)


def _rendered(template: str, **values: object) -> str:
    here = board()
    theme = request.cookies.get("theme")
    return render_template(
        template,
        api_url=here.settings.api_url,
        public_api_url=here.settings.public_api_url,
        env=here.settings.env,
        needs_token=bool(here.settings.read_token),  # which a browser has for the dashboard, not for the API
        static=f"/static/{here.static.version}",
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
