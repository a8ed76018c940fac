"""Segment and RudderStack: `/v1/batch`, the single-event routes, beacon and pixel."""

from __future__ import annotations

import base64
from typing import Any, Final

from clickstream.wire import mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier

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
    skew = mapping.skew_ms(body.get("sentAt"), mapping.milliseconds(request.received_at))
    context = as_object(body.get("context"))
    records = [_record(event, context, skew, request.user_agent) for event in events]
    return WireBatch(mapping.encode_all(records, request.body), _write_key(request, body))


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
    skew = mapping.skew_ms(body.get("sentAt"), mapping.milliseconds(request.received_at))
    records = [_record(body, {}, skew, request.user_agent)]
    return WireBatch(mapping.encode_all(records, request.body), _write_key(request, body))


def _record(event: object, batch_context: Object, skew: int, user_agent: str) -> object:
    if not isinstance(event, dict):
        return event
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    take("writeKey", None)
    if event.get("integrations") == {}:
        take("integrations")
    context = event.get("context") or batch_context
    if not isinstance(context, dict):
        context = {}
    if batch_context:
        event.setdefault("context", batch_context)
    library = as_object(context.get("library"))
    if len(context) == 1 and len(library) == 2 and "name" in library and "version" in library:
        take("context", None)  # it says nothing that `sdk` does not say
    kind = event.get("type")
    name = take("event", None) if kind == "track" else kind
    sdk = Sdk("segment", library.get("name"), library.get("version"), name, fields=event)
    record = Record(
        "page_view" if kind in ("page", "screen") else mapping.type_of(name),
        identifier(take("messageId", None)),
        identifier(take("userId", None)),
        identifier(take("anonymousId", None)),
        identifier(context.get("sessionId")),
        sdk=sdk,
    )
    mapping.set_time(record, sdk, take("timestamp", None) or event.get("originalTimestamp"), skew)
    properties, traits = take("properties", None), take("traits", None)
    record.properties = {} if properties is None else properties
    if isinstance(record.properties, dict):
        _fill(record.properties, record.event_type, event.get("name"), traits, context)
        mapping.fill_agent(record.properties, context.get("userAgent") or user_agent)
        mapping.fill_commerce(record.properties, record.event_type)
    elif traits is not None:
        event["traits"] = traits
    return record


def _fill(properties: Object, event_type: str | None, name: Any, traits: Any, context: Object) -> None:  # noqa: ANN401 - as sent
    additions: Object = {"traits": traits} if traits else {}
    if event_type == "page_view":
        additions["title"] = (as_object(context["page"]).get("title") if "page" in context else None) or name
    path = properties.get("path") or mapping.path_of(properties.get("url"))
    if len(context) > 1:  # more than the name of the library
        page, campaign = as_object(context.get("page")), as_object(context.get("campaign"))
        path = path or page.get("path") or mapping.path_of(page.get("url"))
        additions |= {
            "title": page.get("title") or additions.get("title"),
            "referrer": page.get("referrer"),
            "locale": context.get("locale"),
            "country": as_object(context.get("location")).get("country"),
            "device": as_object(context.get("device")).get("type"),
            "os": as_object(context.get("os")).get("name"),
            "utm_source": campaign.get("source"),
            "utm_medium": campaign.get("medium"),
            "utm_campaign": campaign.get("name"),
        }
    additions["page"] = path
    mapping.fill(properties, additions)


def _write_key(request: WireRequest, body: Object) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    user = mapping.base64_text(credentials).partition(":")[0] if scheme.lower() == "basic" else ""
    key = user or body.get("writeKey") or request.query.get("writeKey")
    return key if isinstance(key, str) else None
