"""What is opened beside the page: one event, the events behind a number, the rejected ones."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.shop import Shop, show, text, view
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.shop import stamp

pytestmark = pytest.mark.browser


def test_a_row_opens_the_whole_event_and_its_session(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    newest = requests.get(f"{busy.api_url}/events?limit=1", timeout=10).json()["events"][0]

    tab.locator(".row-open").first.click()
    expect(tab.locator("#sheet-body pre")).to_contain_text(newest["event_id"])
    assert json.loads(text(tab, "#sheet-body pre")) == newest
    tab.get_by_role("button", name="All of this session").click()

    session = requests.get(f"{busy.api_url}/events", params={"session_id": newest["session_id"]}, timeout=10).json()[
        "events"
    ]
    expect(tab.locator("#sheet-body tbody tr")).to_have_count(len(session))
    tab.get_by_role("button", name="Back", exact=True).click()
    expect(tab.locator("#sheet-body pre")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.locator("#sheet")).to_be_hidden()


def test_an_opened_event_is_shown_and_copied_as_it_is_stored(shop: Shop, context: BrowserContext, tab: Page) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shop.url)
    sent = (
        '{"event_type":"click","event_id":"exact","user_id":"u","properties":{"order":9007199254740993,'
        '"big":12345678901234567890123,"price":1.0,"a":[ ],"text":"{\\"x\\": 1.0} [a, b]"}}'
    )
    requests.post(f"{shop.api_url}/events", data=sent.encode(), timeout=10)
    stored = requests.get(f"{shop.api_url}/export?format=ndjson", timeout=10).text.strip()
    tab.goto(shop.url)
    tab.locator(".row-open").first.click()

    raw = tab.locator("#sheet-body pre")
    for line in ('"order": 9007199254740993,', '"big": 12345678901234567890123,', '"price": 1.0,', '"a": [],'):
        expect(raw).to_contain_text(f"\n    {line}", use_inner_text=True)
    expect(raw).to_contain_text('"text": "{\\"x\\": 1.0} [a, b]"')
    tab.get_by_role("button", name="Copy JSON").click()
    expect(tab.get_by_role("button", name="Copied")).to_be_visible()
    assert tab.evaluate("navigator.clipboard.readText()") == stored


def test_a_large_event_is_fetched_whole_when_opened(shop: Shop, tab: Page) -> None:
    shop.send(view(event_id="large", properties={"page": "/", "text": "x" * 20_000}))
    tab.goto(shop.url)

    expect(tab.locator("#feed")).to_contain_text("large event, 20.")
    tab.locator(".row-open").click()

    expect(tab.locator("#sheet-body pre")).to_contain_text("x" * 1000)


def test_all_events_can_be_browsed_page_by_page(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    total = int(text(tab, "#value-events").replace(",", ""))
    tab.get_by_role("button", name="Browse all events").click()
    rows = tab.locator("#sheet-body tbody tr")

    expect(rows).to_have_count(50)
    while tab.get_by_role("button", name="Show older events").count():
        before = rows.count()
        tab.get_by_role("button", name="Show older events").click()
        expect(rows).not_to_have_count(before)

    assert rows.count() == total


def test_a_top_page_opens_the_events_behind_its_number(busy: Shop, tab: Page) -> None:
    show(tab, busy.url)
    row = tab.locator("#top-list button").first
    number = int((row.locator("strong").text_content() or "").replace(",", ""))

    row.click()

    expect(tab.locator("#sheet-body tbody tr").first).to_be_visible()
    while tab.get_by_role("button", name="Show older events").count():
        before = tab.locator("#sheet-body tbody tr").count()
        tab.get_by_role("button", name="Show older events").click()
        expect(tab.locator("#sheet-body tbody tr")).not_to_have_count(before)
    assert tab.locator("#sheet-body tbody tr").count() == number


def test_a_number_of_a_window_opens_the_events_of_that_window(shop: Shop, tab: Page) -> None:
    now = datetime.now(timezone.utc)
    before = stamp(now - timedelta(minutes=40))
    shop.send(*(view(timestamp=stamp(now), properties={"page": "/x"}) for _ in range(5)))
    shop.send(*(view(timestamp=before, properties={"page": "/x"}) for _ in range(7)))
    rows = tab.locator("#sheet-body tbody tr")
    tab.goto(f"{shop.url}/?window=15m")

    expect(tab.locator("#top-list strong")).to_have_text("5")
    tab.locator("#top-list button").click()
    expect(tab.locator("#sheet-title")).to_have_text("Events: /x in the last 15 minutes")
    expect(tab.locator("#sheet-body .note")).to_have_text("5 events, newest first; these are all.")
    expect(rows).to_have_count(5)
    tab.keyboard.press("Escape")
    tab.locator("#funnel button").first.click()
    expect(tab.locator("#sheet-title")).to_have_text("Events: Page view in the last 15 minutes")
    expect(rows).to_have_count(5)
    tab.keyboard.press("Escape")
    tab.get_by_label("All", exact=True).check()
    expect(tab.locator("#top-list strong")).to_have_text("12")
    tab.locator("#top-list button").click()
    expect(rows).to_have_count(12)


def test_products_open_by_name_or_id_and_what_was_cut_or_not_viewed_opens_nothing(shop: Shop, tab: Page) -> None:
    products = [{"product_id": "p-1"}, {"product_name": "p-1", "product_id": "other"}, {"product_name": "Poles"}]
    pages = [{"page": "/" + "l" * 300}, {"page": "/short"}]
    shop.send(*(view(properties=properties) for properties in products + pages))
    tab.goto(f"{shop.url}/?top=products")
    rows = tab.locator("#top-list button")

    rows.filter(has_text="p-1").click()
    expect(tab.locator("#sheet-body tbody tr")).to_have_count(2)
    tab.keyboard.press("Escape")
    tab.get_by_role("tab", name="Pages").click()
    expect(rows.filter(has_text="/short")).to_be_enabled()
    expect(rows.filter(has_text="/lll")).to_be_disabled()


def test_rejected_events_are_shown_with_reason_field_source_and_raw_text(busy: Shop, tab: Page) -> None:
    busy.send({"event_type": "Bad Type", "user_id": "u"}, status=400)
    show(tab, busy.url)
    expect(tab.locator("#value-rejected")).to_have_text("1")

    tab.get_by_role("button", name="Open the rejected events").click()

    body = tab.locator("#sheet-body")
    expect(body).to_contain_text("invalid_value in event_type")
    expect(body).to_contain_text("from native")
    expect(body).to_contain_text("POST /rejected/replay")
    expect(body.locator("pre")).to_have_text('{"event_type": "Bad Type", "user_id": "u"}')


def test_what_was_refused_is_shown_also_where_it_is_no_text_and_not_where_there_is_nothing(
    shop: Shop, tab: Page
) -> None:
    for body in (b'{"user_id": "M\xfcller"}', b""):
        requests.post(f"{shop.api_url}/events", data=body, timeout=10)
    shop.send(view())
    show(tab, shop.url)

    tab.get_by_role("button", name="Open the rejected events").click()

    refused = tab.locator("#sheet-body .refusal")
    expect(refused).to_have_count(2)
    nothing, no_text = refused.all()
    expect(no_text).to_contain_text("shown as base64")
    expect(no_text.locator("pre")).to_have_text(base64.b64encode(b'{"user_id": "M\xfcller"}').decode())
    expect(nothing).to_contain_text("empty_body")
    expect(nothing.locator("pre, button")).to_have_count(0)


def test_what_the_quarantine_holds_from_before_a_restart_is_told_from_what_was_refused_since(
    tmp_path: Path, tab: Page
) -> None:
    for _ in range(2):
        with platform(tmp_path) as api:
            Shop(api.url, "").send({"event_type": "Bad Type", "user_id": "u"}, status=400)
    with platform(tmp_path) as api, dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as url:
        shop = Shop(api.url, url)
        shop.send(view())
        tab.goto(url)

        expect(tab.locator("#rejected-total")).to_have_text("0")
        expect(tab.locator("#reasons-empty")).to_have_text(
            re.compile(r"^Nothing was refused since \d\d:\d\d\. The quarantine holds 2 records from before\.$")
        )
        expect(tab.locator("#note-rejected")).to_contain_text(re.compile(r"received since \d\d:\d\d$"))

        shop.send({"event_type": "Bad Type", "user_id": "u"}, status=400)
        tab.locator("#panel-rejected").get_by_role("button", name="Show reasons and raw text").click()
        expect(tab.locator("#sheet-body .refusal")).to_have_count(3)
        expect(tab.locator("#rejected-total")).to_have_text("1")
        expect(tab.locator("#quarantined")).to_have_text(
            re.compile(r"^The quarantine holds [23] records, some of them older\.$")
        )
