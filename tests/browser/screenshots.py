"""Takes the pictures of the README: `python -m tests.browser.screenshots` writes docs/images/.

A real API is filled with the same hour of visits each time, a real dashboard stands before it, and Chromium looks.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console
from rich.text import Text

from clickstream.terminal.report import Paper, lines
from tests.support.chromium import launch
from tests.support.dashboards import dashboard
from tests.support.platform import Platform, platform
from tests.support.shop import stamp, visits
from tests.support.waiting import until

IMAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
REFUSED: Final = (
    {"event_type": "Page View", "user_id": "user_7", "properties": {"page": "/"}},
    {"event_type": "purchase", "properties": {"total": 49.9}},
    {"event_type": "click", "user_id": 12345},
    {"event_type": "search", "user_id": "user_3", "timestamp": "yesterday"},
)


def main() -> int:
    """Write every picture anew."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = launch(playwright)
        directory = Path(name)
        with platform(directory) as api, dashboard(directory, api.url, POLL_INTERVAL_S="1") as url:
            _empty(browser, url)
            _fill(api)
            _pictures(browser, url)
            _terminal(browser, api)
            _api_down(browser, url, api)
        browser.close()
    return 0


def _fill(api: Platform) -> None:
    now = datetime.now(timezone.utc)
    earlier = visits(1500, until=now - timedelta(minutes=60), minutes=60, seed=3)
    hour = visits(2000, until=now + timedelta(minutes=4), minutes=68)
    happened = [event for event in hour if event["timestamp"] <= stamp(now)]
    for part in (earlier, happened):
        for start in range(0, len(part), 5000):
            requests.post(f"{api.url}/events", json=part[start : start + 5000], timeout=30).raise_for_status()
    _stay_live(api, hour[len(happened) :])
    for number in range(41):
        requests.post(f"{api.url}/events", json=REFUSED[number % 4 if number % 3 else 0], timeout=10)


def _stay_live(api: Platform, coming: list[dict[str, Any]]) -> None:
    """Send events as they happen until the rate no longer shows that an hour came at once."""

    def is_settled() -> bool:
        now = stamp(datetime.now(timezone.utc))
        due = [event for event in coming if event["timestamp"] <= now]
        del coming[: len(due)]
        if due:
            requests.post(f"{api.url}/events", json=due, timeout=10).raise_for_status()
        rate: float = api.get("/stats")["ingest"]["events_per_second"]
        return 0 < rate < 50

    until(is_settled, timeout_s=30)


def _open(browser: Browser, url: str, *, width: int, height: int, dark: bool = False, scale: float = 1) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=scale,
        has_touch=width < 500,
        locale="en-US",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("() => document.body.dataset.view !== 'loading'")
    page.wait_for_timeout(1200)  # numbers count up, fonts settle
    return page


def _take(page: Page, name: str, *, full: bool = False) -> None:
    if full:  # a window as high as the page: what is out of sight is not painted, not even for a picture
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": page.viewport_size["width"], "height": height})  # type: ignore[index]
        page.wait_for_timeout(300)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.context.close()


def _empty(browser: Browser, url: str) -> None:
    _take(_open(browser, url, width=1440, height=720), "dashboard-empty")


def _pictures(browser: Browser, url: str) -> None:
    hour = f"{url}/?window=1h"
    _take(_open(browser, hour, width=1440, height=900), "dashboard-light", full=True)
    _take(
        _open(browser, f"{hour}&lines=types&top=products", width=1440, height=900, dark=True),
        "dashboard-dark",
        full=True,
    )
    _take(_open(browser, hour, width=390, height=844, scale=2), "dashboard-phone")

    page = _open(browser, hour, width=1440, height=900)
    page.locator("#feed tr", has_text=re.compile("Purchase|Checkout|Add to cart|Search")).first.locator(
        ".row-open"
    ).click()
    expect(page.locator("#sheet pre")).to_be_visible()
    page.wait_for_timeout(300)
    _take(page, "dashboard-event")

    page = _open(browser, hour, width=1440, height=900, dark=True)
    page.locator("#card-rejected .cover").click()
    expect(page.locator("#sheet pre").first).to_be_visible()
    page.wait_for_timeout(300)
    _take(page, "dashboard-rejected")


def _api_down(browser: Browser, url: str, api: Platform) -> None:
    page = _open(browser, f"{url}/?window=1h", width=1440, height=900)
    api.process.terminate()
    api.process.wait(10)
    expect(page.locator("#banner")).to_be_visible(timeout=8000)
    page.wait_for_timeout(2000)
    _take(page, "dashboard-api-down")


def _terminal(browser: Browser, api: Platform) -> None:
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines(api.get("/stats", window="1h"), Paper(100), state=Text("live", style="green")):
        console.print(line)
    context = browser.new_context(
        offline=True, viewport={"width": 1300, "height": 1400}
    )  # rich names a font on the web
    page = context.new_page()
    page.set_content(console.export_svg(title="python visualize.py --window 1h"))
    page.locator("svg").screenshot(path=IMAGES / "terminal.png")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
