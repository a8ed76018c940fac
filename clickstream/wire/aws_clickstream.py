"""AWS Clickstream SDKs (web, Android, Swift, Flutter): `POST /collect`, a JSON array of events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from clickstream.wire import clocks, mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier, put

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
# Where two say the same thing, the first in this list counts.
_ATTRIBUTES: Final = (
    ("_page_title", "title"),
    ("_screen_name", "title"),
    ("_search_term", "query"),
    ("_link_url", "element"),
    ("_value", "value"),
    ("_currency", "currency"),
    ("_traffic_source_source", "utm_source"),
    ("_traffic_source_medium", "utm_medium"),
    ("_traffic_source_campaign", "utm_campaign"),
)
_FIELDS: Final = (("locale", "locale"), ("country_code", "country"))


def decode_collect(request: WireRequest) -> WireBatch:
    """Read an array of events, or one event; the query holds the app and the moment of sending."""
    body = mapping.decode_json(request.body)
    events = [body] if isinstance(body, dict) else body
    app_id = request.query.get("appId")
    if not isinstance(events, list):
        return WireBatch([request.body], app_id)
    sent_at = request.query.get("upload_timestamp")
    skew = clocks.skew_ms(sent_at, clocks.milliseconds(request.received_at))
    agent = mapping.agent_of(request.user_agent)
    return mapping.batch_of(events, partial(_record, skew, agent), request.body, app_id)


def _record(skew: int, agent: Mapping[str, str], event: Object) -> Record:
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    name, user = take("event_type", None), event.get("user")
    attributes = take("attributes") if isinstance(event.get("attributes"), dict) else {}
    sdk = Sdk("aws_clickstream", take("sdk_name", None), take("sdk_version", None), name, fields=event)
    record = Record(
        event_type=_event_type(name),
        event_id=identifier(take("event_id", None)),
        user_id=identifier(as_object(as_object(user).get("_user_id")).get("value")) if user else None,
        anonymous_id=identifier(take("device_id") if event.get("device_id") else event.get("unique_id")),
        session_id=identifier(attributes.get("_session_id")),
        sdk=sdk,
    )
    clocks.set_time(record, sdk, take("timestamp", None), skew)
    _fill(attributes, event)
    mapping.fill(attributes, agent)
    mapping.fill_commerce(attributes, record.event_type)
    record.raw_properties = mapping.raw(attributes)
    return record


def _event_type(name: object) -> str | None:
    if not isinstance(name, str) or not name:
        return None
    return _TYPES.get(name) or mapping.snake_case(name)


def _fill(attributes: Object, event: Object) -> None:
    for theirs, ours in _ATTRIBUTES:
        if theirs in attributes:
            put(attributes, ours, attributes[theirs])
    put(attributes, "page", mapping.path_of(attributes.get("_page_url")) or attributes.get("_screen_id"))
    if referrer := attributes.get("_page_referrer") or attributes.get("_latest_referrer"):
        put(attributes, "referrer", referrer)
    for theirs, ours in _FIELDS:
        if theirs in event:
            put(attributes, ours, event[theirs])
    if event.get("platform") in ("Android", "iOS"):
        put(attributes, "os", event["platform"])
    if (items := event.get("items")) and isinstance(items, list):
        put(attributes, "items", [mapping.line_item(as_object(item)) for item in items])
        if len(items) == 1:
            mapping.fill(attributes, mapping.line_item(as_object(items[0])))
