"""What the page holds in memory when it stays open; a file of its own, so that it runs beside the other long ones."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.soak import soak

pytestmark = pytest.mark.browser


def test_a_page_that_stays_open_and_is_used_keeps_no_more_than_at_first(busy_hour: tuple[str, str], tab: Page) -> None:
    _, url = busy_hour

    # The first hundreds warm the page up: code is compiled, every type and reason has come once.
    *_, early, late = soak(tab, url, 600, readings=3, types=25)

    assert late.nodes <= early.nodes + 50  # a leaked row each refresh would be 2,400, a leaked chart 200
    assert late.listeners <= early.listeners
    assert late.script_bytes <= early.script_bytes + 50_000  # the newest numbers alone are 40,000
