"""Who may do what: every route of the API with no key, a write key, the read token and a wrong one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser

import config
from clickstream.access import RateLimited, WriteAccess, WriteKey, parse_write_keys
from clickstream.errors import ConfigError, RequestRefused
from clickstream.wire import ROUTES
from tests.support.platform import Platform, platform
from tests.support.site import site
from tests.support.waiting import until

EVENT = {"event_type": "a", "user_id": "u"}
OPEN = {"GET /", "GET /health", "GET /ready", "GET /openapi.json", "GET /docs", "GET /tracker.js"}
STUBS = {route.rules for route in ROUTES if not route.decode.__module__.endswith(route.family)}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    keys = "web=pk_web;origins=https://shop.test, app=pk_app"
    with platform(tmp_path_factory.mktemp("access"), READ_TOKEN="secret", WRITE_KEYS=keys) as running:
        yield running


def bodies(path: str) -> bytes:
    """A good event for the route, without any key in it."""
    if path == "/events":
        return json.dumps(EVENT).encode()
    if path.startswith("/collect"):
        return json.dumps([{"event_type": "a", "device_id": "d"}]).encode()
    if "tp2" in path:
        return b'{"data":[{"e":"se","se_ac":"a","uid":"u"}]}'
    if "posthog" in path or path.strip("/") in ("batch", "e", "capture", "i/v0/e", "i/v1/analytics/events"):
        return b'{"batch":[{"event":"a","distinct_id":"u"}]}'
    return b'{"batch":[{"type":"track","event":"a","userId":"u"}],"event":"a","userId":"u"}'


def kinds(api: Platform) -> dict[str, str]:
    """`METHOD /path` of every route -> open, read, write or stub."""
    found = dict.fromkeys(OPEN, "open")
    for rule in requests.get(f"{api.url}/", timeout=5).json()["endpoints"]:
        for route in ROUTES:
            if rule.replace("{", "<").replace("}", ">") in route.rules:
                kind = "stub" if route.rules in STUBS else "write"
                found.update({f"{method} {rule}": kind for method in route.methods})
    reads = [
        "/stats",
        "/events",
        "/export",
        "/analytics",
        "/analytics/{name}",
        "/analytics/funnel",
        "/analytics/breakdown",
        "/rejected",
        "/metrics",
        "/micro/all",
        "/micro/good",
        "/micro/bad",
        "/micro/reset",
    ]
    found.update({f"GET {path}": "read" for path in reads})
    found.update({"POST /events": "write", "POST /rejected/replay": "read", "DELETE /expect": "read"})
    paths = ("/users", "/users/{person_id}")
    found.update({f"{method} {path}": "read" for method in ("GET", "DELETE") for path in paths})
    found["GET /expect"] = "read"
    return found


def status(api: Platform, name: str, key: str) -> int:
    method, path = name.split(" ")
    path = re.sub("{[^}]+}", "x", path)
    headers = {} if key == "none" else {"Authorization": f"Bearer {key}"}
    query = {
        "GET /expect": {"min": "1", "timeout": "0"},
        "GET /users": {"id": "x"},
        "DELETE /users": {"id": "x"},
    }.get(name, {})
    if path in ("/i",):
        query = {"e": "se", "se_ac": "a", "uid": "u"}
    elif method == "GET" and "pixel" in path:
        query = {"event": "a", "userId": "u"}
    elif method == "GET" and name in kinds(api) and kinds(api)[name] == "write":
        query = {"data": '{"event":"a","distinct_id":"u"}'}
    body = bodies(path) if method == "POST" and path not in ("/rejected/replay",) else b""
    return requests.request(method, api.url + path, data=body, params=query, headers=headers, timeout=10).status_code


EXPECTED = {
    # kind: none, write key, read token, wrong key
    "open": ({200}, {200}, {200}, {200}),
    "stub": ({200}, {200}, {200}, {200}),
    "write": ({401}, {200, 202}, {403}, {403}),
    "read": ({401}, {401}, {200, 404}, {401}),
}


def test_every_route_lets_in_exactly_whom_it_should(api: Platform) -> None:
    wrong = []
    for name, kind in kinds(api).items():
        for key, allowed in zip(("none", "pk_app", "secret", "wrong"), EXPECTED[kind], strict=True):
            found = status(api, name, key)
            if found not in allowed:
                wrong.append(f"{name} with {key}: {found}, expected {allowed}")

    assert wrong == []


def test_every_route_of_the_api_is_in_the_matrix(api: Platform) -> None:
    served = set(requests.get(f"{api.url}/", timeout=5).json()["endpoints"])

    assert served <= {name.split(" ")[1] for name in kinds(api)}


@pytest.mark.parametrize(
    ("headers", "query", "body"),
    [
        ({"X-Write-Key": "pk_app"}, "", EVENT),
        ({"Authorization": "Bearer pk_app"}, "", EVENT),
        ({}, "?write_key=pk_app", EVENT),
    ],
)
def test_native_senders_may_give_the_key_in_three_places(
    api: Platform, headers: dict[str, str], query: str, body: object
) -> None:
    assert requests.post(f"{api.url}/events{query}", json=body, headers=headers, timeout=5).status_code == 202


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/batch", {"writeKey": "pk_app", "batch": [{"type": "track", "event": "a", "userId": "u"}]}),
        ("/batch/", {"api_key": "pk_app", "batch": [{"event": "a", "distinct_id": "u"}]}),
        ("/collect?appId=pk_app", [{"event_type": "a", "device_id": "d"}]),
        ("/com.snowplowanalytics.snowplow/tp2", {"data": [{"e": "pv", "uid": "u", "aid": "pk_app"}]}),
    ],
)
def test_sdks_give_the_key_where_they_always_do(api: Platform, path: str, body: object) -> None:
    assert requests.post(api.url + path, json=body, timeout=5).status_code == 200


def test_a_page_may_use_a_key_only_from_its_own_origins(api: Platform) -> None:
    def send(origin: str, key: str = "pk_web") -> requests.Response:
        headers = {"Origin": origin, "X-Write-Key": key}
        return requests.post(f"{api.url}/v1/track", json={"event": "a", "userId": "u"}, headers=headers, timeout=5)

    assert send("https://shop.test").status_code == 200
    assert send("https://evil.test").status_code == 403
    assert send("https://evil.test").headers["Access-Control-Allow-Origin"] == "https://evil.test"
    assert send("https://evil.test", "pk_app").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Referer": "https://shop.test/cart?x=1"}, 200),
        ({"Referer": "https://evil.test/https://shop.test"}, 403),
        ({"Referer": "https://shop.test@evil.test/"}, 403),
        ({"Referer": "https://evil.test?https://shop.test/"}, 403),
        ({"Referer": "https://evil.test/", "Origin": "https://shop.test"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
def test_where_no_origin_is_sent_a_key_goes_by_what_else_tells_of_the_page(
    api: Platform, headers: dict[str, str], status: int
) -> None:
    view = {"e": "se", "se_ac": "a", "uid": "u", "aid": "pk_web"}

    assert requests.get(f"{api.url}/i", params=view, headers=headers, timeout=5).status_code == status
    assert requests.get(f"{api.url}/i", params={**view, "aid": "pk_app"}, headers=headers, timeout=5).status_code == 200


@pytest.mark.browser
def test_an_image_of_another_site_brings_no_event_with_a_key_of_named_origins(api: Platform, browser: Browser) -> None:
    with site(lambda path: ("text/html", b"<title>evil</title>")) as evil:
        page = browser.new_page()
        page.goto(evil)
        for policy in ("", "no-referrer"):
            for key in ("pk_web", "pk_app"):
                image = f"{api.url}/i?e=se&se_ac=from_image&uid={key}{policy}&aid={key}"
                page.evaluate(
                    "([src, referrerPolicy]) => new Promise(done => "
                    "Object.assign(new Image(), {onload: done, onerror: done, referrerPolicy, src}))",
                    [image, policy],
                )
        page.close()

    kept = api.get("/events", event_type="from_image")["events"]
    assert {event["user_id"] for event in kept} == {"pk_app", "pk_appno-referrer"}


@pytest.mark.parametrize(
    ("path", "event", "scope", "code"),
    [
        ("/v1/batch", {"type": "track", "event": "a", "userId": "u"}, "no name", "invalid_parameter"),
        ("/batch/", {"event": "a", "distinct_id": "u"}, "no name", "invalid_parameter"),
        ("/v1/batch", {"type": "track", "event": "a", "userId": "u"}, "a-name", "too_many_records"),
        ("/events", {"event_type": "a", "user_id": "u"}, "no name", "invalid_parameter"),
    ],
)
def test_a_key_counts_also_where_the_request_is_refused(
    tmp_path: Path, path: str, event: object, scope: str, code: str
) -> None:
    with platform(tmp_path, READ_TOKEN="secret", WRITE_KEYS="app=pk_app;rate=0.2", MAX_RECORDS="10") as strict:
        batch = [event] * (11 if code == "too_many_records" else 1)
        body = {"writeKey": "pk_app", "api_key": "pk_app", "batch": batch, "records": batch}
        headers = {"X-Clickstream-Test-Id": scope} | ({"X-Write-Key": "pk_app"} if path == "/events" else {})

        answers = [requests.post(strict.url + path, json=body, headers=headers, timeout=5) for _ in range(4)]

        # Ten seconds of the rate are two events and a little; each refused request counts as one.
        assert [answer.status_code for answer in answers] == [400, 400, 400, 429], answers[0].text
        # Who is refused as a whole is answered at once; the quarantine is written a moment later.
        until(lambda: [one["code"] for one in strict.get("/rejected")["rejected"]] == [code, code, code])


def test_behind_trusted_proxies_rates_and_addresses_are_those_that_the_first_of_them_saw(tmp_path: Path) -> None:
    def send(claimed: str) -> int:
        headers = {"X-Forwarded-For": f"192.0.2.9, {claimed}, 10.0.0.1"}
        return requests.post(f"{api.url}/events", json=[EVENT] * 30, headers=headers, timeout=5).status_code

    with platform(tmp_path, TRUSTED_PROXIES="2", RATE_LIMIT="1", CLIENT_IP="truncated") as api:
        statuses = [send("203.0.113.7"), send("203.0.113.7"), send("198.51.100.4"), send("nobody")]

        assert statuses == [202, 429, 202, 202]
        assert [one.get("client_ip") for one in api.events()[::30]] == ["203.0.113.0", "198.51.100.0", None]


def test_reads_carry_no_cors_header_and_another_site_can_change_nothing(api: Platform) -> None:
    headers = {"Origin": "https://evil.test", "Authorization": "Bearer secret"}

    read = requests.get(f"{api.url}/stats", headers=headers, timeout=5)
    change = requests.post(f"{api.url}/rejected/replay", headers=headers, timeout=5)

    assert "Access-Control-Allow-Origin" not in read.headers
    assert change.status_code == 403


def test_who_is_turned_away_is_logged_with_route_and_page_and_never_with_the_key(tmp_path: Path) -> None:
    with platform(tmp_path, WRITE_KEYS="web=pk_web;origins=https://shop.test, app=pk_app;rate=1") as api:
        for _ in range(20):
            requests.post(f"{api.url}/events", json=EVENT, headers={"Origin": "https://new.test"}, timeout=5)
            requests.post(f"{api.url}/v1/batch", json={"writeKey": "pk_old", "batch": []}, timeout=5)
            requests.post(f"{api.url}/v1/track", json={"writeKey": "pk_old", "event": "a", "userId": "u"}, timeout=5)
            requests.post(
                f"{api.url}/events?write_key=pk_web",
                json=EVENT,
                headers={"Referer": "https://a@evil.test/x"},
                timeout=5,
            )
            requests.post(f"{api.url}/events?write_key=pk_app", json=[EVENT] * 30, timeout=5)

    assert turned_away(tmp_path) == [
        "no write key route=POST /events origin='https://new.test'",
        "unknown write key route=POST /v1/track origin=none",
        "a page that is none of the origins of web route=POST /events origin='https://evil.test'",
    ]
    assert "pk_" not in (tmp_path / "api.log").read_text()


def test_no_origin_fills_the_log_or_steers_a_terminal_that_shows_it(tmp_path: Path) -> None:
    with platform(tmp_path, WRITE_KEYS="app=pk_app") as api:
        for origin in (
            "https://\x9b31m' route=x",
            "https://long.test/" + "x" * 5000,
            *(f"https://{'y' * n}" for n in range(50)),
        ):
            assert (
                requests.post(f"{api.url}/events", json=EVENT, headers={"Origin": origin}, timeout=5).status_code == 401
            )

    first, second, *others = turned_away(tmp_path)
    assert first == 'no write key route=POST /events origin="https://\\x9b31m\' route=x"'
    assert second == f"no write key route=POST /events origin='https://long.test/{'x' * 82}'"
    assert len(others) == 6


def turned_away(directory: Path) -> list[str]:
    """What the log of a platform says of senders."""
    log = (directory / "api.log").read_text()
    return re.findall(" WARNING clickstream.api senders turned away error=(.*)", log)


def test_beyond_the_rate_senders_are_told_when_to_come_back(tmp_path: Path) -> None:
    with platform(tmp_path, RATE_LIMIT="5") as limited:
        statuses = [requests.post(f"{limited.url}/events", json=[EVENT] * 30, timeout=5) for _ in range(3)]
        sdk = requests.post(f"{limited.url}/v1/track", json={"event": "a", "userId": "u"}, timeout=5)

        metrics = requests.get(f"{limited.url}/metrics", timeout=5).text

    assert 'clickstream_denied_requests_total{code="rate_limited"} 2\n' in metrics
    assert 'clickstream_denied_requests_total{code="unauthorized"} 0\n' in metrics
    assert [answer.status_code for answer in statuses] == [202, 202, 429]
    assert statuses[2].json()["error"]["code"] == "rate_limited"
    assert (sdk.status_code, sdk.headers["Retry-After"]) == (429, statuses[2].headers["Retry-After"])
    assert 1 <= int(sdk.headers["Retry-After"]) <= 3


def test_a_bucket_fills_again_and_each_key_and_address_has_its_own() -> None:
    now = [0.0]
    access = WriteAccess((WriteKey("a", "k1", rate_per_s=1), WriteKey("b", "k2")), rate_per_s=2, clock_s=lambda: now[0])

    def admit(key: str, address: str = "1", events: int = 10) -> str | None:
        return access.admit(key, origin=None, address=address, events=events)

    assert admit("k1") == "a"
    with pytest.raises(RateLimited) as limited:
        admit("k1")
    assert limited.value.retry_after_s == 1
    assert (admit("k1", "2"), admit("k2", events=20)) == ("a", "b")
    now[0] = 1.0
    assert admit("k1", events=1) == "a"
    with pytest.raises(RequestRefused, match="unknown"):
        admit("k3")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("web=k;origins=https://a.test/", "no slash behind it"),
        ("web=k;origins=a.test", "an origin is a scheme and a host"),
        ("web=k;app=k2", "a comma begins the next key"),
    ],
)
def test_a_wrong_option_is_told_apart_from_a_wrong_origin(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_write_keys(text)


def test_keys_are_read_from_one_line() -> None:
    text = "web=pk_1;origins=https://a.test https://b.test:8080;rate=0.5, app=pk_2"

    assert parse_write_keys(text) == (
        WriteKey("web", "pk_1", frozenset({"https://a.test", "https://b.test:8080"}), 0.5),
        WriteKey("app", "pk_2"),
    )


@pytest.mark.parametrize(
    "text",
    ["pk_1", "web=", "web=a,web=b", "a=k,b=k", "web=k;rate=0", "web=k;rate=x", "web=k;origin=x", "web=k;origins=x"],
)
def test_a_wrong_line_is_a_problem_that_does_not_show_the_key(text: str) -> None:
    with pytest.raises(ConfigError) as problem:
        config.load({"WRITE_KEYS": text.replace("k", "topsecret")})

    assert "WRITE_KEYS" in str(problem.value)
    assert "topsecret" not in str(problem.value)


def test_another_address_than_loopback_needs_a_read_token() -> None:
    with pytest.raises(ConfigError, match="READ_TOKEN"):
        config.load({"API_HOST": "0.0.0.0"})
    assert config.load({"API_HOST": "0.0.0.0", "READ_TOKEN": "t"}).api_host == "0.0.0.0"


@pytest.mark.parametrize("path", ["/events", "/v1/batch", "/batch/", "/collect", "/com.snowplowanalytics.snowplow/tp2"])
@pytest.mark.parametrize("body", [b"{", b"\x1f\x8bnot gzip"], ids=["json", "gzip"])
def test_what_strangers_send_is_not_even_quarantined(api: Platform, path: str, body: bytes) -> None:
    before = api.get("/rejected")["total"]

    statuses = [
        requests.post(api.url + path, body, headers=headers, timeout=5).status_code
        for headers in ({}, {"X-Write-Key": "wrong"}, {"X-Write-Key": "pk_app"})
    ]

    assert statuses[:2] == [401, 403]
    assert statuses[2] in (200, 400, 422)
    until(lambda: api.get("/rejected")["total"] == before + 1)
