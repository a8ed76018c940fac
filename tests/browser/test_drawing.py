"""What a refresh draws, and what waits until somebody looks."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.shop import Shop, look_at, show, text, view

pytestmark = pytest.mark.browser


def test_new_numbers_are_shown_at_once_and_nothing_moves(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    tab.evaluate(
        "window.seen = []; new MutationObserver(() => seen.push(document.getElementById('value-events').textContent))"
        ".observe(document.getElementById('value-events'), {childList: true, characterData: true, subtree: true})"
    )
    before = int(text(tab, "#value-events").replace(",", ""))
    busy.send(*[view(properties={"page": "/"}) for _ in range(50)])

    expect(tab.locator("#value-events")).to_have_text(f"{before + 50:,}")
    assert tab.evaluate("seen") == [f"{before + 50:,}"]
    assert tab.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("chart", ["series", "mix"])
def test_a_chart_out_of_sight_is_drawn_when_it_comes_near_or_is_printed(shop: Shop, tab: Page, chart: str) -> None:
    def drawn() -> str:
        picture: str = tab.evaluate("id => document.getElementById(id).toDataURL()", f"canvas-{chart}")
        return picture

    tab.set_viewport_size({"width": 800, "height": 500})
    shop.send(view())
    tab.goto(shop.url)
    expect(tab.locator("#value-events")).to_have_text("1")
    look_at(tab, f"#canvas-{chart}")
    tab.wait_for_function("id => Boolean(window.Chart?.getChart(id))", arg=f"canvas-{chart}")
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(tab.locator(f"#canvas-{chart}")).not_to_be_in_viewport()
    tab.wait_for_timeout(300)  # until the browser has told the page
    before = drawn()

    shop.send(*[view("click") for _ in range(50)])
    expect(tab.locator("#value-events")).to_have_text("51", timeout=5000)
    assert drawn() == before
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = drawn()
    assert printed != before

    shop.send(*[view("search") for _ in range(500)])
    expect(tab.locator("#value-events")).to_have_text("551", timeout=5000)
    look_at(tab, f"#canvas-{chart}")
    tab.wait_for_function(
        "([id, old]) => document.getElementById(id).toDataURL() !== old", arg=[f"canvas-{chart}", printed]
    )


def test_recent_events_out_of_sight_come_when_they_are_looked_at_or_printed(shop: Shop, tab: Page) -> None:
    tab.set_viewport_size({"width": 800, "height": 500})
    shop.send(view(properties={"page": "/first"}))
    show(tab, shop.url)
    expect(tab.locator("#feed")).to_contain_text("/first")

    shop.send(view(properties={"page": "/second"}))
    expect(tab.locator("#value-events")).to_have_text("2", timeout=5000)
    assert "/second" not in text(tab, "#feed")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert "/second" in text(tab, "#feed")

    shop.send(view(properties={"page": "/third"}))
    expect(tab.locator("#value-events")).to_have_text("3", timeout=5000)
    look_at(tab, "#feed")
    expect(tab.locator("#feed tr").first).to_contain_text("/third", timeout=1000)


def test_rows_beyond_the_list_are_made_for_who_scrolls_in_it_or_enters_it(shop: Shop, tab: Page) -> None:
    shop.send(*[view(properties={"page": f"/{number}"}) for number in range(40)])
    show(tab, shop.url)
    rows = tab.locator("#feed tr")
    look_at(tab, "#list")
    expect(rows).to_have_count(12)
    row_px = tab.evaluate("document.querySelector('#feed tr').offsetHeight")
    tab.wait_for_function("px => document.getElementById('list').scrollHeight === 41 * px", arg=row_px)

    tab.locator("#list").hover()
    tab.mouse.wheel(0, 5000)
    expect(tab.locator("#feed tr", has_text="/0")).to_be_in_viewport()
    expect(rows).to_have_count(40)
    assert tab.evaluate("document.getElementById('list').scrollHeight") == 41 * row_px

    tab.evaluate("document.getElementById('list').scrollTo(0, 0)")
    shop.send(view(properties={"page": "/newest"}))
    expect(rows.first).to_contain_text("/newest")
    expect(rows).to_have_count(12)

    rows.first.get_by_role("button").focus()
    expect(rows).to_have_count(41)


def test_each_cell_says_in_full_what_it_cuts_and_opens_its_event(shop: Shop, tab: Page) -> None:
    person = "person-" + "x" * 60
    shop.send(view(user_id=person, properties={"page": "/here"}))
    show(tab, shop.url)

    cell = tab.get_by_role("cell", name=person)
    cell.hover()
    expect(cell).to_have_attribute("title", person)
    cell.click()

    expect(tab.locator("#sheet-body")).to_contain_text("/here")


def test_the_end_of_the_line_moves_with_the_running_minute(shop: Shop, tab: Page) -> None:
    def shown() -> dict[str, float]:
        found: dict[str, float] = tab.evaluate(
            """() => {
                const chart = window.Chart.getChart("canvas-series");
                const [set] = chart.data.datasets;
                const end = chart.getDatasetMeta(0).data.at(-1);
                const to = chart.scales.y.getPixelForValue(set.data.at(-1));
                return {value: set.data.at(-1), from: end.y, to, top: chart.chartArea.top};
            }"""
        )
        return found

    shop.send(*[view(properties={"page": "/"}) for _ in range(100)])
    show(tab, shop.url)
    tab.wait_for_function("() => window.Chart?.getChart('canvas-series')")
    for total in (130, 131, 900):  # within the scale, hardly, beyond it
        sent = int(text(tab, "#value-events").replace(",", ""))
        shop.send(*[view(properties={"page": "/"}) for _ in range(total - sent)])
        expect(tab.locator("#value-events")).to_have_text(str(total))
        said = tab.locator("#reader-text")
        tab.locator("#reader").fill(tab.locator("#reader").get_attribute("max") or "")
        assert f"{shown()['value']:.0f} events" in (said.text_content() or "")
        assert abs(shown()["from"] - shown()["to"]) < 0.5
        assert shown()["to"] >= shown()["top"]
