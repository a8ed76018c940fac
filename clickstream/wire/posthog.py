"""PostHog: `/batch/`, `/e/`, `/capture/`, `/i/v0/e/`, and `/i/v1/analytics/events` with its answer per event."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qs

from clickstream.wire import clocks, mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier, put

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
# PostHog's name -> ours, in the order in which they are asked.
_PROPERTIES: Final = (
    ("$pathname", "page"),
    ("$title", "title"),
    ("$locale", "locale"),
    ("$browser_language", "locale"),
    ("$geoip_country_code", "country"),
    ("$browser", "browser"),
    ("$os", "os"),
    ("$el_text", "element"),
)


def decode_events(request: WireRequest) -> WireBatch:
    """Read one event, an array, or `{api_key, batch, sent_at}`, as JSON or as base64 in the form field `data`."""
    body = _body(request)
    whole = as_object(body)
    events = body if isinstance(body, list) else whole.get("batch", [body])
    if body is None or not isinstance(events, list):
        return WireBatch([request.body or request.query.get("data", "").encode()], _write_key(request, whole, {}))
    received_ms = clocks.milliseconds(request.received_at)
    skew = clocks.skew_ms(whole.get("sent_at") or request.query.get("_"), received_ms)
    key = _write_key(request, whole, as_object(events[0]) if events else {})
    agent = mapping.agent_of(request.user_agent)
    return mapping.batch_of(events, partial(_record, skew, received_ms, agent), request.body, key)


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

    return replace(batch, answer_each=answer_each)


def _body(request: WireRequest) -> Any:  # noqa: ANN401 - any JSON
    text = request.query.get("data")
    if request.body.startswith(b"data="):
        text = parse_qs(request.body.decode("utf-8", "replace")).get("data", [""])[0]
    if text is None:
        return mapping.decode_json(request.body)
    return mapping.decode_json(text) or mapping.decode_base64(text)


def _record(skew: int, received_ms: int, agent: Mapping[str, str], event: Object) -> Record:
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    take("api_key", None)
    take("token", None)
    properties = take("properties", None)
    if properties is None:
        properties = {}
    said = as_object(properties)
    name = take("event", None)
    event_type = _event_type(name, said)
    sdk = Sdk("posthog", said.get("$lib"), said.get("$lib_version"), name, fields=event)
    record = Record(event_type=event_type, event_id=identifier(take("uuid", None)), sdk=sdk)
    _identify(record, take("distinct_id", None), take("session_id", None), said)
    timestamp = take("timestamp", None)
    if timestamp is None and isinstance(event.get("offset"), int):
        clocks.set_time(record, sdk, received_ms - event["offset"], 0)
    else:
        clocks.set_time(record, sdk, timestamp, 0 if skew and said.get("$ignore_sent_at") else skew)
    _fill(said)
    user_agent = said.get("$raw_user_agent")
    mapping.fill(said, mapping.agent_of(user_agent) if user_agent else agent)
    mapping.fill_commerce(said, event_type)
    record.raw_properties = mapping.raw(properties)
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


def _fill(said: Object) -> None:
    for theirs, ours in _PROPERTIES:
        if value := said.get(theirs):
            put(said, ours, value)
    if "$current_url" in said:
        put(said, "page", mapping.path_of(said["$current_url"]))
    if "$referrer" in said and said["$referrer"] != "$direct":
        put(said, "referrer", said["$referrer"])
    if kind := said.get("$device_type"):
        put(said, "device", str(kind).lower())


def _write_key(request: WireRequest, body: Object, first: Object) -> str | None:
    for holder in (body, first, as_object(first.get("properties"))):
        key = holder.get("api_key") or holder.get("token")
        if isinstance(key, str):
            return key
    return request.headers.get("authorization", "").removeprefix("Bearer ") or None
