"""The skeleton of the page has the sizes of what fills it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Route, expect

HEIGHTS = """() => Object.fromEntries([...document.querySelectorAll("article, section[id], .stage, .donut")].map(
  (part) => [part.id || part.className, Math.round(10 * part.getBoundingClientRect().height)]))"""


@pytest.mark.browser
@pytest.mark.parametrize("coarse", [False, True], ids=["mouse", "touch"])
@pytest.mark.parametrize("width", [390, 768, 1024, 1440, 2560])
def test_nothing_moves_when_the_first_numbers_come(
    busy_hour: tuple[str, str], browser: Browser, width: int, coarse: bool
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, has_touch=coarse, is_mobile=coarse)
    tab = context.new_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.route("**/js/main.js", hold)
    tab.goto(busy_hour[1], wait_until="commit")
    expect(tab.locator("body")).to_have_attribute("data-view", "loading")
    expect(tab.locator("body")).to_have_css("margin", "0px")  # the style sheet is there
    skeleton = tab.evaluate(HEIGHTS)

    held[0].continue_()
    expect(tab.locator("#value-events")).not_to_have_text("\N{EN DASH}")
    expect(tab.locator("#mix-total")).not_to_have_text("\N{EN DASH}")

    assert tab.evaluate(HEIGHTS) == skeleton
    context.close()
