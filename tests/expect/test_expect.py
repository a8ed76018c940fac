"""Testing one's tracking: waiting for events over HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.expectations import MOST_WAITING
from tests.expect.asking import expect, purchase, send
from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python
from tests.support.waiting import until


def test_events_that_are_already_here_are_given_at_once(api: Platform) -> None:
    send(api, purchase(total=25.5), {"event_type": "click", "user_id": "u-1"})

    status, answer = expect(api, event_type="purchase", user_id="u-1", timeout="10s")

    assert (status, answer["status"], answer["matched"]) == (200, "met", 1)
    assert answer["events"][0]["properties"] == {"total": 25.5}


def test_events_that_come_later_end_the_waiting(api: Platform) -> None:
    answers: list[tuple[int, Any]] = []
    waiting = threading.Thread(
        target=lambda: answers.append(expect(api, event_type="purchase", min="2", timeout="10s"))
    )
    waiting.start()

    send(api, purchase(order_id="o-1"))
    send(api, purchase(order_id="o-2"))
    waiting.join(5)

    ((status, answer),) = answers
    assert status == 200
    assert [event["properties"]["order_id"] for event in answer["events"]] == ["o-1", "o-2"]


def test_waiting_in_vain_ends_in_time_and_says_what_came_instead(api: Platform) -> None:
    send(api, purchase(total=25), {"event_type": "page_view", "user_id": "u-2"})
    send(api, {"event_type": "Purchase", "user_id": "u-1"})
    started = time.monotonic()

    conditions = {"event_type": "purchase", "user_id": "u-1", "property.total": "25.5"}
    status, answer = expect(api, **conditions, timeout="300ms")

    assert 0.3 <= time.monotonic() - started < 2
    assert (status, answer["status"], answer["matched"]) == (404, "unmet", 0)
    nearest = answer["near_misses"][0]
    assert nearest["differs"] == [
        {"field": "property.total", "expected": "25.5", "found": "25", "message": "property.total is 25, not 25.5"}
    ]
    assert nearest["event"]["event_type"] == "purchase"
    assert answer["rejected"][0]["code"] == "invalid_value"
    assert answer["rejected"][0]["raw"] == '{"event_type": "Purchase", "user_id": "u-1"}'
    assert answer["seen"] == {"purchase": 1, "page_view": 1}


def test_what_is_mistyped_is_the_nearest_miss_though_others_came_later(api: Platform) -> None:
    names = ["signup", "page_view", "click", "add_to_cart", "search", "checkout", "add_to_cart", "page_view"]
    send(api, *[{"event_type": name, "user_id": "u-7"} for name in names])

    _, answer = expect(api, event_type="signp", user_id="u-7", timeout="0s")

    assert answer["near_misses"][0]["event"]["event_type"] == "signup"
    assert answer["near_misses"][0]["differs"][0]["message"] == "event_type is signup, not signp"
    assert len(answer["near_misses"]) == 5


@pytest.mark.parametrize(
    ("sent", "asked", "found", "message"),
    [
        ("25.5", "25.5", '"25.5"', 'property.total is the text "25.5", you asked for the number 25.5'),
        (25.5, '"25.5"', "25.5", 'property.total is the number 25.5, you asked for the text "25.5"'),
        (True, "1", "true", "property.total is true, you asked for the number 1"),
        ("cheap", "dear", "cheap", "property.total is cheap, not dear"),
        (None, "1", None, "property.total is missing, you asked for 1"),
    ],
)
def test_a_value_of_the_wrong_type_does_not_match_and_is_said_to_be_of_it(
    api: Platform, sent: object, asked: str, found: str | None, message: str
) -> None:
    send(api, purchase(**({} if sent is None else {"total": sent})))

    status, answer = expect(api, timeout="0", **{"property.total": asked})

    (difference,) = answer["near_misses"][0]["differs"]
    assert status == 404
    assert (difference["found"], difference["message"]) == (found, message)


@pytest.mark.parametrize("name", ["event_id", "event_type", "user_id", "anonymous_id", "session_id"])
def test_every_field_that_events_are_found_by_can_be_expected(api: Platform, name: str) -> None:
    event = {"event_type": "click", "user_id": "u", name: f"the_{name}"}
    send(api, {"event_type": "click", "user_id": "u"}, event)

    status, answer = expect(api, timeout="0", **{name: f"the_{name}"})

    assert (status, [one[name] for one in answer.get("events", ())]) == (200, [f"the_{name}"])
    assert expect(api, timeout="0", **{name: "another"})[0] == 404


def test_another_product_is_said(api: Platform) -> None:
    send(api, purchase(product_name="Poles", product_id="p-1"))

    status, answer = expect(api, timeout="0", product="p-1")

    difference = {"field": "product", "expected": "p-1", "found": "Poles", "message": "product is Poles, not p-1"}
    assert (status, answer["near_misses"][0]["differs"]) == (404, [difference])
    assert expect(api, timeout="0", product="Poles")[0] == 200


def test_that_no_robot_came_is_said(api: Platform) -> None:
    send(api, purchase(product_name="Poles"))

    status, answer = expect(api, timeout="0", is_bot="true")

    difference = {"field": "is_bot", "expected": "true", "found": "false", "message": "is_bot is false, not true"}
    assert (status, answer["near_misses"][0]["differs"]) == (404, [difference])


def test_a_scope_sees_only_its_own_events_and_rejections(api: Platform) -> None:
    send(api, purchase(order_id="a"), test_id="test-a")
    send(api, purchase(order_id="b"), {"event_type": 7}, test_id="test-b")

    _, met = expect(api, event_type="purchase", test_id="test-a")
    status, unmet = expect(api, event_type="purchase", min="2", test_id="test-a", timeout="0")

    assert [event["properties"]["order_id"] for event in met["events"]] == ["a"]
    assert met["events"][0]["test_id"] == "test-a"
    assert (status, unmet["rejected"], unmet["seen"]) == (404, [], {"purchase": 1})


def test_a_scope_goes_by_the_header_whatever_the_properties_say(api: Platform) -> None:
    send(api, purchase(order_id="mine", test_id="other"), test_id="test-header")
    send(api, purchase(order_id="not mine", test_id="test-header"))

    _, answer = expect(api, event_type="purchase", test_id="test-header", timeout="5s")
    later = expect(api, event_type="purchase", test_id="test-header", min="2", timeout="0")[1]
    elsewhere = expect(api, test_id="other", timeout="0")[1]

    assert [event["properties"]["order_id"] for event in answer["events"]] == ["mine"]
    assert answer["events"][0]["test_id"] == "test-header"
    assert (later["matched"], later["seen"], elsewhere["seen"]) == (1, {"purchase": 1}, {})


def test_a_reset_hides_what_came_before_in_that_scope_only(api: Platform) -> None:
    send(api, purchase(), test_id="test-a")
    send(api, purchase(), test_id="test-b")

    requests.delete(f"{api.url}/expect?test_id=test-a", timeout=5)

    assert expect(api, test_id="test-a", timeout="0")[0] == 404
    assert expect(api, test_id="test-b", timeout="0")[0] == 200


def test_a_reset_hides_what_was_refused_before_it(api: Platform) -> None:
    send(api, {"event_type": "Before"}, test_id="test-a")
    requests.delete(f"{api.url}/expect?test_id=test-a", timeout=5)
    send(api, {"event_type": "After"}, test_id="test-a")

    _, answer = expect(api, event_type="never", test_id="test-a", timeout="0")

    assert [json.loads(one["raw"])["event_type"] for one in answer["rejected"]] == ["After"]


def test_events_of_sdks_can_be_scoped_and_expected_too(api: Platform) -> None:
    batch = {"batch": [{"type": "track", "event": "Order Completed", "userId": "u-9", "properties": {"total": 5}}]}
    requests.post(f"{api.url}/v1/batch", json=batch, headers={"X-Clickstream-Test-Id": "sdk-1"}, timeout=5)

    status, answer = expect(api, event_type="purchase", test_id="sdk-1", **{"property.total": "5"})

    assert (status, answer["events"][0]["user_id"]) == (200, "u-9")


@pytest.mark.parametrize(
    "parameters",
    [{"timeout": "1h"}, {"timeout": "61s"}, {"min": "0"}, {"test_id": "a b"}, {"evnt_type": "purchase"}],
)
def test_a_wrong_parameter_is_named(api: Platform, parameters: dict[str, str]) -> None:
    status, answer = expect(api, **parameters)

    assert (status, answer["error"]["code"]) == (400, "invalid_parameter")
    assert answer["error"]["field"] == next(iter(parameters))


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/expect?testid=a"), ("POST", "/rejected/replay?dry_run=true")]
)
def test_what_changes_something_refuses_a_parameter_that_it_does_not_know(
    api: Platform, method: str, path: str
) -> None:
    answer = requests.request(method, f"{api.url}{path}", timeout=5)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


@pytest.mark.parametrize("seconds", ["61", "nan", "1e308", "-1", "soon"])
def test_a_time_that_nobody_can_wait_is_refused(seconds: str) -> None:
    command = python("-m", "clickstream", "expect", f"--timeout={seconds}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False)

    assert done.returncode == 2
    assert f'--timeout: "{seconds}": expected a number' in done.stderr


def test_an_expectation_of_nothing_is_refused_and_one_of_anything_is_not(api: Platform) -> None:
    send(api, purchase())

    forgotten, answer = expect(api, timeout="0")

    assert forgotten == 400
    assert answer["error"]["message"] == (
        "name what is expected (event_id, event_type, user_id, anonymous_id, session_id, product, is_bot, since, "
        "until, property.NAME), or min=1 for any event"
    )
    assert expect(api, min="1", timeout="0")[0] == 200
    assert expect(api, test_id="nobody", timeout="0")[0] == 404


@pytest.mark.parametrize("name", ["property.a", "user_id", "since", "min", "timeout", "test_id"])
@pytest.mark.parametrize("path", ["/expect", "/events", "/export"])
def test_a_parameter_that_stands_twice_is_refused(api: Platform, path: str, name: str) -> None:
    answer = requests.get(f"{api.url}{path}", params=[(name, "2"), (name, "3")], timeout=5)

    assert (answer.status_code, answer.json()["error"]["field"]) == (400, name)


def test_an_event_at_another_time_is_said_to_be(api: Platform) -> None:
    send(api, {**purchase(), "timestamp": "2026-01-15T10:30:00Z"})

    _, late = expect(api, event_type="purchase", until="2026-01-15T10:30:00Z", timeout="0")
    _, early = expect(api, event_type="purchase", since="2026-01-15T12:30:00+01:00", timeout="0")

    assert late["near_misses"][0]["differs"] == [
        {
            "field": "until",
            "expected": "2026-01-15T10:30:00.000Z",
            "found": "2026-01-15T10:30:00Z",
            "message": "timestamp is 2026-01-15T10:30:00Z, not before 2026-01-15T10:30:00.000Z",
        }
    ]
    assert early["near_misses"][0]["differs"] == [
        {
            "field": "since",
            "expected": "2026-01-15T11:30:00.000Z",
            "found": "2026-01-15T10:30:00Z",
            "message": "timestamp is 2026-01-15T10:30:00Z, before 2026-01-15T11:30:00.000Z",
        }
    ]


def test_the_api_answers_503_when_too_many_wait(tmp_path: Path) -> None:
    with platform(tmp_path) as fresh, contextlib.ExitStack() as left:
        request = b"GET /expect?event_type=never&timeout=20s HTTP/1.1\r\nHost: localhost\r\n\r\n"
        address = fresh.url.removeprefix("http://").split(":")
        for _ in range(MOST_WAITING):
            waiting = left.enter_context(socket.create_connection((address[0], int(address[1])), timeout=5))
            waiting.sendall(request)

        def refused() -> bool:
            answer = requests.get(f"{fresh.url}/expect?event_type=never&timeout=0s", timeout=10)
            return answer.status_code == 503 and answer.headers["Retry-After"] == "5"

        until(refused)
        assert requests.get(f"{fresh.url}/health", timeout=5).status_code == 200
