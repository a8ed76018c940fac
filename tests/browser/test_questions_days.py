"""Days in answers of the page of questions are those of the reader's time zone."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.asking import said, show, tables
from tests.browser.shop import Shop, view

pytestmark = pytest.mark.browser

YESTERDAY = datetime.now(timezone.utc).date() - timedelta(days=1)


@pytest.mark.parametrize("name", ["traffic", "sessions", "revenue"])
def test_what_happens_at_midnight_in_utc_is_of_the_day_that_it_is_for_the_reader(
    shop: Shop, browser: Browser, name: str
) -> None:
    moment = f"{YESTERDAY}T23:45:00Z"
    shop.send(view(timestamp=moment), view(event_type="purchase", timestamp=moment, properties={"total": 1}))
    days = {"Europe/Berlin": 1, "America/New_York": 0, "Australia/Eucla": 1, "UTC": 0}

    for zone, later in days.items():
        context = browser.new_context(locale="en-US", timezone_id=zone)
        tab = context.new_page()
        show(tab, shop.url, f"?ask={name}&span=7d")

        day = YESTERDAY + timedelta(days=later)
        assert [row["day"] for row in said(tab)] == [str(day)]
        assert tables(tab)[0]["rows"][0][0] == f"{day:%b} {day.day}, {day.year}"
        expect(tab.locator("#answer")).to_contain_text(f"Days are those of {zone}")
        assert (f"--zone {zone}" in (tab.locator("#sql").text_content() or "")) is (zone != "UTC")
        context.close()


def test_a_question_without_days_names_no_zone(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=7d")

    expect(tab.locator("#curl")).not_to_contain_text("zone")


def test_whole_days_of_the_reader_stand_in_whole_rows(shop: Shop, tab: Page) -> None:
    moments = [
        f"{YESTERDAY - timedelta(days=days)}T{clock}:00Z" for days in (0, 1) for clock in ("00:10", "22:50", "23:50")
    ]
    shop.send(*(view(timestamp=moment, session_id=moment) for moment in moments))

    show(tab, shop.url, f"?ask=traffic&since={YESTERDAY}&until={YESTERDAY}")

    assert [row["day"] for row in said(tab)] == [str(YESTERDAY)]
