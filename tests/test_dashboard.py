"""The dashboard's HTTP side: its own process before the real API, or before a scripted one for what that cannot do."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from html import unescape
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from clickstream.ports import free_port
from tests.support.dashboards import dashboard
from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python
from tests.support.scripted_api import numbers, says, scripted_api
from tests.support.shop import visits
from tests.support.waiting import until

NEVER_THE_SAME = {"generated_at", "window", "dashboard", "ingest", "rolling_minute", "series"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("api")) as running:
        events = visits(40, until=datetime.now(timezone.utc))
        records = [*events, {"event_type": "Not A Type", "user_id": "u"}, events[0]]
        assert requests.post(f"{running.url}/events", json=records, timeout=10).status_code == 202
        yield running


@pytest.fixture(scope="module")
def page(api: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(tmp_path_factory.mktemp("dashboard"), api.url) as url:
        yield url


def get(url: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on
    return requests.get(url, timeout=10, **options)


def test_the_numbers_are_those_of_the_api(api: Platform, page: str) -> None:
    shown = get(f"{page}/api/stats").json()
    said = api.get("/stats")

    assert {key: shown[key] for key in said.keys() - NEVER_THE_SAME} == {
        key: said[key] for key in said.keys() - NEVER_THE_SAME
    }
    assert shown["dashboard"]["state"] == "live"
    assert shown["dashboard"]["api_url"] == api.url
    assert shown["accounting"]["rejected"] == shown["accounting"]["duplicates"] == 1


@pytest.mark.parametrize("window", ["15m", "1h", "24h", "all"])
def test_each_window_is_passed_on(page: str, window: str) -> None:
    assert get(f"{page}/api/stats?window={window}").json()["window"]["name"] == window


def test_the_scripted_numbers_of_these_tests_have_the_shape_of_the_real_ones(api: Platform) -> None:
    said = api.get("/stats")

    assert said.keys() == numbers().keys()
    for key in ("accounting", "ingest", "sessions", "users", "conversion", "revenue", "series", "top", "window"):
        assert numbers()[key].keys() <= said[key].keys(), key


def test_an_unknown_window_is_refused(page: str) -> None:
    answer = get(f"{page}/api/stats?window=5m")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_parameter"
    assert answer.json()["error"]["field"] == "window"


def test_unchanged_numbers_cost_304_and_say_their_age(page: str) -> None:
    first = get(f"{page}/api/stats")

    def unchanged() -> requests.Response:
        return get(f"{page}/api/stats", headers={"If-None-Match": first.headers["ETag"]})

    assert unchanged().status_code == 304
    assert unchanged().content == b""
    assert int(unchanged().headers["X-Snapshot-Age-Ms"]) < 5000


def test_numbers_are_sent_compressed_in_at_most_20_kb(page: str) -> None:
    with requests.get(f"{page}/api/stats", stream=True, timeout=10) as answer:
        sent = answer.raw.read(decode_content=False)

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(sent) <= 20_000
    assert json.loads(gzip.decompress(sent))["total_events"] > 0


def test_a_client_without_gzip_gets_plain_json(page: str) -> None:
    answer = get(f"{page}/api/stats", headers={"Accept-Encoding": "identity"})

    assert "Content-Encoding" not in answer.headers
    assert answer.json()["total_events"] > 0


def test_events_and_rejections_are_read_through_with_their_filters(api: Platform, page: str) -> None:
    some = get(f"{page}/api/events?event_type=purchase&limit=2&property.currency=USD")
    refused = get(f"{page}/api/rejected?limit=5")

    assert some.json() == api.get("/events", event_type="purchase", limit="2", **{"property.currency": "USD"})
    assert refused.json()["total"] == 1
    assert refused.json()["rejected"][0]["code"] == "invalid_value"


def test_a_refusal_of_the_api_keeps_its_status_and_words(page: str) -> None:
    answer = get(f"{page}/api/events?limit=many")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_parameter"


def test_only_filters_reach_the_api_and_only_fixed_paths(tmp_path: Path) -> None:
    with scripted_api(says({"events": [], "next_cursor": None})) as api, dashboard(tmp_path, api.url) as page:
        get(f"{page}/api/events?limit=1&path=/export&url=http://elsewhere&format=csv")
        lost = get(f"{page}/api/export"), get(f"{page}/api/events/../export"), get(f"{page}/api/%2e%2e/export")

        assert api.asked == ["/events?limit=1"]
        assert [answer.status_code for answer in lost] == [404, 404, 404]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/api/stats", "/api/events", "/api/rejected"])
def test_nothing_can_be_written(page: str, method: str, path: str) -> None:
    answer = requests.request(method, page + path, timeout=10)

    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/", "/api/stats", "/api/events", "/api/stats?window=no", "/nowhere", "/static/no"])
def test_every_answer_has_the_security_headers(page: str, path: str) -> None:
    headers = get(page + path).headers

    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_page_has_no_inline_script_or_style_and_asks_no_third_party(page: str) -> None:
    html = get(page).text

    assert re.findall(r"\son\w+=|\sstyle=|<style", html) == []
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", html)
    assert inline == ['<script type="application/json" id="numbers">']
    assert re.findall(r'(?:src|href)="(?!/|#|data:image/svg|http://127\.0\.0\.1)[^"]*"', html) == []


def test_the_page_comes_with_its_numbers_and_they_cannot_end_the_script_element(tmp_path: Path) -> None:
    probe = "</script><script>alert(1)</script><!--"
    answer = says(numbers(total_events=1, events_by_type={probe: 1}))
    with scripted_api(answer) as api, dashboard(tmp_path, api.url) as page:
        html = get(page).text

    (found,) = re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', html, re.DOTALL)
    assert json.loads(found)["events_by_type"] == {probe: 1}
    assert probe not in html


def test_the_page_does_not_wait_for_a_slow_api(tmp_path: Path) -> None:
    def slow(request: Request) -> Response:
        time.sleep(1)
        return says(numbers())(request)

    with scripted_api(slow) as api, dashboard(tmp_path, api.url) as page:
        started = time.monotonic()
        html = get(page).text

        assert time.monotonic() - started < 0.8
        assert 'id="numbers">null' in html


def test_the_chosen_theme_is_in_the_page_before_it_is_painted(page: str) -> None:
    assert 'data-theme="dark"' in get(page, cookies={"theme": "dark"}).text
    assert "data-theme" not in get(page, cookies={"theme": '"><script>'}).text


def test_versioned_files_are_kept_for_ever_and_others_are_asked_for_again(page: str) -> None:
    (script,) = re.findall(r'src="(/static/[^"]+/js/main\.js)"', get(page).text)
    plain = "/static/js/main.js"

    assert "immutable" in get(page + script).headers["Cache-Control"]
    assert get(page + script).headers["Content-Encoding"] == "gzip"
    assert get(page + plain).headers["Cache-Control"] == "no-cache"
    assert get(page + plain, headers={"If-None-Match": get(page + plain).headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["../dashboard.py", "%2e%2e/dashboard.py", "/etc/passwd", "..%2fconfig.py", "js"])
def test_nothing_outside_the_static_folder_can_be_read(page: str, path: str) -> None:
    request = requests.Request("GET", page).prepare()
    request.url = f"{page}/static/{path}"
    with requests.Session() as session:
        assert session.send(request, timeout=10, allow_redirects=False).status_code in (308, 404)


def test_everything_at_first_load_fits_into_250_kb_and_10_requests(page: str) -> None:
    html = get(page).text
    paths = {*re.findall(r'(?:src|href)="(/static/[^"]+)"', html)}
    sizes = [len(gzip.compress(html.encode(), 5))]
    for path in paths:
        with requests.get(page + path, stream=True, timeout=10) as answer:
            sizes.append(len(answer.raw.read(decode_content=False)))

    assert len(sizes) <= 10
    assert sum(sizes) <= 250_000


def test_many_browsers_cost_the_api_one_request_an_interval(tmp_path: Path) -> None:
    with (
        scripted_api(says(numbers())) as api,
        dashboard(tmp_path, api.url, POLL_INTERVAL_S="60") as page,
        ThreadPoolExecutor(10) as browsers,
    ):
        answers = list(browsers.map(lambda _: get(f"{page}/api/stats?window=1h").status_code, range(40)))

        assert answers == [200] * 40
        until(lambda: len(api.asked) == 2)
        assert sorted(api.asked) == ["/rejected?limit=1", "/stats?window=1h"]


@pytest.mark.measures
def test_a_slow_api_never_makes_a_browser_wait_for_known_numbers(tmp_path: Path) -> None:
    pace = {"s": 0.0}

    def answer(request: Request) -> Response:
        time.sleep(pace["s"])
        return says(numbers())(request)

    with (
        scripted_api(answer) as api,
        dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as page,
        requests.Session() as browser,
    ):
        assert browser.get(f"{page}/api/stats", timeout=10).status_code == 200
        pace["s"] = 0.5
        times = []
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            started = time.monotonic()
            assert browser.get(f"{page}/api/stats", timeout=10).status_code == 200
            times.append(time.monotonic() - started)

    assert quantiles(times, n=100)[98] <= 0.1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (says({"error": {"code": "internal", "message": "it broke"}}, 500), "http"),
        (says(b"<html>"), "garbage"),
        (says({"error": {"code": "replaying", "message": "reading"}}, 503), "replaying"),
        (says(b"", 302, Location="/elsewhere"), "redirect"),
    ],
)
def test_what_is_wrong_is_named_and_the_last_numbers_stay(tmp_path: Path, answer: Any, state: str) -> None:  # noqa: ANN401
    with scripted_api(says(numbers(total_events=5))) as api, dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as page:
        assert get(f"{page}/api/stats").json()["dashboard"]["state"] == "live"
        api.answer = answer

        until(lambda: get(f"{page}/api/stats").json()["dashboard"]["state"] == state)
        kept = get(f"{page}/api/stats")

        assert kept.status_code == 200
        assert kept.json()["total_events"] == 5
        assert kept.json()["dashboard"]["problem"]["message"]


def test_without_api_and_numbers_the_answer_is_503_and_names_the_address(tmp_path: Path) -> None:
    api_url = f"http://127.0.0.1:{free_port()}"
    with dashboard(tmp_path, api_url) as page:
        for path in ("/api/stats", "/api/events", "/api/rejected"):
            answer = get(page + path)

            assert answer.status_code == 503
            assert api_url in answer.json()["error"]["message"]
        assert get(f"{page}/health").status_code == 200
        assert get(page).status_code == 200


def test_a_page_that_reached_this_machine_under_a_foreign_name_is_refused(page: str) -> None:
    for path in ("/", "/api/stats", "/api/events", "/static/js/main.js"):
        answer = get(page + path, headers={"Host": "evil.example:5000"})

        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "forbidden"
    for host in ("localhost:5000", "127.0.0.1", "[::1]:5000"):
        assert get(f"{page}/api/stats", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_without_a_token_what_a_proxy_passes_on_is_refused(page: str, api: Platform, header: str) -> None:
    came = {header: "203.0.113.7", "Host": "127.0.0.1"}

    for url in (f"{page}/api/stats", f"{api.url}/stats", f"{api.url}/export", f"{api.url}/users/u"):
        answer = get(url, headers=came)

        assert answer.status_code == 403
        assert "came through a proxy" in answer.json()["error"]["message"]


def test_with_a_read_token_only_its_holder_may_look(tmp_path: Path) -> None:
    with platform(tmp_path, READ_TOKEN="s3cret") as api, dashboard(tmp_path, api.url, READ_TOKEN="s3cret") as page:
        refused = get(page)

        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        assert get(f"{page}/api/stats", auth=("any", "wrong")).status_code == 401
        assert get(f"{page}/api/stats", auth=("any", "s3cret")).status_code == 200
        assert get(f"{page}/api/events", headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert get(f"{page}/health").status_code == 200


def test_the_export_is_a_link_and_with_a_read_token_a_command_that_works(tmp_path: Path, page: str) -> None:
    assert '/export?format=csv">Export CSV</a>' in get(page).text

    with platform(tmp_path, READ_TOKEN="s3cret") as api, dashboard(tmp_path, api.url, READ_TOKEN="s3cret") as locked:
        requests.post(f"{api.url}/events", json={"event_type": "click", "user_id": "u"}, timeout=10)
        html = get(locked, auth=("any", "s3cret")).text
        (shown,) = re.findall("Export CSV: <code>(.*?)</code>", html)
        shell = ["bash", "-c", unescape(shown)]
        env = {**os.environ, "READ_TOKEN": "s3cret"}
        subprocess.run(shell, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=20)

    assert ">Export CSV</a>" not in html
    assert [line.split(",")[1] for line in (tmp_path / "events.csv").read_text().splitlines()] == [
        '"event_type"',
        '"click"',
    ]


def test_pages_name_the_api_where_people_reach_it_and_the_dashboard_asks_where_it_does(
    tmp_path: Path, api: Platform
) -> None:
    public = "https://shop.example/clicks"
    with dashboard(tmp_path, api.url, PUBLIC_API_URL=f"{public}/") as page:
        live, questions = get(page).text, get(f"{page}/questions").text
        shown = get(f"{page}/api/stats").json()

    assert f'<a href="{public}/export?format=csv">Export CSV</a>' in live
    for html in (live, questions):
        assert re.findall('href="([^"]*/docs)"', html) == [f"{public}/docs"]
        assert re.findall(' data-(?:public-)?api-url="([^"]*)"', html) == [api.url, public]
    assert shown["dashboard"]["api_url"] == api.url
    assert shown["dashboard"]["problem"] is None

    with dashboard(tmp_path, api.url, PUBLIC_API_URL=public, READ_TOKEN="s3cret") as page:
        (command,) = re.findall("Export CSV: <code>(.*?)</code>", get(page, auth=("any", "s3cret")).text)
    assert f'"{public}/export?format=csv"' in unescape(command)


def test_a_taken_port_is_one_line_and_exit_code_2(page: str) -> None:
    port = page.rpartition(":")[2]

    done = started(DASHBOARD_PORT=port)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'DASHBOARD_PORT="{port}": 127.0.0.1:{port} cannot be listened on: Address already in use')


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "::2", "a..b"])
def test_a_host_that_is_none_of_this_machine_is_what_is_named(host: str) -> None:
    done = started(DASHBOARD_HOST=host, DASHBOARD_PORT=str(free_port()), READ_TOKEN="secret")

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f'DASHBOARD_HOST="{host}": this machine cannot listen there')
    assert "PORT" not in line


def started(**settings: str) -> subprocess.CompletedProcess[str]:
    """A dashboard that cannot start, once it has ended."""
    return subprocess.run(
        python("dashboard.py"),
        capture_output=True,
        text=True,
        timeout=20,
        cwd=ROOT,
        env=environment(**settings),
        check=False,
    )
