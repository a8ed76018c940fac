"""Segment and RudderStack: `/v1/batch`, the single-event routes, beacon and pixel."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from clickstream.wire import clocks, mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier, put

_RETRY: Final = {"Retry-After": "1"}


# 4xx but 408, 410, 429 and 460 is final for these SDKs; they come back after 5xx and honour Retry-After.
def _refused(reason: str) -> Answer:
    return json_answer(400, {"success": False, "code": "invalid_request", "message": reason})


ANSWERS: Final = Answers(
    accepted=json_answer(200, {"success": True}),
    refused=_refused("kept in GET /rejected"),
    unavailable=json_answer(503, {"success": False, "code": "unavailable", "message": "try again"}, _RETRY),
    refused_because=_refused,
)
_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PIXEL_ANSWERS: Final = Answers(
    accepted=Answer(200, _GIF, {"Content-Type": "image/gif", "Cache-Control": "no-store"}),
    refused=ANSWERS.refused,
    unavailable=ANSWERS.unavailable,
    refused_because=_refused,
)

_SHORT_NAMES: Final = {"t": "track", "p": "page", "i": "identify", "g": "group", "a": "alias", "s": "screen"}


def decode_batch(request: WireRequest) -> WireBatch:
    """Read `{batch, sentAt, writeKey}`; a context of the batch holds for events without their own."""
    body = mapping.decode_json(request.body)
    events = body.get("batch") if isinstance(body, dict) else None
    if not isinstance(events, list):
        return WireBatch([request.body], _write_key(request, as_object(body)))
    skew = clocks.skew_ms(body.get("sentAt"), clocks.milliseconds(request.received_at))
    context = as_object(body.get("context"))
    agent = mapping.agent_of(request.user_agent)
    read = partial(_record, context, skew, agent)
    return mapping.batch_of(events, read, request.body, _write_key(request, body))


def decode_single(request: WireRequest) -> WireBatch:
    """Read one event; the last part of the path is its type (`track`, or the browser's `t`)."""
    body = mapping.decode_json(request.body)
    if not isinstance(body, dict):
        return WireBatch([request.body], _write_key(request, {}))
    return _single(request, body)


def decode_pixel(request: WireRequest) -> WireBatch:
    """Read an event from the address of an image: base64 in `data`, or its fields as parameters."""
    body: Object = {name: value for name, value in request.query.items() if name != "data"}
    for name in ("properties", "context", "traits"):
        if name in body:
            body[name] = mapping.decode_json(body[name]) or body[name]
    if "data" in request.query:
        data = mapping.decode_base64(request.query["data"])
        body.update(data if isinstance(data, dict) else {"data": request.query["data"]})
    return _single(request, body)


def _single(request: WireRequest, body: Object) -> WireBatch:
    kind = request.path.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gif")
    body.setdefault("type", _SHORT_NAMES.get(kind, kind))
    skew = clocks.skew_ms(body.get("sentAt"), clocks.milliseconds(request.received_at))
    read, key = partial(_record, {}, skew, mapping.agent_of(request.user_agent)), _write_key(request, body)
    return mapping.batch_of([body], read, mapping.as_sent(request), key)


def _record(batch_context: Object, skew: int, agent: Mapping[str, str], event: Object) -> Record:
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    take("writeKey", None)
    if event.get("integrations") == {}:
        take("integrations")
    if batch_context:
        event.setdefault("context", batch_context)
    context = event.get("context") or batch_context
    if not isinstance(context, dict):
        context = {}
    library = as_object(context.get("library"))
    if len(context) == 1 and len(library) == 2 and "name" in library and "version" in library:
        take("context", None)  # it says nothing that `sdk` does not say
    kind = event.get("type")
    name = take("event", None) if kind == "track" else kind
    sdk = Sdk("segment", library.get("name"), library.get("version"), name, fields=event)
    record = Record(
        event_type="page_view" if kind in ("page", "screen") else mapping.type_of(name),
        event_id=identifier(take("messageId", None)),
        user_id=identifier(take("userId", None)),
        anonymous_id=identifier(take("anonymousId", None)),
        session_id=identifier(context.get("sessionId")),
        sdk=sdk,
    )
    clocks.set_time(record, sdk, take("timestamp", None) or event.get("originalTimestamp"), skew)
    properties = take("properties", None)
    if properties is None:
        properties = {}
    if isinstance(properties, dict):
        if event.get("traits") and properties.get("traits") is None:
            properties["traits"] = take("traits")
        _fill(properties, record.event_type, event.get("name"), context, agent)
    record.raw_properties = mapping.raw(properties)
    return record


def _fill(properties: Object, event_type: Any, name: Any, context: Object, agent: Mapping[str, str]) -> None:  # noqa: ANN401 - as sent
    path = properties.get("path") or mapping.path_of(properties.get("url"))
    if len(context) > 1 or "library" not in context:
        page, campaign = as_object(context.get("page")), as_object(context.get("campaign"))
        path = path or page.get("path") or mapping.path_of(page.get("url"))
        additions = {
            "title": page.get("title") or None,
            "referrer": page.get("referrer"),
            "locale": context.get("locale"),
            "country": as_object(context.get("location")).get("country"),
            "device": as_object(context.get("device")).get("type"),
            "os": as_object(context.get("os")).get("name"),
            "utm_source": campaign.get("source"),
            "utm_medium": campaign.get("medium"),
            "utm_campaign": campaign.get("name"),
        }
        mapping.fill(properties, additions)
        if user_agent := context.get("userAgent"):
            agent = mapping.agent_of(user_agent)
    put(properties, "page", path)
    if event_type == "page_view":
        put(properties, "title", name)
    mapping.fill(properties, agent)
    mapping.fill_commerce(properties, event_type)


def _write_key(request: WireRequest, body: Object) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    user = mapping.base64_text(credentials).partition(":")[0] if scheme.lower() == "basic" else ""
    key = user or body.get("writeKey") or request.query.get("writeKey")
    return key if isinstance(key, str) else None
