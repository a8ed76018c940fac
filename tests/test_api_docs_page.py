"""The page /docs in a real Chromium: it shows every route, sends what one edits, and runs no foreign script."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.support.platform import Platform, platform

pytestmark = pytest.mark.browser


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as started:
        yield started


class Opened:
    """The page, and everything the browser complained about."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1200) -> None:
        self.page: Page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda problem: self.complaints.append(str(problem)))
        self.page.goto(url + "/docs")
        expect(self.page.locator("#POST-events button.send")).to_be_visible()


def test_the_first_example_is_sent_as_it_stands_and_the_answer_shown(browser: Browser, running: Platform) -> None:
    opened = Opened(browser, running.url)
    entry = opened.page.locator("#POST-events")

    entry.get_by_role("button", name="Send").click()

    expect(entry.locator(".status")).to_have_text("202 Accepted")
    expect(entry.locator(".result pre")).to_contain_text('"processed": 1')
    assert len(running.events()) == 1
    assert opened.complaints == []


def test_a_browser_that_asks_for_the_api_alone_sees_the_page_and_a_program_the_index(
    browser: Browser, running: Platform
) -> None:
    page = browser.new_page()
    page.goto(running.url)

    expect(page).to_have_url(f"{running.url}/docs")
    assert running.get("/")["name"] == "clickstream"


def test_the_page_works_below_a_path_that_a_proxy_gives_it(browser: Browser, running: Platform) -> None:
    page = browser.new_page()
    below = "http://shop.test/clicks"
    page.route(
        f"{below}/**",
        lambda route: route.fulfill(response=route.fetch(url=running.url + route.request.url[len(below) :])),
    )
    page.goto(f"{below}/docs")
    entry = page.locator("#POST-events")

    entry.get_by_role("button", name="Send").click()

    expect(entry.locator(".status")).to_have_text("202 Accepted")
    expect(page.get_by_role("link", name="openapi.json")).to_have_js_property("href", f"{below}/openapi.json")
    expect(entry.locator("pre", has_text="curl")).to_contain_text(f"curl '{below}/events'")
    assert len(running.events()) == 1
    page.close()

    bare = requests.get(running.url, headers={"Accept": "text/html"}, allow_redirects=False, timeout=5)
    assert bare.headers["Location"] == "docs"


def test_the_curl_command_does_the_same_whatever_the_body_holds(browser: Browser, running: Platform) -> None:
    opened = Opened(browser, running.url)
    entry = opened.page.locator("#POST-events")

    entry.locator("textarea").fill('{"event_type": "click", "user_id": "it\'s $HOME `id`"}')
    command = entry.locator(".command pre").inner_text()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=10, check=True)

    assert json.loads(done.stdout) == {"status": "accepted", "processed": 1}
    assert running.events()[0]["user_id"] == "it's $HOME `id`"


def test_markup_in_an_event_is_text(browser: Browser, running: Platform) -> None:
    opened = Opened(browser, running.url)
    markup = "<img src=x onerror=alert(1)>"
    entry = opened.page.locator("#POST-events")
    entry.locator("textarea").fill(json.dumps({"event_type": "click", "user_id": markup}))
    entry.get_by_role("button", name="Send").click()
    expect(entry.locator(".status")).to_have_text("202 Accepted")
    read = opened.page.locator("#GET-events")

    read.locator("summary").first.click()
    read.get_by_role("button", name="Send").click()

    expect(read.locator(".result pre")).to_contain_text(markup)
    assert opened.page.locator("main img").count() == 0
    assert opened.complaints == []


def test_a_filter_reaches_the_address_and_an_error_shows_its_code(browser: Browser, running: Platform) -> None:
    opened = Opened(browser, running.url)
    entry = opened.page.locator("#GET-events")
    entry.locator("summary").first.click()
    entry.get_by_label("property", exact=True).fill("page=/a b&c")
    entry.get_by_label("limit", exact=True).fill("0")

    entry.get_by_role("button", name="Send").click()

    expect(entry.locator(".command pre")).to_contain_text("/events?limit=0&property.page=%2Fa+b%26c")
    expect(entry.locator(".status")).to_have_text("400 Bad Request")
    expect(entry.locator(".result pre")).to_contain_text('"code": "invalid_parameter"')


def test_the_field_for_the_token_appears_where_one_is_needed(browser: Browser, tmp_path: Path) -> None:
    with platform(tmp_path, READ_TOKEN="secret") as guarded:
        page = Opened(browser, guarded.url).page
        entry = page.locator("#GET-stats")
        entry.locator("summary").first.click()
        entry.get_by_role("button", name="Send").click()
        expect(entry.locator(".status")).to_have_text("401 Unauthorized")

        page.get_by_label("Read token").fill("secret")
        entry.get_by_role("button", name="Send").click()

        expect(entry.locator(".status")).to_have_text("200 OK")
        expect(entry.locator(".command pre")).to_contain_text('"Authorization: Bearer $READ_TOKEN"')


def test_every_route_opens_by_keyboard_and_fits_a_phone(browser: Browser, running: Platform) -> None:
    opened = Opened(browser, running.url, width=390)
    page = opened.page

    for summary in page.locator(".operation > summary").all()[1:]:  # the first is open
        summary.press("Enter")

    expect(page.locator(".operation[open] button.send")).to_have_count(page.locator(".operation").count())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert opened.complaints == []
