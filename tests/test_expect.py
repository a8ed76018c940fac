"""Testing one's tracking: waiting for events over HTTP, in pytest and in the shell."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import clickstream.expectations
from clickstream.arrivals import Refusal
from clickstream.errors import Unavailable
from clickstream.events import Limits, validate
from clickstream.expectations import MOST_WAITING, Expectations
from clickstream.query import Query
from clickstream.timestamps import parse
from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python
from tests.support.waiting import until


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("expect")) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(api: Platform) -> None:
    assert requests.delete(f"{api.url}/expect", timeout=5).status_code == 200


def send(api: Platform, *events: object, test_id: str | None = None) -> int:
    headers = {"X-Clickstream-Test-Id": test_id} if test_id else {}
    return requests.post(f"{api.url}/events", json=list(events), headers=headers, timeout=5).status_code


def expect(api: Platform, **parameters: str) -> tuple[int, Any]:
    answer = requests.get(f"{api.url}/expect", params=parameters, timeout=15)
    return answer.status_code, answer.json()


def purchase(**properties: object) -> dict[str, object]:
    return {"event_type": "purchase", "user_id": "u-1", "properties": properties}


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


def test_the_shell_command_shows_what_came_without_obeying_it(api: Platform) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, "--timeout", "0.2", *arguments)
        env = environment(LANG="C.UTF-8")
        return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=env, check=False)

    evil = "\x9b2J\x7f\u202eowned"
    lines = [json.dumps(purchase(note=evil), ensure_ascii=False), "\x1b]0;owned\x07\x1b[2J"]
    headers = {"Content-Type": "application/x-ndjson"}
    requests.post(f"{api.url}/events", data="\n".join(lines).encode(), headers=headers, timeout=10)

    met = run("event_type=purchase")
    unmet = run("event_type=click")

    assert json.loads(met.stdout)["properties"]["note"] == evil
    assert "owned" in unmet.stderr
    assert not set(met.stdout + unmet.stderr) & set("\x1b\x07\x9b\x7f\u202e")


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


def test_a_property_of_another_scope_ends_no_waiting() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query({"user_id": "u"}), scope="A", least=1, done=answers.append)

    observe(expectations, EVENT.replace(b"{}", b'{"test_id":"A"}'))
    assert answers == []
    observe(expectations, EVENT[:-1] + b',"test_id":"A"}')

    assert [answer["status"] for answer in answers] == ["met"]


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


def test_a_reset_hides_what_came_before_from_those_who_wait_as_well() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    observe(expectations, EVENT.replace(b"{}", b'{"order_id":"before"}'))
    time_is_over = expectations.expect(Query({"user_id": "u"}), scope=None, least=2, done=answers.append)

    expectations.reset(None)
    observe(expectations, EVENT.replace(b"{}", b'{"order_id":"after"}'))
    time_is_over()

    (answer,) = answers
    assert (answer["status"], answer["matched"], answer["seen"]) == ("unmet", 1, {"a": 1})
    assert b"after" in bytes(answer["events"][0])


def test_the_reset_of_everything_outlives_those_of_any_number_of_scopes() -> None:
    expectations = Expectations()
    observe(expectations, EVENT)
    expectations.reset(None)

    for number in range(10_001):
        expectations.reset(f"test-{number}")

    assert list(expectations.kept(None)) == []


def test_of_large_refused_bodies_only_the_beginning_stays_in_memory() -> None:
    expectations = Expectations()

    with traced() as held:
        for number in range(100):
            body = b"%03d" % number + b"x" * 1_000_000
            expectations.note_refused([Refusal(None, "native", "invalid_body", None, "no", body)])
        assert held() < 2_000_000
        for _ in range(30):
            expectations.note_refused([Refusal(None, "native", "invalid_body", None, "m" * 9_000, b"")] * 100)
        assert held() < 12_000_000

    assert 0 < len(expectations.refused(None)) <= 1_000


def test_large_events_are_remembered_up_to_16_mib_together() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query({"user_id": "u"}), scope=None, least=100, done=answers.append)

    with traced() as held:
        for number in range(10):
            observe(
                expectations,
                *(
                    EVENT.replace(b"{}", b'{"n":%d,"x":"%s"}' % (n, b"x" * 1_000_000))
                    for n in range(10 * number, 10 * number + 10)
                ),
            )
        assert held() < 20_000_000

    numbers = [json.loads(record)["properties"]["n"] for record in expectations.kept(None)]
    assert numbers == list(range(84, 100))
    assert (answers[0]["status"], answers[0]["matched"], len(answers[0]["events"])) == ("met", 100, 16)


def test_who_waits_is_told_of_an_event_that_its_own_group_has_displaced() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query(properties={"n": 0}), scope=None, least=1, done=answers.append)

    observe(expectations, *(EVENT.replace(b"{}", b'{"n":%d,"x":"%s"}' % (n, b"x" * 1_000_000)) for n in range(20)))

    assert [(answer["status"], answer["matched"]) for answer in answers] == [("met", 1)]


def test_small_events_are_remembered_by_their_number() -> None:
    expectations = Expectations()

    for number in range(12_000):
        observe(expectations, EVENT.replace(b"{}", b'{"n":%d}' % number))

    numbers = [json.loads(record)["properties"]["n"] for record in expectations.kept(None)]
    assert numbers == list(range(2_000, 12_000))


EVENT = b'{"event_type":"a","event_id":"1","user_id":"u","timestamp":"2026-01-15T10:30:00Z","properties":{}}'


def observe(expectations: Expectations, *records: bytes) -> None:
    limits = Limits(max_event_bytes=2_000_000, max_nesting=8)
    batch = validate(records, limits, parse("2026-01-15T10:30:01Z"))
    expectations.observe(batch.events, batch.records)


@contextlib.contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Yields how to ask for the bytes that have come to be held since the block began."""
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


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


@pytest.mark.parametrize("seconds", ["nan", "1e308", "-1", "soon"])
def test_a_time_that_nobody_can_wait_is_refused(seconds: str) -> None:
    command = python("-m", "clickstream", "expect", f"--timeout={seconds}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False)

    assert done.returncode == 2
    assert f'--timeout: "{seconds}": expected a number' in done.stderr


def test_the_shell_command_finds_the_api_by_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("raise SystemExit('this is not the config.py of the platform')")

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "--timeout", "0.2", *arguments)
        env = environment(**settings)
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=20, check=False)

    (tmp_path / "api").mkdir()
    with platform(tmp_path / "api", READ_TOKEN="secret-token") as guarded:
        port = guarded.url.rpartition(":")[2]
        by_port = run(API_PORT=port, READ_TOKEN="secret-token")
        by_url = run(API_URL=f"{guarded.url}/", READ_TOKEN="secret-token")
        by_option = run("--api-url", guarded.url, "--token", "secret-token")
        without_token = run("--api-url", guarded.url)
    gone = run(API_PORT=port)

    assert [one.returncode for one in (by_port, by_url, by_option)] == [1, 1, 1], by_port.stderr
    assert "Give the READ_TOKEN of the API with --token" in without_token.stderr
    assert gone.returncode == 2
    assert f"nothing answers at http://127.0.0.1:{port}: connection refused\n" in gone.stderr
    assert f"Start it with `{sys.executable} {ROOT / 'local_api.py'}`" in gone.stderr


def test_the_shell_command_prints_the_events_or_what_came_instead(api: Platform, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, "--timeout", "0.2", *arguments)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False
        )

    send(api, purchase(total=25))

    met = run("event_type=purchase", "property.total=25")
    unmet = run("event_type=purchase", "property.total=26")

    assert (met.returncode, met.stderr) == (0, "")
    assert '"total": 25' in met.stdout
    assert unmet.returncode == 1
    assert "property.total is 25, not 26" in unmet.stderr
    assert run("purchase").returncode == 2


def test_the_shell_command_takes_what_the_address_takes_and_nothing_twice(api: Platform) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, *arguments)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False
        )
        return done.returncode, done.stderr

    send(api, purchase(total=25))
    send(api, purchase(total=26), test_id="shell")

    assert run("event_type=purchase", "min=2", "timeout=1s")[0] == 0
    status, said = run("event_type=purchase", "min=3", "timeout=100ms")
    assert (status, said.splitlines()[0]) == (1, "expected 3 x event_type=purchase; 2 came")
    assert run("event_type=purchase", "test_id=shell", "min=2", "timeout=0")[0] == 1
    assert run("--timeout", "1.23456")[0] == 0
    for wrong, named in [
        (("user_id=u-1", "user_id=u-2"), "user_id stands twice"),
        (("min=2", "--min", "3"), "min stands twice"),
        (("min=some",), "min=some: expected"),
        (("timeout=1h",), "timeout=1h: expected"),
        (("--timeout", "inf"), '"inf": expected a number'),
    ]:
        status, said = run(*wrong)
        assert (status, named in said) == (2, True), said


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


CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"
PLUGIN_TEST = """
import requests

def test_a_purchase_arrives(clickstream_api):
    order = {"event_type": "purchase", "user_id": "u", "properties": {"total": 5}}
    requests.post(clickstream_api.url + "/events", json=order, proxies={"http": ""})
    (event,) = clickstream_api.expect(event_type="purchase", property={"total": 5})
    assert event["user_id"] == "u"

def test_every_test_begins_empty(clickstream_api):
    mine = clickstream_api.scope()
    click = {"event_type": "click", "user_id": "u"}
    requests.post(mine.url + "/events", json=click, headers=mine.headers, proxies={"http": ""})
    mine.expect(event_type="click")
    clickstream_api.expect(event_type="purchase", timeout=0.1)
"""


def test_the_pytest_plugin_starts_a_platform_and_fails_with_what_came_instead(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(PLUGIN_TEST)

    done = subprocess.run(
        python("-m", "pytest", "-p", "clickstream.testing", "-p", "no:cacheprovider", "--rootdir", ".", "test_shop.py"),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        # A proxy of the shell is not meant for this machine; the test's own requests say so for themselves.
        env=environment(HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9"),
        check=False,
    )

    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "near miss: click" in done.stdout
    assert "event_type is click, not purchase" in done.stdout


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


def micro(api: Platform, name: str, **conditions: str) -> Any:  # noqa: ANN401 - any JSON
    return requests.get(f"{api.url}/micro/{name}", params=conditions, timeout=5).json()


def test_those_who_wait_are_bounded_and_the_next_one_is_told_when_to_come_back() -> None:
    expectations = Expectations()
    over = [
        expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)
        for _ in range(MOST_WAITING)
    ]

    with pytest.raises(Unavailable) as refused:
        expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)
    over[0]()
    expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)

    assert refused.value.retry_after_s > 0


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


def test_many_who_wait_have_each_event_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: Counter[bytes] = Counter()
    decode = clickstream.expectations._decode
    monkeypatch.setattr(clickstream.expectations, "_decode", lambda record: decoded.update([record]) or decode(record))
    record = b'{"event_type":"a","event_id":"1","user_id":"u","timestamp":"2026-01-15T10:30:00Z","properties":{"n":1}}'
    batch = validate([record], Limits(max_event_bytes=1000, max_nesting=8), parse("2026-01-15T10:30:01Z"))
    expectations = Expectations()
    answers: list[Any] = []
    for number in range(20):
        expectations.expect(Query(properties={"n": number}), scope=None, least=1, done=answers.append)

    expectations.observe(batch.events, batch.records)

    assert list(decoded.values()) == [1]
    assert [answer["status"] for answer in answers] == ["met"]


def test_what_has_been_erased_is_given_to_nobody_who_waits_for_it() -> None:
    expectations = Expectations()
    batch = validate([b'{"event_type":"purchase","user_id":"anna"}'], Limits(10**5, 20), parse("2026-01-01T00:00:00Z"))
    answers: list[Any] = []
    expectations.observe(batch.events, batch.records)
    time_is_over = expectations.expect(Query(fields={"user_id": "anna"}), scope=None, least=2, done=answers.append)

    expectations.forget()
    time_is_over()

    assert [(one["matched"], one["events"], one["near_misses"]) for one in answers] == [(0, [], [])]
