"""A fresh context of the one Chromium for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page


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
