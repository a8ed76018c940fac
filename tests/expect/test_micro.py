"""What suites for Snowplow Micro ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.expect.asking import expect, purchase, send
from tests.support.platform import Platform
from tests.support.waiting import until

CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"


def test_suites_for_snowplow_micro_find_their_endpoints(api: Platform) -> None:
    tp2 = f"{api.url}/com.snowplowanalytics.snowplow/tp2"
    context = {"schema": "iglu:com.acme/product/jsonschema/1-0-0", "data": {"sku": "S"}}
    view = {
        "e": "pv",
        "eid": "e-1",
        "uid": "u",
        "aid": "shop",
        "url": "https://shop.test/",
        "page": "Home",
        "dtm": "1795511940000",
        "tv": "js",
        "tna": "sp",
        "co": json.dumps({"schema": CONTEXTS, "data": [context]}),
    }
    struct = {"e": "se", "eid": "e-2", "uid": "u", "se_ca": "shop", "se_ac": "add", "se_va": "5"}

    send(api, {"event_type": "No Snowplow Event"})
    requests.post(f"{api.url}/v1/track", json={"event": "nor this one"}, timeout=5)
    requests.post(f"{api.url}/v1/track", json={"event": "good", "userId": "u"}, timeout=5)

    requests.post(tp2, json={"schema": "s", "data": [view, struct, {"e": "pv"}]}, timeout=5)

    until(lambda: micro(api, "all") == {"total": 3, "good": 2, "bad": 1})
    good = micro(api, "good", event_type="page_view")
    assert [event["schema"] for event in good] == ["iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0"]
    assert good[0]["contexts"] == ["iglu:com.acme/product/jsonschema/1-0-0"]
    assert good[0]["event"]["page_title"] == "Home"
    assert good[0]["rawEvent"]["parameters"]["url"] == "https://shop.test/"
    assert [event["event"]["se_action"] for event in micro(api, "good", event_type="struct")] == ["add"]
    assert micro(api, "good", contexts="iglu:com.acme/other/jsonschema/1-0-0") == []
    asked = requests.post(f"{api.url}/micro/good", json={"contexts": [context["schema"]], "limit": 1}, timeout=5).json()
    assert [event["event"]["event_id"] for event in asked] == ["e-1"]
    (bad,) = micro(api, "bad")
    assert "missing_identity" in bad["errors"][0]
    assert micro(api, "reset") == {"total": 0, "good": 0, "bad": 0}
    assert micro(api, "good") == []


@pytest.mark.parametrize(
    "sdk",
    [
        None,
        "snowplow",
        {"family": "segment"},
        {"family": "snowplow"},
        {"family": "snowplow", "fields": "xx"},
        {"family": "snowplow", "fields": {"e": [], "co": {"data": "x"}, "ue_pr": {"data": []}}},
        {"family": "snowplow", "fields": {"e": "ue", "co": {"data": [{"schema": {}}, 5]}, "ue_pr": [1]}, "library": {}},
    ],
)
def test_whatever_an_event_holds_the_routes_of_micro_go_on(api: Platform, sdk: object) -> None:
    event = {"event_type": "click", "user_id": "u", "properties": {"family": "snowplow"}}
    send(api, {**event, "sdk": sdk} if sdk else event)
    is_snowplow = isinstance(sdk, dict) and sdk["family"] == "snowplow"

    until(lambda: expect(api, event_type="click", timeout="0")[0] == 200)

    assert micro(api, "all") == {"total": int(is_snowplow), "good": int(is_snowplow), "bad": 0}
    assert len(micro(api, "good")) == int(is_snowplow)


@pytest.mark.parametrize("limit", ["²", "9" * 5000, "-1", "1.5", "x"])
@pytest.mark.parametrize("name", ["good", "bad"])
def test_a_wrong_limit_is_named(api: Platform, name: str, limit: str) -> None:
    by_address = requests.get(f"{api.url}/micro/{name}", params={"limit": limit}, timeout=5)
    by_body = requests.post(f"{api.url}/micro/{name}", json={"limit": limit}, timeout=5)
    by_null = requests.post(f"{api.url}/micro/{name}", json={"limit": None}, timeout=5)

    for answer in (by_address, by_body, by_null):
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "limit")


@pytest.mark.parametrize("body", [[1], "x", 5, None])
def test_conditions_that_are_no_object_are_refused(api: Platform, body: object) -> None:
    answer = requests.post(f"{api.url}/micro/good", data=json.dumps(body), timeout=5)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_body")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Referer": "https://evil.test/"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.test"}, 403),
        ({}, 200),
    ],
)
def test_another_sites_page_resets_nothing(api: Platform, method: str, headers: dict[str, str], status: int) -> None:
    send(api, purchase())

    answer = requests.request(method, f"{api.url}/micro/reset", headers=headers, timeout=5)

    assert answer.status_code == status
    assert expect(api, event_type="purchase", timeout="0")[0] == (404 if status == 200 else 200)


def micro(api: Platform, name: str, **conditions: str) -> Any:  # noqa: ANN401 - any JSON
    return requests.get(f"{api.url}/micro/{name}", params=conditions, timeout=5).json()
