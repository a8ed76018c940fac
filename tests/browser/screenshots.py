"""Takes the pictures of the README: `python -m tests.browser.screenshots` writes docs/images/.

A real API is filled with two hours of the demo's shoppers, the same each time, a real dashboard stands before it, and
Chromium looks.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.support.processes import ROOT, environment, python
from tests.support.shop import stamp
from tests.support.waiting import until

IMAGES: Final = ROOT / "docs" / "images"
BEFORE_MIN: Final = 136  # two hours, and a quarter until the shoppers have spread
AFTER_MIN: Final = 4
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
        _questions(browser, directory / "month")
        with platform(directory) as api, dashboard(directory, api.url, POLL_INTERVAL_S="1") as url:
            _empty(browser, url)
            coming = _fill(api, _shoppers(directory / "shoppers.ndjson"))
            with _live(api, coming):
                _pictures(browser, url)
                _terminal(browser, api)
            _api_down(browser, url, api)
        browser.close()
    return 0


def _shoppers(path: Path) -> list[dict[str, Any]]:
    """What the demo's generator makes of two hours that end a few minutes from now, in its order."""
    start = datetime.now(timezone.utc) - timedelta(minutes=BEFORE_MIN)
    command = python("advanced_generator.py", "--seed=7", "--users=160", "--speed=1", f"--start={stamp(start)}")
    subprocess.run(
        [*command, f"--duration={(BEFORE_MIN + AFTER_MIN) * 60}", f"--output={path}"],
        check=True,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    return sorted(events, key=lambda event: str(event["timestamp"]))


def _fill(api: Platform, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send what has happened, and some that is refused; what is still to happen is given back."""
    now = stamp(datetime.now(timezone.utc))
    happened = [event for event in events if event["timestamp"] <= now]
    for start in range(0, len(happened), 5000):
        requests.post(f"{api.url}/events", json=happened[start : start + 5000], timeout=30).raise_for_status()
    for number in range(41):
        requests.post(f"{api.url}/events", json=REFUSED[number % 4 if number % 3 else 0], timeout=10)
    return events[len(happened) :]


@contextmanager
def _live(api: Platform, coming: list[dict[str, Any]]) -> Iterator[None]:
    """Events arrive as they happen, in this block; it begins when the rate no longer shows that hours came at once."""
    stopped = threading.Event()

    def send() -> None:
        while not stopped.wait(0.5):
            now = stamp(datetime.now(timezone.utc))
            due = [event for event in coming if event["timestamp"] <= now]
            del coming[: len(due)]
            if due:
                requests.post(f"{api.url}/events", json=due, timeout=10).raise_for_status()

    def is_settled() -> bool:
        rate: float = api.get("/stats")["ingest"]["events_per_second"]
        return 0 < rate < 10

    sender = threading.Thread(target=send)
    sender.start()
    try:
        until(is_settled, timeout_s=40)
        yield
    finally:
        stopped.set()
        sender.join()


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


def _questions(browser: Browser, directory: Path) -> None:
    """A month of shoppers, asked when they buy."""
    directory.mkdir()
    with platform(directory) as api, dashboard(directory, api.url) as url:
        command = python("advanced_generator.py", "--seed=7", "--backfill=30d", "--events=20000", "--quiet")
        subprocess.run([*command, f"--endpoint={api.url}/events"], check=True, cwd=ROOT, env=environment())
        requests.get(f"{url}/api/questions/conversion_by_hour", timeout=60)
        page = _open(browser, f"{url}/questions?ask=conversion_by_hour&span=7d", width=1440, height=900)
        page.locator("#answer .time").wait_for()
        expect(page.locator("#before")).to_contain_text("now")
        _take(page, "questions")


def _api_down(browser: Browser, url: str, api: Platform) -> None:
    page = _open(browser, f"{url}/?window=1h", width=1440, height=900)
    api.process.terminate()
    api.process.wait(10)
    expect(page.locator("#banner")).to_be_visible(timeout=8000)
    page.wait_for_timeout(2000)
    _take(page, "dashboard-api-down")


def _terminal(browser: Browser, api: Platform) -> None:
    # Wider and a line longer than what is shown: the frame would cut the letters at its edges.
    console = Console(record=True, width=102, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines(api.get("/stats", window="1h"), Paper(100), state=Text("live", style="green")):
        console.print(line)
    console.print()
    context = browser.new_context(
        offline=True, viewport={"width": 1300, "height": 1400}
    )  # rich names a font on the web
    page = context.new_page()
    page.set_content(console.export_svg(title="python visualize.py --window 1h"))
    page.locator("svg").screenshot(path=IMAGES / "terminal.png")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
