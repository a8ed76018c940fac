"""Kept events in the shape of Snowplow Micro, so that test suites written for it run against this API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from clickstream.arrivals import Refusal
from clickstream.errors import RequestRefused

_TYPES: Final = {
    "pv": "page_view",
    "pp": "page_ping",
    "se": "struct",
    "ue": "unstruct",
    "tr": "transaction",
    "ti": "transaction_item",
}
_SCHEMAS: Final = {
    "pv": "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0",
    "pp": "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0",
    "se": "iglu:com.google.analytics/event/jsonschema/1-0-0",
    "tr": "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0",
    "ti": "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
}
# The tracker protocol's name -> Snowplow's name of the column.
_COLUMNS: Final = {
    "aid": "app_id",
    "p": "platform",
    "tna": "name_tracker",
    "tv": "v_tracker",
    "uid": "user_id",
    "url": "page_url",
    "page": "page_title",
    "refr": "page_referrer",
    "se_ca": "se_category",
    "se_ac": "se_action",
    "se_la": "se_label",
    "se_pr": "se_property",
    "se_va": "se_value",
    "duid": "domain_userid",
    "sid": "domain_sessionid",
}
_LONGEST_LIMIT: Final = 10  # digits
_FAMILY: Final = "snowplow"
_MARK: Final = f'"{_FAMILY}"'.encode()
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def good_events(records: Iterable[bytes]) -> list[dict[str, Any]]:
    """The Snowplow events among `records`, newest first as Micro gives them."""
    events = (_decode(record) for record in records if _MARK in record)
    return [_good(event) for event in events if _object(event.get("sdk")).get("family") == _FAMILY][::-1]


def bad_events(refused: Sequence[Refusal]) -> list[dict[str, Any]]:
    """The Snowplow events among `refused`, newest first."""
    return [
        {
            "collectorPayload": {"body": refusal.shown()["raw"]},
            "rawEvent": None,
            "errors": [f"{refusal.code}: {refusal.message}"],
        }
        for refusal in reversed(refused)
        if refusal.family == _FAMILY
    ]


def filtered(events: Sequence[dict[str, Any]], conditions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `events` that meet Micro's conditions `schema`, `event_type`, `contexts`, at most `limit`."""
    wanted = conditions.get("contexts") or []
    contexts = set(
        wanted.split(",") if isinstance(wanted, str) else map(str, wanted if isinstance(wanted, list) else ())
    )
    found = [
        event
        for event in events
        if conditions.get("schema") in (None, event["schema"])
        and conditions.get("event_type") in (None, event["eventType"])
        and contexts <= set(event["contexts"])
    ]
    return found[: limit_of(conditions)]


def limit_of(conditions: Mapping[str, Any]) -> int | None:
    """The condition `limit`, None where there is none; raises RequestRefused when it is no number of events."""
    if "limit" not in conditions:
        return None
    text = str(conditions["limit"])
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_LIMIT):
        raise RequestRefused(
            "invalid_parameter", f"limit={text[:40]}: expected a whole number of events", field="limit"
        )
    return int(text)


def _good(event: Mapping[str, Any]) -> dict[str, Any]:
    # Any sender can write `sdk` itself, so nothing in it is as the adapter would write it until looked at.
    sdk, properties = _object(event.get("sdk")), _object(event.get("properties"))
    fields = _object(sdk.get("fields"))
    kind = fields.get("e")
    kind = kind if isinstance(kind, str) else ""
    contexts = [str(entity.get("schema")) for entity in _data(fields.get("co")) if isinstance(entity, dict)]
    parameters = {
        **fields,
        "eid": event["event_id"],
        "uid": event.get("user_id"),
        "sid": event.get("session_id"),
        "tna": sdk.get("library"),
        "tv": sdk.get("version"),
        "dtm": sdk.get("original_timestamp"),
        "page": fields.get("page") or properties.get("title"),
        "refr": fields.get("refr") or properties.get("referrer"),
        **{name: properties.get(ours) for name, ours in _STRUCTURED if properties.get(ours) is not None},
    }
    parameters = {name: _text(value) for name, value in parameters.items() if value is not None}
    described = _inner(fields.get("ue_pr"))
    schema = described.get("schema") if kind == "ue" else _SCHEMAS.get(kind)
    columns = {ours: parameters[theirs] for theirs, ours in _COLUMNS.items() if theirs in parameters}
    return {
        "schema": schema,
        "eventType": _TYPES.get(kind, kind),
        "contexts": contexts,
        "rawEvent": {
            "api": {"vendor": "com.snowplowanalytics.snowplow", "version": "tp2"},
            "parameters": parameters,
            "contentType": "application/json",
        },
        "event": {
            **columns,
            "event": _TYPES.get(kind, kind),
            "event_id": event["event_id"],
            "collector_tstamp": event["received_at"],
            "derived_tstamp": event["timestamp"],
            "unstruct_event": fields.get("ue_pr"),
            "contexts": fields.get("co") or {},
        },
    }


_STRUCTURED: Final = (
    ("se_ca", "se_category"),
    ("se_ac", "se_action"),
    ("se_la", "se_label"),
    ("se_pr", "se_property"),
)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _inner(value: object) -> Mapping[str, Any]:
    return _object(_object(value).get("data"))


def _data(value: object) -> Sequence[Any]:
    data = _object(value).get("data")
    return data if isinstance(data, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
