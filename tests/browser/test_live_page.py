"""The page before the real API: live numbers, windows, filters, pause, keyboard, themes, probes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.shop import UNKNOWN, Shop, look_at, show, text, view
from tests.support.dashboards import dashboard
from tests.support.processes import ROOT, python
from tests.support.shop import stamp
from tests.support.site import site

pytestmark = pytest.mark.browser

PROBE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'`${7*7}{{7*7}}'


def test_the_first_event_turns_the_empty_page_into_the_dashboard(shop: Shop, tab: Page) -> None:
    tab.goto(shop.url)
    expect(tab.get_by_role("heading", name="No events yet")).to_be_visible()
    expect(tab.locator("#snippet")).to_contain_text(f"curl -X POST {shop.api_url}/events")
    expect(tab.locator(".welcome")).to_contain_text("turns into the dashboard within 1 s.")

    shop.send(view(properties={"page": "/first"}))

    expect(tab.locator("#dashboard")).to_be_visible(timeout=3000)
    expect(tab.locator("#value-events")).to_have_text("1")
    expect(tab.locator("#feed")).to_contain_text("/first")


def test_snippets_and_commands_name_the_api_where_people_reach_it(shop: Shop, tab: Page, tmp_path: Path) -> None:
    public = "https://shop.example/clicks"
    with dashboard(tmp_path, shop.api_url, PUBLIC_API_URL=public) as url:
        tab.goto(url)
        for name, expected in (
            ("curl", f"curl -X POST {public}/events"),
            ("Segment SDK", f'host: "{public}", path: "/clicks/v1/batch" }}'),
            ("Browser", f'<script defer src="{public}/tracker.js" data-endpoint="{public}"></script>'),
        ):
            tab.get_by_role("tab", name=name).click()
            expect(tab.locator("#snippet")).to_contain_text(expected)
        shop.send(view())
        tab.goto(f"{url}/questions?ask=top_pages")
        expect(tab.locator("#curl")).to_contain_text(f"curl '{public}/analytics/top_pages?")


def test_the_curl_and_python_snippets_work_as_shown(shop: Shop, tab: Page) -> None:
    tab.goto(shop.url)
    curl = text(tab, "#snippet")
    tab.get_by_role("tab", name="Python").click()
    program = text(tab, "#snippet")

    subprocess.run(["bash", "-c", curl], check=True, capture_output=True, timeout=20)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=20)

    expect(tab.locator("#value-events")).to_have_text("2")


def test_a_page_with_the_browser_snippet_sends_its_views(shop: Shop, tab: Page, context: BrowserContext) -> None:
    tab.goto(shop.url)
    tab.get_by_role("tab", name="Browser").click()
    tag = text(tab, "#snippet")

    with site(lambda path: ("text/html", f"<title>Shoes</title>{tag}".encode()) if path == "/shoes" else None) as url:
        context.new_page().goto(f"{url}/shoes")
        expect(tab.locator("#dashboard")).to_be_visible()

    expect(tab.locator("#feed")).to_contain_text("/shoes")


def test_the_shoppers_of_the_empty_page_come_to_this_api(shop: Shop, tab: Page) -> None:
    tab.goto(shop.url)
    interpreter, *words = shlex.split(text(tab, ".welcome > p:last-child code"))

    assert interpreter == ".venv/bin/python"  # where run_demo.sh has put it; the tests may use another
    subprocess.run(python(*words, "--duration", "1"), cwd=ROOT, check=True, capture_output=True, timeout=30)

    expect(tab.locator("#dashboard")).to_be_visible(timeout=3000)
    assert requests.get(f"{shop.api_url}/stats", timeout=5).json()["total_events"] > 0


def test_when_only_refused_events_came_the_empty_page_says_so_and_why(shop: Shop, tab: Page) -> None:
    shop.send({"event_type": "page_view"}, status=400)
    tab.goto(shop.url)

    expect(tab.locator(".refused")).to_contain_text("1 event arrived and was refused (missing_identity).")
    tab.get_by_role("button", name="See why").click()
    expect(tab.locator("#sheet-body")).to_contain_text('{"event_type": "page_view"}')


def test_a_new_event_shows_within_one_poll_everywhere(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    before = int(text(tab, "#value-events").replace(",", ""))

    busy.send(
        view("purchase", timestamp=stamp(datetime.now(timezone.utc)), properties={"total": 12.5, "order_id": "o-new"})
    )

    expect(tab.locator("#value-events")).to_have_text(f"{before + 1:,}", timeout=2500)
    look_at(tab, "#panel-feed")
    expect(tab.locator("#feed tr").first).to_contain_text("$12.50 · o-new")

    busy.send(
        view("purchase", timestamp=stamp(datetime.now(timezone.utc)), properties={"total": 12.5, "order_id": "o-newer"})
    )

    expect(tab.locator("#feed tr").first).to_contain_text("$12.50 · o-newer", timeout=2500)
    expect(tab.locator("#feed tr").first).to_have_attribute("data-fresh", "")
    expect(tab.locator("#value-events")).to_have_text(f"{before + 2:,}")


def test_the_cards_say_what_the_api_says(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    stats = requests.get(f"{busy.api_url}/stats", timeout=10).json()

    expect(tab.locator("#value-events")).to_have_text(f"{stats['total_events']:,}")
    expect(tab.locator("#value-views")).to_have_text(f"{stats['events_by_type']['page_view']:,}")
    expect(tab.locator("#value-sessions")).to_have_text(f"{stats['sessions']['total']:,}")
    expect(tab.locator("#value-conversion")).to_have_text(f"{stats['conversion']['view_to_purchase']:.1%}")
    assert tab.locator("#value-revenue").get_attribute("title") == f"${stats['revenue']['cents'] / 100:,.2f}"
    funnel = [int(number.replace(",", "")) for number in tab.locator(".step-head strong").all_text_contents()]
    assert funnel == [step["sessions"] for step in stats["funnel"]]


def test_window_filters_and_tabs_live_in_the_address_and_come_back_from_it(
    busy: Shop, tab: Page, context: BrowserContext
) -> None:
    show(tab, busy.url)
    tab.get_by_label("15 min", exact=True).check()
    tab.get_by_role("button", name="Click", exact=True).click()
    tab.get_by_role("button", name="By type").click()
    tab.get_by_role("tab", name="Products").click()
    tab.get_by_role("searchbox").fill("flask")

    shared = f"{busy.url}/?window=15m&hide=click&q=flask&lines=types&top=products"
    expect(tab).to_have_url(shared)
    other = context.new_page()
    other.goto(shared)

    expect(other.get_by_label("15 min", exact=True)).to_be_checked()
    expect(other.get_by_role("button", name="Click", exact=True)).to_have_attribute("aria-pressed", "false")
    expect(other.get_by_role("searchbox")).to_have_value("flask")
    expect(other.get_by_role("tab", name="Products")).to_have_attribute("aria-selected", "true")
    expect(other.locator("#top-what")).to_have_text("product")


def test_hiding_a_type_changes_charts_and_feed_but_never_funnel_or_cards(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    funnel, cards = text(tab, "#funnel"), text(tab, "#value-views")

    tab.get_by_role("button", name="Page view", exact=True).click()

    expect(tab.locator("#notice")).to_contain_text("Hidden from both charts and the recent events: Page view.")
    look_at(tab, "#panel-feed")
    expect(tab.locator("#feed .chip", has_text="Page view")).to_have_count(0)
    assert text(tab, "#funnel") == funnel
    assert text(tab, "#value-views") == cards
    assert "-\N{MINUS SIGN}" not in funnel
    tab.get_by_role("button", name="Show all types").click()
    expect(tab.locator("#notice")).to_be_hidden()


def test_a_window_without_events_says_so_and_offers_all_time(shop: Shop, tab: Page) -> None:
    shop.send(view(timestamp="2026-01-01T00:00:00Z", properties={"page": "/"}))
    tab.goto(f"{shop.url}/?window=15m")

    expect(tab.locator("#notice")).to_contain_text("No events in the last 15 minutes.")
    expect(tab.locator("#value-events")).to_have_text("0")
    expect(tab.locator("#value-conversion")).to_have_text(UNKNOWN)
    tab.get_by_role("button", name="Show all time").click()
    expect(tab.locator("#value-events")).to_have_text("1")


@pytest.mark.parametrize(
    ("total", "currency", "change"),
    [
        (100, "EUR", "↑ 100.0% more than before"),
        (100, "USD", "$100.00 before"),
        (-100, "EUR", "-€100.00 before"),
    ],
)
def test_revenue_changes_by_a_percentage_only_of_more_than_nothing_in_the_same_currency(
    shop: Shop, tab: Page, total: int, currency: str, change: str
) -> None:
    now = datetime.now(timezone.utc)
    before = {"total": total, "currency": currency}
    shop.send(
        view("purchase", timestamp=stamp(now - timedelta(minutes=20)), properties=before),
        view("purchase", timestamp=stamp(now), properties={"total": 200, "currency": "EUR"}),
    )
    tab.goto(f"{shop.url}/?window=15m")

    expect(tab.locator("#value-revenue")).to_have_text("€200")
    expect(tab.locator("#detail-revenue")).to_have_text(change)


def test_pausing_holds_the_page_and_says_how_many_wait(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    before = text(tab, "#value-events")
    tab.get_by_role("button", name="Pause").click()

    busy.send(view(properties={"page": "/while-paused"}), view(properties={"page": "/while-paused"}))

    expect(tab.locator("#status")).to_have_text("Paused · 2 new", timeout=4000)
    assert text(tab, "#value-events") == before
    look_at(tab, "#panel-feed")
    assert "/while-paused" not in text(tab, "#feed")
    tab.get_by_role("button", name="Resume").click()
    expect(tab.locator("#feed")).to_contain_text("/while-paused")


def test_the_series_and_the_funnel_can_be_read_as_tables(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    stats = requests.get(f"{busy.api_url}/stats", timeout=10).json()
    for _ in range(2):
        tab.get_by_role("button", name="Show as table").first.click()

    expect(tab.locator("#table-series tbody tr")).to_have_count(60)
    cells = tab.locator("#table-funnel tbody tr").first.locator("td").all_text_contents()
    assert cells[0] == f"{stats['funnel'][0]['sessions']:,}"
    expect(tab.get_by_role("button", name="Show as chart")).to_have_count(2)


def test_the_line_can_be_read_point_by_point_with_the_keyboard(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    reader = tab.get_by_role("slider")
    reader.focus()
    tab.keyboard.press("ArrowLeft")

    spoken = reader.get_attribute("aria-valuetext") or ""
    assert re.fullmatch(r"\d\d:\d\d, [\d,]+ events", spoken)
    expect(tab.locator("#reader-text")).to_have_text(spoken)


def test_everything_can_be_done_with_the_keyboard(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the numbers"

    seen = set()
    for _ in range(120):
        tab.keyboard.press("Tab")
        name = tab.evaluate(
            "(() => { const n = document.activeElement;"
            " return n.id || n.dataset.open || n.dataset.table || n.className; })()"
        )
        outline = tab.evaluate(
            "(() => { const n = document.activeElement; const s = (m, p) => getComputedStyle(m, p).outlineStyle;"
            " const next = n.nextElementSibling;"
            " return [s(n), s(n, '::after'), next ? s(next) : 'none'].some((v) => v !== 'none')"
            " || n === document.body || n.type === 'range'; })()"
        )
        assert outline, f"no visible focus on {name}"
        seen.add(name)

    assert {"pause", "theme", "filter", "search", "reader", "tab-pages", "events", "rejected", "series"} <= seen
    tab.locator("#pause").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#pause")).to_have_attribute("aria-pressed", "true")
    tab.locator("#tab-pages").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("#tab-products")).to_be_focused()
    tab.get_by_label("All", exact=True).focus()
    tab.keyboard.press("ArrowLeft")
    assert "window=24h" in tab.url


def test_the_theme_follows_the_system_and_the_choice_survives_a_reload(busy: Shop, tab: Page) -> None:
    def ground() -> str:
        return str(tab.evaluate("getComputedStyle(document.body).backgroundColor"))

    tab.emulate_media(color_scheme="dark")
    show(tab, busy.url)
    assert ground() == "rgb(14, 19, 26)"
    tab.emulate_media(color_scheme="light")
    assert ground() == "rgb(245, 247, 250)"

    for chosen in ("light", "dark"):
        tab.locator("#theme").click()
        expect(tab.locator("#theme")).to_have_accessible_name(f"Theme: {chosen}")
    assert ground() == "rgb(14, 19, 26)"
    tab.reload()
    assert ground() == "rgb(14, 19, 26)"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (768, 1024), (1440, 900), (3840, 2160)])
def test_nothing_is_wider_than_the_screen(busy: Shop, tab: Page, width: int, height: int) -> None:
    tab.set_viewport_size({"width": width, "height": height})
    show(tab, busy.url)

    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    clipped = tab.evaluate(
        "[...document.querySelectorAll('.value, .card-aside, .detail, .step-head, .pill, .window span')]"
        ".filter((n) => n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).display !== 'inline')"
        ".map((n) => n.id || n.className)"
    )
    assert clipped == []


def test_at_200_percent_text_size_no_number_is_clipped(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    tab.evaluate("document.documentElement.style.fontSize = '200%'")
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)

    overflowing = tab.evaluate(
        "[...document.querySelectorAll('.value')].filter((n) => { const c = n.closest('.card').getBoundingClientRect();"
        " const r = document.createRange(); r.selectNodeContents(n);"
        " return r.getBoundingClientRect().right > c.right; }).map((n) => n.id)"
    )
    assert overflowing == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1440


def test_numbers_and_times_are_written_in_the_locale_and_zone_of_the_reader(
    busy: Shop, context: BrowserContext
) -> None:
    browser = context.browser
    assert browser is not None
    german = browser.new_context(locale="de-DE", timezone_id="Asia/Kolkata")
    tab = german.new_page()
    show(tab, busy.url)
    expect(tab.locator("#value-conversion")).to_have_text(re.compile(r"^\d+,\d\s%$"))
    newest = requests.get(f"{busy.api_url}/events?limit=1", timeout=10).json()["events"][0]
    shown = text(tab, "#feed tr:first-child .time")
    german.close()

    at = datetime.fromisoformat(newest["timestamp"].replace("Z", "+00:00"))
    minutes = (at.hour * 60 + at.minute + 330) % 1440
    assert shown == f"{minutes // 60:02}:{minutes % 60:02}:{at.second:02}"


def test_what_is_long_past_is_told_with_its_year(shop: Shop, tab: Page) -> None:
    shop.send(view(timestamp="2025-01-15T10:30:00Z"))
    show(tab, shop.url)

    expect(tab.locator("#detail-events")).to_have_text("since Jan 15, 2025")
    look_at(tab, "#panel-feed")
    expect(tab.locator("#feed tr").first).to_contain_text("Jan 15, 2025")


@pytest.mark.parametrize("width", [390, 1440])
def test_times_of_past_days_are_not_cut(shop: Shop, tab: Page, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    for days in (2, 300):
        shop.send(view(timestamp=stamp(datetime.now(timezone.utc) - timedelta(days=days))))
    show(tab, shop.url)
    look_at(tab, "#panel-feed")

    cells = tab.locator("#feed .time")
    expect(cells).to_have_count(2)
    assert cells.evaluate_all("cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth)") == []


@pytest.mark.parametrize("width", [360, 390])
def test_no_type_is_cut_in_the_distribution_on_a_phone(shop: Shop, tab: Page, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    shop.send(view("remove_from_cart"), view("a_name_as_long_as_names_of_types_may_be_that_nobody_would_read"))
    show(tab, shop.url)
    look_at(tab, "#panel-mix")

    names = tab.locator("#legend .type span:last-child")
    expect(names).to_have_count(2)
    assert names.evaluate_all("names => names.filter(name => name.scrollWidth > name.clientWidth)") == []


def test_what_a_sender_writes_is_only_ever_text(shop: Shop, tab: Page) -> None:
    shop.send(
        view(properties={"page": PROBE, "product_name": PROBE, "referrer": PROBE, "device": PROBE, PROBE: PROBE}),
        view("search", properties={"query": PROBE, "results_count": {"a": PROBE}}, user_agent=PROBE),
        view("purchase", properties={"total": PROBE, "currency": PROBE, "order_id": PROBE}),
        view("purchase", properties={"total": 5, "currency": PROBE}),
        view("xss.custom-type:1", user_id=PROBE, properties={PROBE: [PROBE]}),
        view("click", properties={"__proto__": PROBE, "constructor": PROBE, "element": PROBE}),
        view("constructor", properties={}),
    )
    shop.send({"event_type": PROBE, "user_id": PROBE}, status=400)
    tab.goto(shop.url)
    expect(tab.locator("#value-events")).to_have_text("7")
    for index in range(7):
        tab.locator(".row-open").nth(index).click()
        expect(tab.locator("#sheet-body pre")).to_be_visible()
        tab.keyboard.press("Escape")
    for name in ("Products", "Referrers", "Devices"):
        tab.get_by_role("tab", name=name).click()
    tab.get_by_role("button", name="Open the rejected events").click()
    expect(tab.locator("#sheet-body")).to_contain_text("onerror")

    assert tab.evaluate("window.hacked") is None
    assert tab.evaluate("document.querySelectorAll('main img, dialog img, main script, dialog script').length") == 0
    expect(tab.locator("#banner")).to_be_hidden()


def test_hundreds_of_custom_types_do_not_break_the_page(shop: Shop, tab: Page) -> None:
    shop.send(*[view(f"custom_{number}") for number in range(300)])
    tab.goto(f"{shop.url}/?lines=types")

    expect(tab.locator("#legend tr")).to_have_count(41)
    expect(tab.locator("#legend")).to_contain_text("260 further types")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1440
