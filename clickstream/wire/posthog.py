"""PostHog: `/batch/`, `/e/`, `/capture/`, `/i/v0/e/`, and `/i/v1/analytics/events` with its answer per event."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import parse_qs

from clickstream.wire import mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier

_RETRY: Final = {"Retry-After": "1"}


# 4xx but 408 and 429 is final for these SDKs; some of them count only 200 as success.
def _refused(reason: str) -> Answer:
    return json_answer(400, {"type": "validation_error", "code": "invalid_input", "detail": reason})


ANSWERS: Final = Answers(
    accepted=json_answer(200, {"status": 1}),
    refused=_refused("kept in GET /rejected"),
    unavailable=json_answer(503, {"type": "server_error", "code": "unavailable", "detail": "try again"}, _RETRY),
    refused_because=_refused,
)

_TYPES: Final = {"$pageview": "page_view", "$screen": "page_view"}


def decode_events(request: WireRequest) -> WireBatch:
    """Read one event, an array, or `{api_key, batch, sent_at}`, as JSON or as base64 in the form field `data`."""
    body = _body(request)
    whole = as_object(body)
    events = body if isinstance(body, list) else whole.get("batch", [body])
    if body is None or not isinstance(events, list):
        return WireBatch([request.body or request.query.get("data", "").encode()], _write_key(request, whole, {}))
    received_ms = mapping.milliseconds(request.received_at)
    skew = mapping.skew_ms(whole.get("sent_at") or request.query.get("_"), received_ms)
    key = _write_key(request, whole, as_object(events[0]) if events else {})
    records = [_record(event, skew, received_ms, request.user_agent) for event in events]
    return WireBatch(mapping.encode_all(records, request.body), key)


def decode_analytics_events(request: WireRequest) -> WireBatch:
    """Read the newer batch, whose answer tells about each event by its uuid."""
    batch = decode_events(request)
    events = as_object(mapping.decode_json(request.body)).get("batch")
    uuids = [as_object(event).get("uuid") for event in events] if isinstance(events, list) else None

    def answer_each(rejected: Collection[int]) -> Answer:
        if uuids is None:
            return ANSWERS.refused
        results = {
            uuid: {"result": "drop" if index in rejected else "ok"}
            for index, uuid in enumerate(uuids)
            if isinstance(uuid, str)
        }
        return json_answer(200, {"results": results})

    return WireBatch(batch.records, batch.write_key, answer_each=answer_each)


def _body(request: WireRequest) -> Any:  # noqa: ANN401 - any JSON
    text = request.query.get("data")
    if request.body.startswith(b"data="):
        text = parse_qs(request.body.decode("utf-8", "replace")).get("data", [""])[0]
    if text is None:
        return mapping.decode_json(request.body)
    return mapping.decode_json(text) or mapping.decode_base64(text)


def _record(event: object, skew: int, received_ms: int, user_agent: str) -> object:
    if not isinstance(event, dict):
        return event
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    for name in ("api_key", "token"):
        take(name, None)
    sent = take("properties", None)
    properties = {} if sent is None else sent
    said = as_object(properties)
    name = take("event", None)
    sdk = Sdk("posthog", said.get("$lib"), said.get("$lib_version"), name, fields=event)
    record = Record(_event_type(name, said), identifier(take("uuid", None)), properties=properties, sdk=sdk)
    _identify(record, take("distinct_id", None), take("session_id", None), said)
    timestamp, offset = take("timestamp", None), event.get("offset")
    if timestamp is None and isinstance(offset, int):
        mapping.set_time(record, sdk, received_ms - offset, 0)
    else:
        mapping.set_time(record, sdk, timestamp, 0 if said.get("$ignore_sent_at") else skew)
    _fill(said, record.event_type, user_agent)
    return record


def _identify(record: Record, distinct_id: Any, session_id: Any, said: Object) -> None:  # noqa: ANN401 - as sent
    """Split PostHog's one `distinct_id`: a browser's is its device until somebody is identified."""
    distinct_id = identifier(distinct_id or said.get("distinct_id"))
    device_id = identifier(said.get("$device_id") or said.get("$anon_distinct_id"))
    if distinct_id == device_id or said.get("$is_identified") is False:
        record.anonymous_id, record.user_id = distinct_id, identifier(said.get("$user_id"))
    else:
        record.user_id, record.anonymous_id = distinct_id, device_id
    record.session_id = identifier(said.get("$session_id") or session_id)


def _event_type(name: object, said: Object) -> str | None:
    if name == "$autocapture":
        return "click" if said.get("$event_type", "click") == "click" else "autocapture"
    return _TYPES.get(name) or mapping.type_of(name) if isinstance(name, str) else None


def _fill(said: Object, event_type: str | None, user_agent: str) -> None:
    additions = {
        "page": said.get("$pathname") or mapping.path_of(said.get("$current_url")),
        "title": said.get("$title"),
        "referrer": None if (referrer := said.get("$referrer")) == "$direct" else referrer,
        "locale": said.get("$locale") or said.get("$browser_language"),
        "country": said.get("$geoip_country_code"),
        "device": str(kind).lower() if (kind := said.get("$device_type")) else None,
        "browser": said.get("$browser"),
        "os": said.get("$os"),
        "element": said.get("$el_text"),
    }
    mapping.fill(said, additions)
    mapping.fill_agent(said, said.get("$raw_user_agent") or user_agent)
    mapping.fill_commerce(said, event_type)


def _write_key(request: WireRequest, body: Object, first: Object) -> str | None:
    for holder in (body, first, as_object(first.get("properties"))):
        key = holder.get("api_key") or holder.get("token")
        if isinstance(key, str):
            return key
    return request.headers.get("authorization", "").removeprefix("Bearer ") or None
