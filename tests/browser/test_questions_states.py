"""What the page of questions shows when something is wrong, slow or long, and what audits say of it."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from werkzeug.wrappers import Request, Response

from clickstream.analytics.catalog import QUESTIONS
from clickstream.ports import free_port
from tests.browser import audits
from tests.browser.asking import answered, show
from tests.browser.shop import Shop, view
from tests.browser.test_budget import watch_paint
from tests.support.dashboards import dashboard
from tests.support.processes import RunningProcess, environment, python, running
from tests.support.scripted_api import says, scripted_api

pytestmark = pytest.mark.browser

CUT_OFF = """() => [...document.querySelectorAll("#answer table")].filter((table) => (
  table.scrollWidth > table.parentElement.clientWidth + 1 && getComputedStyle(table.parentElement).overflowX !== "auto"
)).map((table) => table.caption.textContent)"""


def test_the_api_killed_and_started_again_under_the_page(tmp_path: Path, tab: Page) -> None:
    port = str(free_port())
    api_url = f"http://127.0.0.1:{port}"
    env = environment(API_PORT=port, EVENTS_FILE=str(tmp_path / "events_backup.json"))

    def start() -> RunningProcess:
        process = stack.enter_context(running(python("local_api.py"), tmp_path / "api.log", env=env))
        process.wait_for_http(f"{api_url}/ready")
        return process

    with ExitStack() as stack:
        api = start()
        url = stack.enter_context(dashboard(tmp_path, api_url))
        Shop(api_url, url).send(view(properties={"page": "/found-again"}))
        show(tab, url, "?ask=funnel")

        api.send(signal.SIGKILL)
        api.wait()
        tab.locator("#questions a[data-ask=top_pages]").click()

        problem = tab.locator("#problem")
        expect(problem).to_contain_text("The API is not answering.")
        expect(problem).to_contain_text(f"Tried {api_url}.")
        expect(problem).to_contain_text("start it with ./run_demo.sh or .venv/bin/python local_api.py")
        expect(tab.locator("#answer table")).to_have_count(0)  # that of another question
        expect(tab.locator("#facts")).to_have_text("Asking again by itself.")

        start()
        expect(problem).to_be_hidden()
        expect(tab.locator("#answer")).to_contain_text("/found-again")


REPLAYING = {"error": {"code": "replaying", "message": "reading"}}
MEMORY = "this needs more memory than the 1 GB that it may have: ask for a shorter time"
WAITING = {"error": {"code": "unavailable", "message": "analytics: 8 requests are waiting already"}}
PROBLEMS = {
    "memory": (says({"error": {"code": "invalid_parameter", "message": MEMORY}}, 400), MEMORY, "No answer."),
    "replaying": (says(REPLAYING, 503), "The API is reading its journal.", "Asking again by itself."),
    "too many": (says(WAITING, 503), "Too many questions at once.", "Asking again by itself."),
    "garbage": (says(b"<html>"), "The API gave an answer that cannot be used.", "No answer."),
}
LIST = says({"questions": [{"name": name, "description": meaning} for name, meaning in QUESTIONS.items()]})


def answer_of(name: str, *rows: dict[str, object], truncated: bool = False) -> Callable[[Request], Response]:
    columns = list(rows[0]) if rows else []
    return says({"name": name, "columns": columns, "rows": list(rows), "truncated": truncated, "elapsed_ms": 1234.5})


def route(**answers: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An API that lists its questions and answers those that are named."""
    return lambda request: answers.get(request.path.removeprefix("/analytics").removeprefix("/"), LIST)(request)


PAGE = {"page": "/only", "views": 7, "sessions": 3, "people": 2, "entries": 3, "exits": 3}
PAGES = answer_of("top_pages", PAGE, truncated=True)


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_wrong_is_said_and_it_recovers(tmp_path: Path, tab: Page, name: str) -> None:
    wrong, words, next_step = PROBLEMS[name]
    with scripted_api(route(top_pages=wrong)) as api, dashboard(tmp_path, api.url) as url:
        tab.goto(f"{url}/questions?ask=top_pages")

        expect(tab.locator("#problem")).to_contain_text(words)
        expect(tab.locator("#facts")).to_have_text(next_step)
        expect(tab.locator("#spoken")).to_contain_text(tab.locator("#problem-title").text_content() or "")
        expect(tab.locator("#answer table")).to_have_count(0)
        api.answer = route(top_pages=PAGES)
        if next_step == "No answer.":
            tab.get_by_role("button", name="Try now").click()
        expect(tab.locator("#answer tbody td").first).to_have_text("7")
        expect(tab.locator("#problem")).to_be_hidden()
        expect(tab.locator("#facts")).to_have_text(
            "1 row, answered in 1.2 s; there were more: a shorter span shows them all"
        )

        api.answer = route(top_pages=wrong)
        tab.locator("#questions a[data-ask=top_pages]").click()
        expect(tab.locator("#problem")).to_be_visible()
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "0.4")  # it answers the same question
        api.answer = route(top_pages=PAGES)
        if next_step == "No answer.":
            tab.get_by_role("button", name="Try now").click()
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "1")


def test_the_answer_before_stays_greyed_and_a_slow_one_never_overwrites_a_later_one(tmp_path: Path, tab: Page) -> None:
    gate, sent = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        gate.wait(20)
        sent.set()
        return answer_of("top_products", {"product": "too late", "views": 1, "units": 1})(request)

    with scripted_api(route(top_pages=PAGES, top_products=slow)) as api, dashboard(tmp_path, api.url) as url:
        show(tab, url, "?ask=top_pages")
        tab.locator("#questions a[data-ask=top_products]").click()

        expect(tab.locator("#answer")).to_have_attribute("aria-busy", "true")
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "0.4")
        expect(tab.locator("#answer")).to_contain_text("/only")
        expect(tab.locator("#progress")).to_have_text("Asking … 2 s")
        tab.locator("#questions a[data-ask=top_pages]").click()
        answered(tab)
        gate.set()
        sent.wait(20)
        tab.wait_for_timeout(500)  # absence can only be watched for a while

        expect(tab.locator("#title-answer")).to_have_text("Top pages")
        expect(tab.locator("#answer")).to_contain_text("/only")
        expect(tab.locator("#answer")).not_to_contain_text("too late")
        expect(tab.locator("#facts")).to_contain_text("answered in")


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("name", ["funnel", "retention"])
def test_next_to_nothing_moves_when_the_first_answer_comes(past: Shop, tab: Page, name: str, width: int) -> None:
    watch_paint(tab)
    tab.set_viewport_size({"width": width, "height": 900})

    show(tab, past.url, f"?ask={name}")
    tab.wait_for_timeout(300)  # what moves is reported a frame later

    assert tab.evaluate("shift") <= 0.02


def test_a_long_answer_is_drawn_in_parts(tmp_path: Path, tab: Page) -> None:
    rows = [{**PAGE, "page": f"/{number}", "views": 10_000 - number} for number in range(10_000)]
    with scripted_api(route(top_pages=answer_of("top_pages", *rows))) as api, dashboard(tmp_path, api.url) as url:
        show(tab, url, "?ask=top_pages")

        expect(tab.locator("#answer tbody tr")).to_have_count(300)
        tab.get_by_role("button", name="Show the other 9,700 rows").click()
        expect(tab.locator("#answer tbody tr")).to_have_count(10_000)


LINES = """() => [...document.querySelector(".choosing").childNodes].filter((node) => node.data).map((text) => {
  const range = document.createRange();
  range.selectNode(text);
  return [text.data, range.getClientRects().length];
})"""


def test_a_path_goes_on_in_a_new_line_behind_a_slash_not_amid_a_word(tmp_path: Path, tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    page = answer_of("top_pages", {**PAGE, "page": "/category/electronics", "views": 1234})
    with scripted_api(route(top_pages=page)) as api, dashboard(tmp_path, api.url) as url:
        show(tab, url, "?ask=top_pages")

        assert tab.evaluate(LINES) == [["/", 1], ["category/", 1], ["electronics", 1]]
        tab.locator("#answer tbody th button").click()
        expect(tab).to_have_url(re.compile(r"visit\.page=(/|%2F)category(/|%2F)electronics$"))


@audits.needed
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("state", [*QUESTIONS, "empty", "wrong span"])
def test_axe_finds_nothing_in_either_theme_and_nothing_is_wider_than_the_page(
    past: Shop, tab: Page, state: str, width: int
) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    queries = {
        "empty": "ask=funnel&since=2020-01-01&until=2020-01-01",
        "wrong span": "ask=funnel&since=2020-01-02&until=2020-01-01",
    }
    tab.goto(f"{past.url}/questions?{queries.get(state, f'ask={state}&span=30d')}")
    if state == "wrong span":
        expect(tab.locator("#span-problem")).to_be_visible()
    else:
        answered(tab)

    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert audits.axe_violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(CUT_OFF) == []


@audits.needed
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_when_the_api_is_down(tmp_path: Path, tab: Page, theme: str) -> None:
    with dashboard(tmp_path, f"http://127.0.0.1:{free_port()}") as url:
        tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        tab.goto(f"{url}/questions")
        expect(tab.locator("#problem")).to_contain_text("The API is not answering.")
        expect(tab.locator("#questions a")).to_have_count(len(QUESTIONS))  # though nobody has listed them

        assert audits.axe_violations(tab) == []
