"""AWS Clickstream SDKs (web, Android, Swift, Flutter): `POST /collect`, a JSON array of events."""

from __future__ import annotations

from typing import Final

from clickstream.wire import mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier

# These SDKs know success (200) and "again": a batch with an event at fault would block all later ones for ever,
# so it is answered 200 as well. Its events are in quarantine.
ANSWERS: Final = Answers(
    accepted=Answer(200),
    refused=Answer(200),
    unavailable=json_answer(503, {"error": "unavailable"}, {"Retry-After": "1"}),
)

# The e-commerce names stay as they are, but for the one that would leave the funnel without its third step.
_TYPES: Final = {
    "_page_view": "page_view",
    "_screen_view": "page_view",
    "_click": "click",
    "_search": "search",
    "begin_checkout": "checkout",
}
_ATTRIBUTES: Final = {
    "_page_title": "title",
    "_screen_name": "title",
    "_search_term": "query",
    "_link_url": "element",
    "_value": "value",
    "_currency": "currency",
    "_traffic_source_source": "utm_source",
    "_traffic_source_medium": "utm_medium",
    "_traffic_source_campaign": "utm_campaign",
}


def decode_collect(request: WireRequest) -> WireBatch:
    """Read an array of events, or one event; the query holds the app and the moment of sending."""
    body = mapping.decode_json(request.body)
    events = [body] if isinstance(body, dict) else body
    app_id = request.query.get("appId")
    if not isinstance(events, list):
        return WireBatch([request.body], app_id)
    sent_at = request.query.get("upload_timestamp")
    skew = mapping.skew_ms(sent_at, mapping.milliseconds(request.received_at))
    records = [_record(event, skew, request.user_agent) for event in events]
    return WireBatch(mapping.encode_all(records, request.body), app_id)


def _record(event: object, skew: int, user_agent: str) -> object:
    if not isinstance(event, dict):
        return event
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    name, user = take("event_type", None), as_object(event.get("user"))
    attributes = take("attributes") if isinstance(event.get("attributes"), dict) else {}
    sdk = Sdk("aws_clickstream", take("sdk_name", None), take("sdk_version", None), name, fields=event)
    record = Record(
        _event_type(name),
        identifier(take("event_id", None)),
        identifier(as_object(user.get("_user_id")).get("value")),
        identifier(event.get("device_id") or event.get("unique_id")),
        identifier(attributes.get("_session_id")),
        properties=attributes,
        sdk=sdk,
    )
    mapping.set_time(record, sdk, take("timestamp", None), skew)
    _fill(attributes, event, record.event_type, user_agent)
    return record


def _event_type(name: object) -> str | None:
    if not isinstance(name, str) or not name:
        return None
    return _TYPES.get(name) or mapping.snake_case(name)


def _fill(attributes: Object, event: Object, event_type: str | None, user_agent: str) -> None:
    additions = {_ATTRIBUTES[name]: attributes[name] for name in attributes if name in _ATTRIBUTES}
    additions["page"] = mapping.path_of(attributes.get("_page_url")) or attributes.get("_screen_id")
    additions["referrer"] = attributes.get("_page_referrer") or attributes.get("_latest_referrer")
    additions["locale"] = event.get("locale")
    additions["country"] = event.get("country_code")
    if (platform := event.get("platform")) in ("Android", "iOS"):
        additions["os"] = platform
    mapping.fill(attributes, additions)
    if (items := event.get("items")) and isinstance(items, list):
        mapping.fill(attributes, {"items": [mapping.line_item(as_object(item)) for item in items]})
        mapping.fill(attributes, mapping.line_item(as_object(items[0])) if len(items) == 1 else {})
    mapping.fill_agent(attributes, user_agent)
    mapping.fill_commerce(attributes, event_type)
