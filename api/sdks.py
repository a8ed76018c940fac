"""The compatibility routes: what SDKs of other platforms send, mounted from the registry in clickstream/wire/."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Final

from flask import Blueprint, Response, request
from werkzeug.datastructures import Headers

from api.access import admit
from api.answers import Sender, accept, failure, reason, refuse, request_body, static_file, test_id
from api.parts import parts
from clickstream.bodies import decompress
from clickstream.entry import Receipt
from clickstream.errors import RequestRefused, Unavailable
from clickstream.server import BODY
from clickstream.wire import ROUTES, Answer, Route, WireBatch, WireRequest, cors_headers, preflight

sdks: Final = Blueprint("sdks", __name__)
_TURNED_AWAY: Final = ("unauthorized", "forbidden", "rate_limited")


def take(route: Route) -> Response:
    """Take in one request of an SDK and answer in its own way."""
    origin = request.headers.get("Origin")
    key_in_body = None
    try:
        batch = route.decode(wire_request(_body()))
        key_in_body = batch.write_key
        if not batch.records:
            return _response(route.answer(batch, ()), origin)
        return _accept(route, batch, origin)
    except RequestRefused as refusal:
        if refusal.code in _TURNED_AWAY:
            return _with_cors(failure(refusal), origin)
        if refusal.code == "timeout":  # a slow network, not a fault of the events
            return _response(route.answers.unavailable, origin)
        return _refused(route, refusal, origin, key_in_body)
    except Unavailable:
        return _response(route.answers.unavailable, origin)


def _refused(route: Route, refusal: RequestRefused, origin: str | None, key_in_body: str | None) -> Response:
    """Quarantine a body that holds no records, unless its sender may not send at all: strangers fill no disk."""
    try:
        admit(parts().write_access, 1, key_in_body)
    except RequestRefused as stranger:
        return _with_cors(failure(stranger), origin)
    refuse(request.environ[BODY], refusal, family=route.family)
    return _response(route.answers.refusal(str(refusal)), origin)


@sdks.get("/tracker.js")
def get_tracker() -> Response:
    """The browser tracker, for pages of any origin."""
    response = static_file("tracker.js", keep="public, max-age=300")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def wire_request(body: bytes) -> WireRequest:
    """The current request, as adapters want it."""
    return WireRequest(
        method=request.method,
        path=request.path,
        query=request.args.to_dict(),
        headers=_Headers(request.headers),
        body=body,
        received_at=datetime.now(timezone.utc),
        client_address_hint=request.remote_addr,
        user_agent=request.environ.get("HTTP_USER_AGENT", ""),
    )


class _Headers(Mapping[str, str]):
    """The headers by their names in lower case; a list of all would cost more than the one or two that are read."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return (name.lower() for name in self._headers.keys())  # noqa: SIM118 - iterating itself gives pairs

    def __len__(self) -> int:
        return len(self._headers)


def _accept(route: Route, batch: WireBatch, origin: str | None) -> Response:
    here = parts()
    limit = here.max_records
    if len(batch.records) > limit:
        raise RequestRefused("too_many_records", f"{len(batch.records):,} events, at most {limit:,} (MAX_RECORDS)")
    scope = test_id(request.environ)  # may be refused: before the events are counted against the rate, not after
    key = admit(here.write_access, len(batch.records), batch.write_key)

    def answer(receipt: Receipt) -> Response:
        rejected = frozenset(one.index for one in receipt.rejections)
        return _response(route.answer(batch, rejected, reason(receipt)), origin)

    def unavailable(_: Unavailable) -> Response:
        return _response(route.answers.unavailable, origin)

    return accept(
        list(batch.records),
        Sender(route.family, key, scope),
        events=batch.events,
        here=here,
        environ=request.environ,
        answer=answer,
        unavailable=unavailable,
    )


def _body() -> bytes:
    # Not what Content-Encoding says: SDKs set it wrongly, and the first bytes of gzip are never JSON.
    return decompress(request_body(request.environ), encoding="", max_bytes=parts().max_body_bytes)


def _response(answer: Answer, origin: str | None) -> Response:
    response = Response(answer.body, answer.status, dict(answer.headers))
    if "Content-Type" not in answer.headers:
        del response.headers["Content-Type"]
    return _with_cors(response, origin)


def _with_cors(response: Response, origin: str | None) -> Response:
    response.headers.update(cors_headers(origin))
    return response


def _view(route: Route) -> Callable[..., Response]:
    def view(**_: str) -> Response:
        if request.method == "OPTIONS":
            return _response(preflight(wire_request(b"")), request.headers.get("Origin"))
        return take(route)

    view.__doc__ = route.decode.__doc__
    return view


for _number, _route in enumerate(ROUTES):
    _function = _view(_route)
    for _rule in _route.rules:
        sdks.add_url_rule(
            _rule, f"{_route.family}_{_number}", _function, methods=[*_route.methods, "OPTIONS"], strict_slashes=True
        )
