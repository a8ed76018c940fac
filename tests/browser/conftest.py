"""A fresh context of the one Chromium for each test, and a platform with a busy hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.asking import two_weeks
from tests.browser.shop import Shop
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.shop import visits

expect.set_options(timeout=10_000)  # where a test names no time of its own, none is promised


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US", timezone_id="Europe/Berlin")
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Page]:
    """A tab whose page may not report any error of its own."""
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda line: faults.append(line.text) if _is_fault(line.type, line.text) else None)
    tab.set_default_timeout(10_000)
    yield tab
    assert faults == []


def _is_fault(kind: str, text: str) -> bool:
    return kind == "error" and "Failed to load resource" not in text  # the network's, which tests cause on purpose


@pytest.fixture(scope="module")
def busy_hour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Addresses of an API with a busy hour, and of the dashboard before it."""
    directory = tmp_path_factory.mktemp("busy-hour")
    with platform(directory) as api, dashboard(directory, api.url) as url:
        requests.post(f"{api.url}/events", json=visits(600, until=datetime.now(timezone.utc)), timeout=20)
        requests.get(f"{url}/api/stats", timeout=10)
        yield api.url, url


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """One without events."""
    with platform(tmp_path) as api, dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as url:
        yield Shop(api.url, url)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One with an hour of visits, shared by tests that compare with what it says now."""
    directory = tmp_path_factory.mktemp("busy")
    with platform(directory) as api, dashboard(directory, api.url, POLL_INTERVAL_S="1") as url:
        shop = Shop(api.url, url)
        shop.send(*visits(120, until=datetime.now(timezone.utc)))
        yield shop


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with visits of today and of some days of the last two weeks."""
    directory = tmp_path_factory.mktemp("past")
    with platform(directory) as api, dashboard(directory, api.url) as url:
        shop = Shop(api.url, url)
        shop.send(*two_weeks())
        yield shop
