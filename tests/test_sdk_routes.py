"""The compatibility routes of the running API: answers, CORS, and what happens to what it cannot keep."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from clickstream.wire import ROUTES
from tests.support.platform import Platform, platform
from tests.support.waiting import until

TP2 = "/com.snowplowanalytics.snowplow/tp2"
EVENTS = {
    "/v1/batch": {"batch": [{"type": "track", "event": "a", "userId": "u", "messageId": "m"}]},
    "/batch/": {"api_key": "k", "batch": [{"event": "a", "distinct_id": "u", "uuid": "m"}]},
    "/i/v0/e/": {"token": "k", "event": "a", "distinct_id": "u", "uuid": "m"},
    TP2: {"schema": "s", "data": [{"e": "se", "se_ac": "a", "uid": "u", "eid": "m"}]},
    "/collect?appId=shop": [{"event_type": "a", "event_id": "m", "device_id": "u"}],
}
ANSWERS = {
    "/v1/batch": b'{"success":true}',
    "/batch/": b'{"status":1}',
    "/i/v0/e/": b'{"status":1}',
    TP2: b'{"status":"ok"}',
    "/collect?appId=shop": b"",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("api"), MAX_BODY_BYTES="20000") as running:
        yield running


@pytest.mark.parametrize("path", EVENTS)
def test_a_kept_event_is_answered_200_with_the_body_its_sdk_expects(api: Platform, path: str) -> None:
    answer = requests.post(api.url + path, json=EVENTS[path], timeout=10)

    assert (answer.status_code, answer.content) == (200, ANSWERS[path])


@pytest.mark.parametrize("path", EVENTS)
def test_gzip_is_recognised_without_and_despite_its_header(api: Platform, path: str) -> None:
    body = gzip.compress(json.dumps(EVENTS[path]).encode())

    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
        assert requests.post(api.url + path, body, headers=headers, timeout=10).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/v1/batch", 400), ("/batch/", 400), (TP2, 422), ("/collect", 200)])
@pytest.mark.parametrize("body", [b'{"batch": [', b"[" * 30_000, gzip.compress(b" " * 30_000)], ids=len)
def test_what_cannot_be_kept_is_refused_so_that_its_sdk_stops_and_is_in_quarantine(
    api: Platform, path: str, status: int, body: bytes
) -> None:
    before = api.accounting()["rejected"]

    answer = requests.post(api.url + path, body, headers={"Origin": "http://shop.test"}, timeout=10)

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "http://shop.test"
    until(lambda: api.accounting()["rejected"] == before + 1)
    assert api.get("/rejected", limit="1")["rejected"][0]["source"] in {route.family for route in ROUTES}


def test_an_event_at_fault_stays_in_quarantine_while_its_batch_is_kept(api: Platform) -> None:
    batch = [{"type": "track", "event": "good", "userId": "u", "messageId": "good-1"}, {"type": "track", "event": "x"}]

    answer = requests.post(f"{api.url}/v1/batch", json={"batch": batch}, timeout=10)

    assert answer.status_code == 200
    assert api.get("/events", event_type="good")["events"][0]["event_id"] == "good-1"
    newest = api.get("/rejected", limit="1")["rejected"][0]
    assert (newest["code"], newest["source"]) == ("missing_identity", "segment")
    assert json.loads(newest["raw"])["sdk"]["original_event"] == "x"


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v1/track", {"event": "x"}, "message"),
        ("/batch", {"api_key": "k", "batch": [{"event": "x"}]}, "detail"),
        ("/com.snowplowanalytics.snowplow/tp2", {"schema": "s", "data": [{"e": "pv"}]}, "message"),
    ],
)
def test_an_sdk_is_told_why_its_event_was_refused(api: Platform, path: str, body: object, key: str) -> None:
    answer = requests.post(api.url + path, json=body, timeout=10)

    assert answer.status_code in (400, 422)
    assert answer.json()[key] == "send at least one of user_id, anonymous_id, session_id"
    unreadable = requests.post(api.url + path, data=b"{", timeout=10)
    assert unreadable.json()[key] != "kept in GET /rejected"


@pytest.mark.parametrize("path", [*EVENTS, "/v1/t", "/flags/?v=2", "/beacon/v1/batch"])
def test_a_browser_may_send_with_credentials_from_any_origin(api: Platform, path: str) -> None:
    asked = {
        "Origin": "http://shop.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
        "Access-Control-Request-Private-Network": "true",
    }

    answer = requests.options(api.url + path, headers=asked, timeout=10)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://shop.test"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Access-Control-Allow-Private-Network"] == "true"
    assert {"authorization", "content-type", "x-retry-count"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )


def test_every_registered_rule_is_served(api: Platform) -> None:
    served = set(api.get("/")["endpoints"])

    rules = {rule.replace("<", "{").replace(">", "}") for route in ROUTES for rule in route.rules}
    assert rules <= served
    assert "/users/{person_id}" in served
    assert not [path for path in served if "<" in path]


def test_while_nothing_can_be_written_sdks_are_told_to_come_back(api: Platform, tmp_path: Path) -> None:
    # The smallest legal queue: one large request fills it, the ones behind it are turned away until the disk has it.
    with platform(tmp_path, MAX_WAITING_BYTES="1024", FSYNC="always") as small:
        event = {"type": "track", "event": "a", "userId": "u", "properties": {"x": "y" * 2000}}
        session = requests.Session()
        statuses = set()
        for _ in range(200):
            answers = _together(session, small.url, {"batch": [event]})
            statuses |= {answer.status_code for answer in answers}
            refused = [answer for answer in answers if answer.status_code == 503]
            if refused:
                break

        assert statuses == {200, 503}
        assert refused[0].headers["Retry-After"] == "1"
        assert refused[0].json()["code"] == "unavailable"


def _together(session: requests.Session, url: str, body: object) -> list[requests.Response]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: session.post(f"{url}/v1/batch", json=body, timeout=10), range(8)))


def test_what_is_counted_is_what_is_kept_where_a_secret_was_taken_out(api: Platform) -> None:
    view = {"type": "page", "userId": "u", "messageId": "v", "timestamp": "2026-11-24T09:19:00.000Z"}
    batch = [{**view, "properties": {"page": "/welcome?token=abc"}}]

    requests.post(f"{api.url}/v1/batch", json={"batch": batch}, timeout=10)

    assert api.get("/events", event_type="page_view")["events"][0]["properties"]["page"] == "/welcome?token=***"
    assert [page["value"] for page in api.get("/stats")["top"]["pages"]] == ["/welcome?token=***"]
