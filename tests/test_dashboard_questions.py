"""What the dashboard passes on of the API's questions: its own process before the real API, or a scripted one."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Request, Response

from clickstream.analytics.catalog import QUESTIONS
from clickstream.ports import free_port
from tests.support.dashboards import dashboard
from tests.support.platform import Platform, platform
from tests.support.scripted_api import ScriptedApi, numbers, says, scripted_api
from tests.support.shop import visits
from tests.support.waiting import until

NOTHING = says({"name": "funnel", "columns": [], "rows": [], "truncated": False, "elapsed_ms": 1})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("api")) as running:
        events = visits(120, until=datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc))
        assert requests.post(f"{running.url}/events", json=events, timeout=10).status_code == 202
        yield running


@pytest.fixture(scope="module")
def page(api: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(tmp_path_factory.mktemp("dashboard"), api.url) as url:
        yield url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedApi, str]]:
    with scripted_api(NOTHING) as api, dashboard(tmp_path_factory.mktemp("scripted"), api.url) as url:
        yield api, url


@pytest.fixture
def scripted(shared: tuple[ScriptedApi, str]) -> tuple[ScriptedApi, str]:
    """The one dashboard before a scripted API, which has been asked nothing yet."""
    shared[0].answer = NOTHING
    shared[0].asked.clear()
    return shared


def get(url: str, **options: Any) -> requests.Response:  # noqa: ANN401 - passed on
    return requests.get(url, timeout=20, **options)


def raw(base: str, path: str) -> requests.Response:
    """The answer to exactly this path, which requests would tidy up."""
    request = requests.Request("GET", base).prepare()
    request.url = base + path
    with requests.Session() as session:
        return session.send(request, timeout=10, allow_redirects=False)


def error(answer: requests.Response) -> dict[str, str]:
    found: dict[str, str] = answer.json()["error"]
    return found


def test_of_a_name_of_visits_that_stands_twice_the_page_comes_with_the_later_text(page: str) -> None:
    text = get(f"{page}/questions?visit.device=mobile&visit.device=desktop").text

    assert "Device: desktop" in text
    assert "Device: mobile" not in text


def test_the_questions_are_those_of_the_api(api: Platform, page: str) -> None:
    assert get(f"{page}/api/questions").json() == api.get("/analytics")


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_that_of_the_api_for_the_same_span(api: Platform, page: str, name: str) -> None:
    span = {"since": "2026-03-10T11:30:00Z", "until": "2026-03-10T12:05:00+00:00"}

    passed_on = get(f"{page}/api/questions/{name}", params=span).json()

    said = api.get(f"/analytics/{name}", **span)
    assert {**passed_on, "elapsed_ms": 0} == {**said, "elapsed_ms": 0}
    assert said["rows"] != api.get(f"/analytics/{name}")["rows"]


@pytest.mark.parametrize(
    "path", ["nonsense", "Funnel", "..", "%2e%2e", "..%2fexport", "funnel%2f..%2f..%2fexport", "funnel/x", "funnel%00"]
)
def test_what_is_no_question_is_refused_and_never_becomes_a_path_of_the_api(
    scripted: tuple[ScriptedApi, str], path: str
) -> None:
    api, page = scripted

    answer = raw(page, f"/api/questions/{path}")

    assert answer.status_code == 404
    assert error(answer)["code"] == "not_found"
    assert api.asked == []


def test_a_refused_question_is_told_which_there_are(page: str) -> None:
    assert "there are funnel, traffic, sessions, retention" in error(get(f"{page}/api/questions/nonsense"))["message"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("until=2026-02-30", "until"),
        ("zone=Berlin", "zone"),
        ("limit=5", "limit"),
        ("format=csv&since=2026-03-10T00:00:00Z", "format"),
        ("since=2026-03-10T00:00:00Z&since=2026-03-11T00:00:00Z", "since"),
    ],
)
def test_a_parameter_that_is_not_known_or_not_a_time_is_refused_here(
    scripted: tuple[ScriptedApi, str], query: str, field: str
) -> None:
    api, page = scripted

    answer = get(f"{page}/api/questions/funnel?{query}")

    assert (answer.status_code, error(answer)["code"], error(answer)["field"]) == (400, "invalid_parameter", field)
    assert get(f"{page}/api/questions?{query}").status_code == 400
    assert api.asked == []


def test_the_span_and_the_most_rows_are_all_that_the_api_is_asked_with(scripted: tuple[ScriptedApi, str]) -> None:
    api, page = scripted

    get(f"{page}/api/questions/funnel?since=2026-03-10T00:00:00Z")

    assert api.asked == ["/analytics/funnel?since=2026-03-10T00%3A00%3A00Z&limit=10000"]


def test_the_api_is_asked_with_the_read_token_which_a_browser_needs_too(tmp_path: Path) -> None:
    with platform(tmp_path, READ_TOKEN="s3cret") as api, dashboard(tmp_path, api.url, READ_TOKEN="s3cret") as page:
        for path in ("/questions", "/api/questions", "/api/questions/funnel"):
            assert get(page + path).status_code == 401
            assert get(page + path, auth=("any", "s3cret")).status_code == 200


def test_without_an_api_the_address_that_was_tried_is_named(tmp_path: Path) -> None:
    api_url = f"http://127.0.0.1:{free_port()}"
    with dashboard(tmp_path, api_url) as page:
        for path in ("/api/questions", "/api/questions/funnel"):
            answer = get(page + path)

            assert answer.status_code == 503
            assert f"nothing answers at {api_url}" in error(answer)["message"]
            assert "Retry-After" not in answer.headers  # which would say that it is there and busy
        assert get(f"{page}/questions").status_code == 200


MEMORY = "this needs more memory than the 1 GB that it may have: ask for a shorter time"
REFUSALS = {
    "too large": (says(b" " * 17_000_000), 502, "answered more than 16,777,216 bytes"),
    "redirect": (says(b"", 302, Location="http://elsewhere/"), 502, "redirects elsewhere (302)"),
    "garbage": (says(b"<html>"), 502, "not a JSON object"),
    "failure": (says({"error": {"code": "internal", "message": "it broke"}}, 500), 502, "answered 500: it broke"),
    "memory": (says({"error": {"code": "invalid_parameter", "message": MEMORY}}, 400), 400, MEMORY),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_wrong_with_an_answer_is_named(scripted: tuple[ScriptedApi, str], name: str) -> None:
    api, page = scripted
    api.answer, status, words = REFUSALS[name]

    answer = get(f"{page}/api/questions/retention")

    assert answer.status_code == status
    assert words in error(answer)["message"]


def test_too_many_questions_for_the_api_are_asked_again_later(scripted: tuple[ScriptedApi, str]) -> None:
    api, page = scripted
    waiting = {"error": {"code": "unavailable", "message": "analytics: 8 requests are waiting already"}}
    api.answer = says(waiting, 503, **{"Retry-After": "5"})

    answer = get(f"{page}/api/questions/funnel")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "8 requests are waiting already" in error(answer)["message"]


def test_an_api_that_reads_its_journal_says_how_far_it_is(scripted: tuple[ScriptedApi, str]) -> None:
    def replaying(request: Request) -> Response:
        if request.path == "/ready":
            return says({"status": "replaying", "progress": 0.64}, 503)(request)
        return says({"error": {"code": "replaying", "message": "reading"}}, 503)(request)

    api, page = scripted
    api.answer = replaying

    answer = get(f"{page}/api/questions/funnel")

    assert (answer.status_code, error(answer)["code"]) == (503, "replaying")
    assert error(answer)["message"] == "the API is reading its journal: 64% is read"


def test_a_question_may_take_longer_than_the_numbers_may(scripted: tuple[ScriptedApi, str]) -> None:
    def slow(request: Request) -> Response:
        time.sleep(3.5)  # the reader of the numbers gives up after 3 s
        return NOTHING(request)

    api, page = scripted
    api.answer = slow

    assert get(f"{page}/api/questions/funnel").status_code == 200


def test_questions_under_way_hold_up_neither_the_numbers_nor_the_list_and_are_bounded(tmp_path: Path) -> None:
    answered = threading.Event()

    def answer(request: Request) -> Response:
        if request.path.startswith("/analytics/"):
            answered.wait(20)
            return NOTHING(request)
        return says(numbers())(request)

    with (
        scripted_api(answer) as api,
        dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as page,
        ThreadPoolExecutor(20) as browsers,
    ):
        try:
            asked = [browsers.submit(get, f"{page}/api/questions/funnel") for _ in range(20)]
            refused = [next_done(asked) for _ in range(4)]
            started = time.monotonic()
            others = ("stats?window=1h", "stats?window=24h", "stats", "questions")
            polls = [get(f"{page}/api/{other}").status_code for other in others]
            took_s = time.monotonic() - started
        finally:
            answered.set()
        answers = [one.result() for one in asked]

    assert polls == [200] * 4
    assert took_s < 2  # not the seconds that the questions take
    assert [one.headers["Retry-After"] for one in refused] == ["1"] * 4
    assert [one.status_code for one in answers] == [200] * 16


def test_what_a_page_no_longer_waits_for_is_not_asked_any_more(tmp_path: Path) -> None:
    answered = threading.Event()

    def answer(request: Request) -> Response:
        answered.wait(20)
        return NOTHING(request)

    def sent(name: str, page_of: str) -> HTTPConnection:
        connection = HTTPConnection(page.removeprefix("http://"), timeout=20)
        connection.request("GET", f"/api/questions/{name}", headers={"X-Page": page_of})
        return connection

    with scripted_api(answer) as api, dashboard(tmp_path, api.url) as page:
        try:
            begun = [sent("funnel", "busy"), sent("sessions", "other")]
            until(lambda: len(api.asked) == 2)
            left = sent("paths", "a")
            assert get(f"{page}/health").status_code == 200  # answered behind it
            others = [sent("revenue", "b"), sent("retention", "a")]
            assert get(f"{page}/health").status_code == 200
        finally:
            answered.set()
        assert [one.getresponse().status for one in (*begun, *others)] == [200] * 4
        assert left.getresponse().status == 409
        for connection in (*begun, *others, left):
            connection.close()

    assert sorted(path.partition("?")[0] for path in api.asked) == [
        f"/analytics/{name}" for name in ("funnel", "retention", "revenue", "sessions")
    ]


def next_done(asked: list[Any]) -> requests.Response:
    while True:
        for one in asked:
            if one.done():
                asked.remove(one)
                answer: requests.Response = one.result()
                return answer
        time.sleep(0.01)


@pytest.mark.parametrize("path", ["/questions", "/api/questions", "/api/questions/funnel", "/api/questions/no"])
def test_the_rules_of_the_dashboard_hold_for_questions(page: str, path: str) -> None:
    policy = get(f"{page}/").headers["Content-Security-Policy"]

    assert get(page + path).headers["Content-Security-Policy"] == policy
    assert get(page + path).headers["X-Content-Type-Options"] == "nosniff"
    assert get(page + path, headers={"Host": "evil.example:5000"}).status_code == 403
    assert requests.post(page + path, timeout=10).status_code == 405


def test_the_page_has_no_inline_script_or_style_asks_no_third_party_and_has_its_theme(page: str) -> None:
    html = get(f"{page}/questions", cookies={"theme": "dark"}).text

    assert re.findall(r"\son\w+=|\sstyle=|<style", html) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", html) == []
    assert re.findall(r'(?:src|href)="(?!/|#|data:image/svg|http://127\.0\.0\.1)[^"]*"', html) == []
    assert 'data-theme="dark"' in html
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', html):
        assert get(page + path).status_code == 200
