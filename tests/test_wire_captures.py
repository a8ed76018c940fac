"""Recorded requests of real SDK releases become exactly these events, and nothing they said is missing."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.support.wire import captured, decode, events, leaves, route_of

RECEIVED = datetime(2026, 11, 24, 9, 19, 36, tzinfo=timezone.utc)
LATER = datetime(2026, 11, 24, 9, 20, 40, tzinfo=timezone.utc)


def test_segment_python_sends_a_product_view_and_a_page() -> None:
    (request,) = captured("py_segment", received_at=RECEIVED)

    assert decode(request).write_key == "WK_TEST"
    assert events(request) == [
        {
            "event_type": "page_view",
            "event_id": "90a5b1dc-d136-4163-8462-58a3163df0f7",
            "user_id": "user_1",
            "timestamp": "2026-11-24T09:19:35.480Z",
            "properties": {"product_id": "SKU-1", "price": 9.99},
            "sdk": {
                "family": "segment",
                "library": "analytics-python",
                "version": "2.4.0",
                "original_event": "Product Viewed",
                "fields": {
                    "type": "track",
                },
            },
        },
        {
            "event_type": "page_view",
            "event_id": "5ba05ae2-0026-4274-b0df-5ef8f607d71f",
            "user_id": "user_1",
            "timestamp": "2026-11-24T09:19:35.481Z",
            "properties": {"url": "http://shop.test/", "page": "/", "title": "Home"},
            "sdk": {
                "family": "segment",
                "library": "analytics-python",
                "version": "2.4.0",
                "original_event": "page",
                "fields": {
                    "category": "Retail",
                    "type": "page",
                    "name": "Home",
                },
            },
        },
    ]


def test_posthog_python_sends_a_product_view_and_a_page_view() -> None:
    (request,) = captured("py_posthog_gzip", received_at=RECEIVED)

    product_view, page_view = events(request)

    assert decode(request).write_key == "phc_TEST"
    assert product_view["event_type"] == "page_view"
    assert product_view["event_id"] == "1d136753-7f7e-4896-8b98-534397f78c2a"
    assert product_view["user_id"] == "user_1"
    assert product_view["timestamp"] == "2026-11-24T09:19:32.515Z"
    assert product_view["properties"]["product_id"] == "SKU-1"
    assert product_view["properties"]["price"] == 9.99
    assert product_view["sdk"] == {
        "family": "posthog",
        "library": "posthog-python",
        "version": "7.91.1",
        "original_event": "Product Viewed",
        "original_timestamp": "2026-11-24T09:19:32.515406+00:00",
    }
    assert page_view["properties"]["page"] == "/"
    assert page_view["sdk"]["original_event"] == "$pageview"


@pytest.mark.parametrize("name", ["py_snowplow", "py_snowplow_get"])
def test_snowplow_python_sends_a_structured_event_and_a_page_view(name: str) -> None:
    structured, page_view = [events(request)[0] for request in captured(name, received_at=RECEIVED)]

    assert structured["event_type"] == "page_view"
    assert structured["user_id"] == "user_1"
    assert structured["properties"] == {
        "se_category": "shop",
        "se_action": "product_viewed",
        "se_label": "SKU-1",
        "value": 9.99,
    }
    assert structured["sdk"]["original_event"] == "product_viewed"
    assert page_view["event_type"] == "page_view"
    assert page_view["properties"] == {"page": "/", "title": "Home"}
    assert page_view["sdk"]["library"] == "sp"
    assert page_view["sdk"]["fields"] == {"e": "pv", "url": "http://shop.test/", "p": "pc", "aid": "shop"}


def test_aws_clickstream_web_sends_its_session_page_views_and_a_custom_event() -> None:
    sent = [events(request)[0] for request in captured("js_awsclickstream", received_at=LATER)]

    assert [event["event_type"] for event in sent] == [
        "first_open",
        "session_start",
        "page_view",
        "profile_set",
        "product_viewed",
        "page_view",
    ]
    assert {event["anonymous_id"] for event in sent} == {"1f511b88-e2b8-47f2-8f0c-0c0a9a3d358d"}
    assert {event["session_id"] for event in sent} == {"ec7ca20e-20261124-092038218"}
    assert [event.get("user_id") for event in sent] == [None, None, None, "user_1", "user_1", "user_1"]
    assert sent[2]["timestamp"] == "2026-11-24T09:20:38.221Z"
    assert sent[2]["properties"]["page"] == "/home"
    assert sent[2]["sdk"]["original_event"] == "_page_view"
    assert sent[4]["properties"]["product_id"] == "SKU-1"


@pytest.mark.parametrize(
    ("name", "received_at"),
    [
        ("py_segment", RECEIVED),
        ("py_posthog_gzip", RECEIVED),
        ("py_snowplow", RECEIVED),
        ("js_awsclickstream", LATER),
    ],
)
def test_every_value_an_sdk_said_about_an_event_is_somewhere_in_ours(name: str, received_at: datetime) -> None:
    for request in captured(name, received_at=received_at):
        for original, event in zip(_originals(request.body), events(request), strict=True):
            ours = {str(leaf) for leaf in leaves(event)} | {event["timestamp"].replace("Z", "+00:00")}

            said = {str(leaf) for key, leaf in original.items() for leaf in leaves(leaf) if key not in ("dtm", "stm")}

            assert said - ours == set()


@pytest.mark.parametrize(
    "name", ["py_segment", "py_posthog_gzip", "py_snowplow", "py_snowplow_get", "js_awsclickstream"]
)
def test_every_family_is_answered_exactly_200_when_its_events_are_kept(name: str) -> None:
    for request in captured(name, received_at=LATER):
        batch = decode(request)

        assert route_of(request).answer(batch, []).status == 200


def test_a_sender_whose_clock_is_an_hour_behind_gets_its_times_corrected() -> None:
    received_at = datetime(2026, 11, 24, 10, 19, 35, 976998, tzinfo=timezone.utc)

    (request,) = captured("py_segment", received_at=received_at)

    assert [event["timestamp"] for event in events(request)] == ["2026-11-24T10:19:35.480Z", "2026-11-24T10:19:35.481Z"]
    assert events(request)[0]["sdk"]["original_timestamp"] == "2026-11-24T09:19:35.480+00:00"
    assert events(request)[0]["sdk"]["clock_skew_ms"] == 3_600_000


def _originals(body: bytes) -> list[dict[str, Any]]:
    document = json.loads(body)
    if isinstance(document, list):
        return document
    found: list[dict[str, Any]] = document.get("batch") or document.get("data")
    return found
