"""What SDK families call things, and what this platform calls them."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.wire.mapping import snake_case
from tests.support.wire import decode, events, request, route_of

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
ORDER = {
    "order_id": "o-1",
    "revenue": 25.5,
    "currency": "EUR",
    "products": [{"product_id": "SKU-1", "name": "Shoe", "price": 12.75, "quantity": 2}],
}
ITEMS = [{"product_id": "SKU-1", "product_name": "Shoe", "price": 12.75, "quantity": 2}]


def segment(**event: object) -> dict[str, Any]:
    event = {"messageId": "m-1", "userId": "u-1", "timestamp": "2026-11-24T09:19:00Z", **event}
    (ours,) = events(request("/v1/batch", {"batch": [event], "writeKey": "k"}))
    return ours


def posthog(event: str, **properties: object) -> dict[str, Any]:
    sent = {"event": event, "uuid": "m-1", "distinct_id": "u-1", "properties": properties}
    (ours,) = events(request("/batch/", {"api_key": "k", "batch": [sent]}))
    return ours


def snowplow(**event: str) -> dict[str, Any]:
    sent = {"eid": "m-1", "uid": "u-1", "p": "web", "dtm": "1795511940000", **event}
    (ours,) = events(request(TP2, {"schema": PAYLOAD, "data": [sent]}))
    return ours


def self_describing(name: str, data: dict[str, Any], *contexts: dict[str, Any], encoded: bool = True) -> dict[str, Any]:
    body = {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"}
    inner = {**body, "data": {"schema": f"iglu:com.acme/{name}/jsonschema/1-0-0", "data": data}}
    attached = {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": list(contexts)}
    if encoded:
        return snowplow(e="ue", ue_px=_base64(inner), **({"cx": _base64(attached)} if contexts else {}))
    return snowplow(e="ue", ue_pr=json.dumps(inner), co=json.dumps(attached))


def _base64(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def aws(event_type: str, **fields: object) -> dict[str, Any]:
    sent = {"event_type": event_type, "event_id": "m-1", "device_id": "d-1", "timestamp": 1795511940000, **fields}
    (ours,) = events(request("/collect?platform=Web&appId=shop", [sent]))
    return ours


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("Products Searched", "search"),
        ("Product Viewed", "page_view"),
        ("Product Clicked", "click"),
        ("Product Added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"),
        ("Checkout Started", "checkout"),
        ("Order Completed", "purchase"),
        ("Newsletter Signed Up", "newsletter_signed_up"),
        ("videoPlayed", "video_played"),
        ("2FA enabled", "event_2fa_enabled"),
        ("purchase", "purchase"),
    ],
)
def test_a_name_means_the_same_in_segment_and_posthog_and_stays_readable(name: str, event_type: str) -> None:
    for event in (segment(type="track", event=name), posthog(name)):
        assert event["event_type"] == event_type
        assert event["sdk"]["original_event"] == name


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("page", "page_view"),
        ("screen", "page_view"),
        ("identify", "identify"),
        ("group", "group"),
        ("alias", "alias"),
    ],
)
def test_segment_calls_become_types_and_keep_their_traits(kind: str, event_type: str) -> None:
    event = segment(type=kind, traits={"plan": "pro"}, groupId="g-1")

    assert event["event_type"] == event_type
    assert event["properties"]["traits"] == {"plan": "pro"}
    assert event["sdk"]["fields"]["groupId"] == "g-1"


@pytest.mark.parametrize("kind", ["track", "t"])
def test_segment_single_routes_take_the_type_from_the_path(kind: str) -> None:
    body = {"messageId": "m-1", "anonymousId": "a-1", "event": "Product Added", "properties": {"sku": "SKU-1"}}

    (event,) = events(request(f"/v1/{kind}", body))

    assert (event["event_type"], event["anonymous_id"]) == ("add_to_cart", "a-1")
    assert event["properties"]["product_id"] == "SKU-1"


def test_segment_browser_context_gives_page_referrer_device_and_campaign() -> None:
    chrome = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36"
    page = {"path": "/shoes", "url": "https://shop.test/shoes", "title": "Shoes", "referrer": "https://search.test/"}
    campaign = {"name": "spring", "source": "news", "medium": "email"}
    context = {"page": page, "campaign": campaign, "locale": "de-DE", "userAgent": chrome}

    assert segment(type="page", context=context)["properties"] == {
        "page": "/shoes",
        "title": "Shoes",
        "referrer": "https://search.test/",
        "locale": "de-DE",
        "utm_source": "news",
        "utm_medium": "email",
        "utm_campaign": "spring",
        "device": "mobile",
        "browser": "Chrome",
        "os": "Android",
    }


def test_an_order_has_its_total_and_its_items_in_every_family() -> None:
    product = {"schema": "iglu:x/product/jsonschema/1-0-0", "data": {"id": "SKU-1", "name": "Shoe", "price": 12.75}}
    product["data"]["quantity"] = 2
    transaction = {
        "schema": "iglu:x/transaction/jsonschema/1-0-0",
        "data": {"transaction_id": "o-1", "revenue": 25.5, "currency": "EUR"},
    }
    item = {"id": "SKU-1", "name": "Shoe", "price": 12.75, "quantity": 2}
    attributes = {"order_id": "o-1", "_value": 25.5, "_currency": "EUR"}

    orders = [
        segment(type="track", event="Order Completed", properties=ORDER),
        posthog("Order Completed", **ORDER),
        self_describing("snowplow_ecommerce_action", {"type": "transaction"}, transaction, product),
        aws("purchase", attributes=attributes, items=[item]),
    ]

    for order in orders:
        properties = order["properties"]
        assert order["event_type"] == "purchase"
        assert (properties["order_id"], properties["total"], properties["currency"]) == ("o-1", 25.5, "EUR")
        assert properties["items"] == ITEMS


def test_a_property_that_the_sdk_set_itself_is_never_overwritten() -> None:
    event = segment(type="page", name="Home", properties={"page": 7, "title": "Mine", "path": "/x"})

    assert event["properties"]["page"] == 7
    assert event["properties"]["title"] == "Mine"


@pytest.mark.parametrize(
    ("name", "properties", "event_type"),
    [
        ("$pageview", {"$current_url": "https://shop.test/a?b=c"}, "page_view"),
        ("$screen", {}, "page_view"),
        ("$autocapture", {"$event_type": "click"}, "click"),
        ("$autocapture", {"$event_type": "submit"}, "autocapture"),
        ("$identify", {}, "identify"),
        ("$pageleave", {}, "pageleave"),
    ],
)
def test_posthog_own_events_become_standard_or_custom_types(
    name: str, properties: dict[str, Any], event_type: str
) -> None:
    event = posthog(name, **properties)

    assert event["event_type"] == event_type
    assert event["sdk"]["original_event"] == name


def test_posthog_browser_ids_are_anonymous_until_somebody_is_identified() -> None:
    before = posthog("$pageview", **{"$device_id": "u-1", "$session_id": "s-1"})
    after = posthog("$pageview", **{"$device_id": "d-1"})

    assert (before["anonymous_id"], before.get("user_id"), before["session_id"]) == ("u-1", None, "s-1")
    assert (after["anonymous_id"], after["user_id"]) == ("d-1", "u-1")


@pytest.mark.parametrize("path", ["/batch", "/batch/", "/e/", "/capture/", "/i/v0/e/", "/i/v0/e"])
def test_posthog_takes_one_event_an_array_and_a_form_on_all_its_routes(path: str) -> None:
    event = {"event": "$pageview", "distinct_id": "u-1", "uuid": "m-1", "token": "k", "properties": {}}
    form = urlencode({"data": base64.b64encode(json.dumps(event).encode()).decode()}).encode()

    for sent in (request(path, event), request(path, [event]), request(path, body=form)):
        assert [ours["event_id"] for ours in events(sent)] == ["m-1"]
        assert decode(sent).write_key == "k"


def test_posthog_newer_batch_is_answered_per_event() -> None:
    events_sent = [
        {"event": "a", "uuid": "m-1", "distinct_id": "u-1"},
        {"event": "", "uuid": "m-2", "distinct_id": "u"},
    ]
    sent = request("/i/v1/analytics/events", {"batch": events_sent}, headers={"authorization": "Bearer k"})
    batch = decode(sent)

    answer = route_of(sent).answer(batch, [1])

    assert (answer.status, batch.write_key) == (200, "k")
    assert json.loads(answer.body) == {"results": {"m-1": {"result": "ok"}, "m-2": {"result": "drop"}}}


@pytest.mark.parametrize(
    ("name", "data", "event_type", "expected"),
    [
        ("link_click", {"targetUrl": "https://x.test/"}, "click", {"element": "https://x.test/"}),
        ("add_to_cart", {"sku": "S", "unitPrice": 5.5}, "add_to_cart", {"product_id": "S", "price": 5.5}),
        ("remove_from_cart", {"sku": "S"}, "remove_from_cart", {"product_id": "S"}),
        (
            "site_search",
            {"terms": ["red", "shoe"], "totalResults": 3},
            "search",
            {"query": "red shoe", "results_count": 3},
        ),
        ("snowplow_ecommerce_action", {"type": "checkout_step"}, "checkout", {}),
        ("snowplow_ecommerce_action", {"type": "product_view"}, "page_view", {}),
        ("video_played", {"length": 7}, "video_played", {"length": 7}),
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
def test_snowplow_self_describing_events_are_opened(
    name: str, data: dict[str, Any], event_type: str, expected: dict[str, Any], encoded: bool
) -> None:
    event = self_describing(name, data, encoded=encoded)

    assert event["event_type"] == event_type
    assert {key: event["properties"].get(key) for key in expected} == expected
    assert data.items() <= event["properties"].items()
    assert event["sdk"]["fields"]["ue_pr"]["data"]["data"] == data


def test_snowplow_base64_that_is_none_stays_as_it_came() -> None:
    event = snowplow(e="pv", url="https://shop.test/", cx="%%%")

    assert event["sdk"]["fields"]["cx"] == "%%%"


def test_snowplow_old_transactions_are_purchases() -> None:
    event = snowplow(e="tr", tr_id="o-1", tr_tt="25.50", tr_cu="EUR")

    assert event["event_type"] == "purchase"
    assert event["properties"] == {"order_id": "o-1", "currency": "EUR", "total": 25.5}
    assert event["sdk"]["fields"]["tr_tt"] == "25.50"


def test_snowplow_true_time_is_not_corrected() -> None:
    sent = {"e": "pv", "eid": "m-1", "uid": "u-1", "dtm": "1795511940000", "ttm": "1795511000000", "stm": "1"}

    (event,) = events(request(TP2, {"data": [sent]}))

    assert event["timestamp"] == "2026-11-24T09:03:20.000Z"


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("_page_view", "page_view"),
        ("_click", "click"),
        ("_search", "search"),
        ("add_to_cart", "add_to_cart"),
        ("begin_checkout", "checkout"),
        ("view_item", "view_item"),
    ],
)
def test_aws_clickstream_names_become_types(name: str, event_type: str) -> None:
    assert aws(name)["event_type"] == event_type


def test_a_pixel_carries_an_event_in_its_address() -> None:
    data = base64.b64encode(
        json.dumps({"userId": "u-1", "messageId": "m-1", "event": "Product Added"}).encode()
    ).decode()
    sent = request(f"/v1/pixel/track?data={quote(data)}", method="GET")

    assert [event["event_type"] for event in events(sent)] == ["add_to_cart"]
    assert route_of(sent).answer(decode(sent), []).body.startswith(b"GIF89a")


def test_stubs_answer_what_browser_sdks_fetch_before_they_start() -> None:
    settings = request("/v1/projects/KEY/settings", method="GET", headers={"host": "127.0.0.1:3000"})
    config = request("/sourceConfig/?writeKey=KEY", method="GET")
    flags = request("/flags/?v=2", {"token": "k"})

    integration = json.loads(route_of(settings).answer(decode(settings), []).body)["integrations"]["Segment.io"]
    assert integration["apiHost"] == "127.0.0.1:3000/v1"
    assert json.loads(route_of(config).answer(decode(config), []).body)["source"]["enabled"] is True
    assert json.loads(route_of(flags).answer(decode(flags), []).body)["flags"] == {}
    assert [decode(sent).records for sent in (settings, config, flags)] == [[], [], []]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/batch", 400), ("/batch/", 400), (TP2, 422), ("/collect?appId=shop", 200)],
)
def test_a_body_that_cannot_be_read_is_one_record_at_fault_and_the_answer_stops_the_retries(
    path: str, status: int
) -> None:
    sent = request(path, body=b'{"batch": [')

    batch = decode(sent)

    assert batch.records == [b'{"batch": [']
    assert route_of(sent).answer(batch, [0]).status == status
    assert route_of(sent).answers.unavailable.status == 503
    assert route_of(sent).answers.unavailable.headers["Retry-After"] == "1"


def test_one_event_at_fault_does_not_make_an_sdk_send_its_batch_again() -> None:
    sent = request("/v1/batch", {"batch": [{"type": "track", "event": "a", "userId": "u"}, 7]})
    batch = decode(sent)

    assert [json.loads(record) for record in batch.records][1] == 7
    assert route_of(sent).answer(batch, [1]).status == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
known_names = st.sampled_from(
    [
        "type",
        "event",
        "name",
        "properties",
        "context",
        "traits",
        "page",
        "campaign",
        "library",
        "userId",
        "messageId",
        "timestamp",
        "sentAt",
        "e",
        "eid",
        "co",
        "ue_pr",
        "cx",
        "data",
        "uuid",
        "distinct_id",
        "offset",
        "$event_type",
        "attributes",
        "user",
        "items",
        "_session_id",
        "products",
        "schema",
        "se_ac",
        "url",
        "os",
        "device",
    ]
)
sdk_events = st.dictionaries(known_names, json_values, max_size=8)
PATHS = ["/v1/batch", "/v1/track", "/batch/", "/i/v1/analytics/events", TP2, "/collect"]


@given(path=st.sampled_from(PATHS), event=sdk_events | json_values, wrap=st.sampled_from(["batch", "data", "", "list"]))
def test_no_body_makes_an_adapter_fail_or_lose_an_event(path: str, event: object, wrap: str) -> None:
    document = [event] if wrap == "list" else {wrap: [event], "sentAt": event} if wrap else event

    sent = request(path, body=json.dumps(document).encode())
    batch = decode(sent)
    answer = route_of(sent).answer(batch, [0])

    assert answer.status in (200, 400, 422)
    assert len(batch.records) >= (0 if document == [] else 1)
    for record in batch.records:
        json.loads(record)


@given(st.binary(max_size=40) | st.just(b"[" * 100_000))
def test_bytes_that_are_no_json_come_out_as_they_came(body: bytes) -> None:
    for path in PATHS:
        records = decode(request(path, body=body)).records

        assert records == [body] or body[:5] == b"data=" or _is_json(body)


@pytest.mark.parametrize(("path", "open_", "close"), [("/v1/batch", b'{"batch":[', b"]}"), ("/collect", b"[", b"]")])
def test_events_as_deep_as_a_decoder_goes_are_kept_for_the_quarantine(path: str, open_: bytes, close: bytes) -> None:
    for depth in range(900, 1010):
        body = open_ + b'{"a":' * depth + b"1" + b"}" * depth + close
        records = decode(request(path, body=body)).records

        assert len(records) == 1
        assert records == [body] or b'{"a":' * (depth - 1) in records[0]


@given(st.text(min_size=1))
def test_every_name_becomes_a_legal_type(name: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_.:-]{0,63}", snake_case(name))


def test_names_that_differ_only_beyond_what_a_type_can_hold_stay_two_types() -> None:
    assert snake_case("x" * 100) != snake_case("x" * 101)
    assert snake_case("购买") != snake_case("搜索")


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def test_a_pixel_that_nests_too_deep_is_kept_for_the_quarantine() -> None:
    for depth in range(900, 1010):
        data = base64.b64encode(b'{"event":"s","userId":"u","z":' + b"[" * depth + b"]" * depth + b"}").decode()

        (record,) = decode(request(f"/v1/pixel/track?{urlencode({'data': data})}", method="GET")).records

        assert len(record) > depth


def test_names_that_say_nothing_do_not_hide_those_that_do() -> None:
    assert posthog("$pageview", **{"$pathname": False, "$current_url": "http://h/p"})["properties"]["page"] == "/p"
    assert segment(type="page", name="N", context={"page": {"title": False}})["properties"]["title"] == "N"
    assert segment(type="track", event="s", traits={"a": 1}, properties={"traits": None})["properties"]["traits"] == {
        "a": 1
    }
    both = {"_screen_name": "S", "_page_title": "P"}
    assert aws("_screen_view", attributes=both)["properties"]["title"] == "P"
    assert aws("_click", device_id=0, unique_id="q")["sdk"]["fields"]["device_id"] == 0
