"""What the tests of the page of questions have in common: they open it, and know what it should show."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import requests
from playwright.sync_api import Page, expect

from tests.browser.shop import UNKNOWN, view
from tests.support.shop import stamp, visits

NOW = datetime.now(timezone.utc)

TABLES = """() => [...document.querySelectorAll("#answer table")].map((table) => ({
  caption: table.caption.textContent,
  rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
}))"""


def two_weeks() -> list[dict[str, Any]]:
    """Visits of today and of some days of the last two weeks."""
    events = []
    for days in (0, 1, 2, 7, 12):
        events += visits(90, until=NOW - timedelta(days=days, minutes=5), seed=3 + days)
        events += [_back(person, days) for person in range(0, 60, 13 - days)]
    return events


def _back(person: int, days_ago: int) -> dict[str, Any]:
    """A view by which a person is seen on one more day."""
    at = {"timestamp": stamp(NOW - timedelta(days=days_ago, minutes=3)), "session_id": f"{person} {days_ago}"}
    return view(user_id=f"person {person}", properties={"page": "/"}, **at)


def show(tab: Page, url: str, query: str = "") -> None:
    """Open the page and wait for its answer."""
    tab.goto(f"{url}/questions{query}")
    answered(tab)


def answered(tab: Page) -> None:
    expect(tab.locator("#facts")).to_contain_text("answered in")
    expect(tab.locator("#answer")).to_have_attribute("aria-busy", "false")


def choose(tab: Page, name: str) -> None:
    tab.locator(f"#questions a[data-ask={name}]").click()
    expect(tab).to_have_url(re.compile(f"ask={name}"))
    expect(tab.locator("#curl")).to_contain_text(f"/analytics/{name}?")
    answered(tab)


def tables(tab: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tab.evaluate(TABLES)
    return found


def said(tab: Page) -> list[dict[str, Any]]:
    """What the API itself answers to the command that the page gives."""
    (url,) = re.findall(r"'(http://[^']+)'", tab.locator("#curl").text_content() or "")
    rows: list[dict[str, Any]] = requests.get(url, timeout=20).json()["rows"]
    assert rows
    return rows


def exact(number: float) -> str:
    return f"{number:,}"


def rounded(number: float | Decimal, step: str) -> Decimal:
    """As a browser rounds: the digits that the number is written with, half away from zero."""
    return Decimal(str(number)).quantize(Decimal(step), ROUND_HALF_UP)


def tenths(number: float | Decimal) -> str:
    return str(rounded(number, "0.1"))


def percent(ratio: float | None) -> str:
    if ratio is None:
        return UNKNOWN
    return "<0.1%" if 0 < ratio < 0.001 else f"{tenths(Decimal(str(ratio)) * 100)}%"


def money(cents: float, currency: str) -> str:
    assert currency == "USD"
    return f"${rounded(Decimal(str(cents)) / 100, '0.01'):,}"


def day(text: str) -> str:
    return f"{datetime.fromisoformat(text):%b %-d, %Y}"


def lasting(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def hour(text: str) -> str:

    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(ZoneInfo("Europe/Berlin"))
    return f"{moment:%b %-d, %Y, %H:%M}"


def lost(sessions: int) -> str:
    return f"\N{MINUS SIGN}{exact(sessions)}" if sessions else "0"


def shares(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The heat table's cells, without its first row of all."""
    end = max(datetime.fromisoformat(row["cohort"]) + timedelta(days=row["day_number"]) for row in rows)
    days = min(30, (end - datetime.fromisoformat(rows[0]["cohort"])).days)
    lines = []
    for cohort in sorted({row["cohort"] for row in rows}):
        found = {row["day_number"]: row for row in rows if row["cohort"] == cohort}
        cells = [f"{datetime.fromisoformat(cohort):%b %-d}", exact(found[0]["cohort_people"])]
        for number in range(days + 1):
            share = found[number]["retained"] if number in found else 0.0
            known = datetime.fromisoformat(cohort) + timedelta(days=number) <= end
            cells.append(("100" if share == 1 else tenths(share * 100)) if known else "")
        lines.append(cells)
    return lines


STEPS = {"page_view": "Viewed a page", "add_to_cart": "Added to the cart", "checkout": "Began the checkout"}

# What stands in the rows of the tables, one table after the other.
SHOWN: dict[str, Callable[[list[dict[str, Any]]], list[list[str]]]] = {
    "funnel": lambda rows: [
        [
            STEPS.get(row["step"], "Bought"),
            exact(row["sessions"]),
            percent(row["sessions"] / rows[0]["sessions"]),
            percent(row["conversion"]),
            lost(rows[number - 1]["sessions"] - row["sessions"]) if number else UNKNOWN,
        ]
        for number, row in enumerate(rows)
    ],
    "traffic": lambda rows: [
        [day(row["day"]), exact(row["page_views"]), exact(row["people"]), exact(row["events"])] for row in rows
    ],
    "sessions": lambda rows: [
        [
            day(row["day"]),
            exact(row["sessions"]),
            exact(row["bounced"]),
            percent(row["bounce_rate"]),
            tenths(row["events_per_session"]),
            lasting(row["average_duration_s"]),
        ]
        for row in rows
    ],
    "retention": shares,
    "paths": lambda rows: [
        [
            "the visit ended" if row["next_page"] is None else f"→ {row['next_page']}",
            percent(row["share"]),
            exact(row["transitions"]),
        ]
        for row in rows
    ],
    "top_pages": lambda rows: [
        [row["page"], *(exact(row[name]) for name in ("views", "sessions", "people", "entries", "exits"))]
        for row in rows
    ],
    "top_products": lambda rows: [[row["product"], exact(row["views"]), exact(row["units"])] for row in rows],
    "revenue": lambda rows: [
        [
            day(row["day"]),
            money(row["revenue_cents"], row["currency"]),
            row["currency"],
            exact(row["orders"]),
            money(row["average_order_cents"], row["currency"]),
        ]
        for row in rows
    ],
    "conversion_by_hour": lambda rows: [
        [
            hour(row["hour"]),
            *(exact(row[name]) for name in ("sessions", "carted", "checked_out", "purchased")),
            percent(row["conversion"]),
        ]
        for row in rows
    ],
    "breakdown": lambda rows: [
        [row["dimension_value"], exact(row["events"]), exact(row["sessions"]), exact(row["orders"])] for row in rows
    ],
}
