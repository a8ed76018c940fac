"""Snowplow trackers: POST `…/tp2` and the GET pixel `/i`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from clickstream.wire import clocks, iglu, mapping
from clickstream.wire.base import Answer, Answers, WireBatch, WireRequest, json_answer
from clickstream.wire.mapping import Object, Record, Sdk, as_object, identifier, number, put
from clickstream.wire.segment import PIXEL_ANSWERS as _SEGMENT_PIXEL


# Trackers try again, without end, after anything but 2xx, 400, 401, 403, 410, 422: never answer 413 here.
def _refused(reason: str) -> Answer:
    return json_answer(422, {"status": "refused", "message": reason})


ANSWERS: Final = Answers(
    accepted=json_answer(200, {"status": "ok"}),
    refused=_refused("kept in GET /rejected"),
    unavailable=json_answer(503, {"status": "unavailable"}, {"Retry-After": "1"}),
    refused_because=_refused,
)
PIXEL_ANSWERS: Final = Answers(_SEGMENT_PIXEL.accepted, ANSWERS.refused, ANSWERS.unavailable, _refused)

_TYPES: Final = {"pv": "page_view", "pp": "page_ping", "tr": "purchase", "ti": "transaction_item"}
_SELF_DESCRIBING: Final = {"link_click": "click", "site_search": "search", "screen_view": "page_view"}
_ECOMMERCE_ACTIONS: Final = {
    "product_view": "page_view",
    "list_click": "click",
    "promo_click": "click",
    "checkout_step": "checkout",
    "transaction": "purchase",
}
# The tracker protocol's name -> ours; what is not in this list goes to sdk.fields.
_PROPERTIES: Final = {
    "page": "title",
    "refr": "referrer",
    "lang": "locale",
    "se_ca": "se_category",
    "se_ac": "se_action",
    "se_la": "se_label",
    "se_pr": "se_property",
    "tr_id": "order_id",
    "tr_cu": "currency",
    "ti_id": "order_id",
    "ti_sk": "product_id",
    "ti_nm": "product_name",
    "ti_ca": "category",
    "ti_cu": "currency",
    "se_va": "value",
    "tr_tt": "total",
    "ti_pr": "price",
    "ti_qu": "quantity",
}
_NUMBERS: Final = frozenset({"se_va", "tr_tt", "ti_pr", "ti_qu"})
_DATA: Final = {
    "targetUrl": "element",
    "sku": "product_id",
    "name": "product_name",
    "unitPrice": "price",
    "totalResults": "results_count",
}


def decode_tp2(request: WireRequest) -> WireBatch:
    """Read `{"schema", "data": [{flat map of strings}]}`."""
    events = as_object(mapping.decode_json(request.body)).get("data")
    if not isinstance(events, list):
        return WireBatch([request.body])
    received_ms = clocks.milliseconds(request.received_at)
    key = as_object(events[0]).get("aid") if events else None
    agent = mapping.agent_of(request.user_agent)
    read = partial(_record, received_ms, agent)
    return mapping.batch_of(events, read, request.body, key if isinstance(key, str) else None)


def decode_pixel(request: WireRequest) -> WireBatch:
    """Read one event from the address of the one-pixel image."""
    received_ms = clocks.milliseconds(request.received_at)
    read = partial(_record, received_ms, mapping.agent_of(request.user_agent))
    return mapping.batch_of([dict(request.query)], read, mapping.as_sent(request), request.query.get("aid"))


def _record(received_ms: int, agent: Mapping[str, str], event: Object) -> Record:
    name, data, contexts = iglu.unpack(event)
    properties = dict(data)
    session = contexts["client_session"][0] if "client_session" in contexts else {}
    event_type = _event_type(event.get("e"), name, data)
    take = event.pop  # what has a place of its own in our event is taken; everything else is `sdk.fields`
    sdk = Sdk("snowplow", take("tna", None), take("tv", None), name, fields=event)
    record = Record(
        event_type=event_type,
        event_id=identifier(take("eid", None)),
        user_id=identifier(take("uid", None)),
        anonymous_id=identifier(event.get("duid") or event.get("nuid") or session.get("userId")),
        session_id=identifier(take("sid", None) or session.get("sessionId")),
        sdk=sdk,
    )
    skew = clocks.skew_ms(take("stm", None), received_ms)
    sent, true_time = take("dtm", None), event.get("ttm")
    clocks.set_time(record, sdk, true_time or sent, 0 if true_time else skew)
    _spread(event, properties)
    if data:
        _fill_from_data(properties, data)
    if contexts:
        _fill_from_contexts(properties, contexts)
    user_agent = event.get("ua")
    mapping.fill(properties, mapping.agent_of(user_agent) if user_agent else agent)
    mapping.fill_commerce(properties, event_type)
    record.raw_properties = mapping.raw(properties)
    return record


def _event_type(kind: object, name: object, data: Object) -> str | None:
    if isinstance(kind, str) and kind in _TYPES:
        return _TYPES[kind]
    if name == "snowplow_ecommerce_action":
        action = str(data.get("type"))
        return _ECOMMERCE_ACTIONS.get(action) or mapping.type_of(action)
    return _SELF_DESCRIBING.get(str(name)) or mapping.type_of(name)


def _spread(event: Object, properties: Object) -> None:
    """Move what has a standard name from `event` into `properties`."""
    for theirs in tuple(event):
        ours = _PROPERTIES.get(theirs)
        if ours is not None and ours not in properties:
            # Numbers stay in the event as well, as they were written.
            properties[ours] = number(event[theirs]) if theirs in _NUMBERS else event.pop(theirs)
    put(properties, "page", mapping.path_of(event.get("url")))


def _fill_from_data(properties: Object, data: Object) -> None:
    mapping.fill(properties, {ours: data[theirs] for theirs, ours in _DATA.items() if theirs in data})
    terms = data.get("terms")
    mapping.fill(properties, {"query": " ".join(map(str, terms)) if isinstance(terms, list) else None})


def _fill_from_contexts(properties: Object, contexts: dict[str, list[Object]]) -> None:
    fill, products, transaction = mapping.fill, contexts.get("product", []), contexts.get("transaction", [{}])[0]
    fill(properties, {"order_id": transaction.get("transaction_id"), "total": transaction.get("revenue")})
    fill(properties, {"currency": transaction.get("currency") or (products[0].get("currency") if products else None)})
    fill(properties, {"cart_value": contexts.get("cart", [{}])[0].get("total_value")})
    if len(products) == 1:
        fill(properties, mapping.line_item(products[0]))
    fill(properties, {"items": [mapping.line_item(product) for product in products] or None})
