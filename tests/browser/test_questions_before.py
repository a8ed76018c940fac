"""Answers of the page of questions beside those of the span before."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.asking import NOW, choose, exact, money, percent, rounded, said, show
from tests.browser.shop import Shop

pytestmark = pytest.mark.browser

# What of an answer is compared, and how that is written.
COMPARED: dict[str, tuple[Callable[[list[dict[str, Any]]], float], Callable[[float], str]]] = {
    "traffic": (lambda rows: sum(row["page_views"] for row in rows), lambda value: f"{exact(value)} page views"),
    "sessions": (lambda rows: sum(row["sessions"] for row in rows), lambda value: f"{exact(value)} sessions"),
    "funnel": (lambda rows: rows[-1]["sessions"] / rows[0]["sessions"], lambda value: f"{percent(value)} bought"),
    "revenue": (lambda rows: sum(row["revenue_cents"] for row in rows), lambda value: money(value, "USD")),
}


@pytest.mark.parametrize("name", COMPARED)
def test_an_answer_is_compared_with_that_of_the_span_before(past: Shop, tab: Page, name: str) -> None:
    with tab.expect_response(
        lambda answer: f"/api/questions/{name}?" in answer.url and "until=" in answer.url
    ) as asked:
        show(tab, past.url, f"?ask={name}&span=7d&visit.device=mobile")
    earlier = asked.value.json()["rows"]
    since, until = (re.findall(f"{bound}=([^&]+)", unquote(asked.value.url))[0] for bound in ("since", "until"))

    line = tab.locator("#before")
    read, written = COMPARED[name]
    now, before = read(said(tab)), read(earlier)
    much = percent(abs(now - before) / before)
    if name == "funnel":
        points = f"{rounded(abs(now - before) * 100, '0.1').normalize():f}"
        much = f"{points} {'point' if points == '1' else 'points'}"
    expect(line).to_have_text(
        f"The 7 days before, up to this time of day: {written(before)}; "
        f"now {much} {'more' if now > before else 'less'}."
    )
    assert now != before
    first, last = (datetime.fromisoformat(moment.replace("Z", "+00:00")) for moment in (since, until))
    assert timedelta(days=6) < last - first < timedelta(days=7, hours=1)
    assert abs(last + timedelta(days=7) - datetime.now(timezone.utc)) < timedelta(hours=1, minutes=2)
    assert "visit.device=mobile" in asked.value.url


def refunded(cents: int) -> dict[str, Any]:
    """A day on which nothing but refunds came."""
    return {"currency": "USD", "orders": 1, "revenue_cents": -cents}


@pytest.fixture
def questions(past: Shop, tab: Page) -> Page:
    tab.goto(f"{past.url}/questions?ask=paths")
    return tab


@pytest.mark.parametrize(
    ("question", "now", "before", "words"),
    [
        ("traffic", [{"page_views": 90}], [{"page_views": 100}], "100 page views; now 10.0% less."),
        ("traffic", [{"page_views": 1}], [{"page_views": 1}], "1 page view; now as much."),
        ("traffic", [{"page_views": 5}], [], "0 page views; now more."),
        ("sessions", [{"sessions": 3}], [{"sessions": 2}], "2 sessions; now 50.0% more."),
        ("revenue", [refunded(1000)], [refunded(500)], "-$5.00; now less."),
        ("revenue", [refunded(500)], [refunded(1000)], "-$10.00; now more."),
        ("revenue", [refunded(500)], [], "$0.00; now less."),
        (
            "conversion_by_hour",
            [{"sessions": 10, "purchased": 1}],
            [{"sessions": 10, "purchased": 2}],
            "20.0% bought; ",
        ),
        (
            "conversion_by_hour",
            [{"sessions": 100, "purchased": 1}],
            [{"sessions": 100, "purchased": 2}],
            "1 point less.",
        ),
        (
            "conversion_by_hour",
            [{"sessions": 10, "purchased": 2}],
            [{"sessions": 10, "purchased": 1}],
            "10 points more.",
        ),
        ("conversion_by_hour", [{"sessions": 10, "purchased": 2}], [], "Before: no sessions."),
    ],
)
def test_a_comparison_says_by_how_much_and_which_way(
    questions: Page, question: str, now: list[dict[str, Any]], before: list[dict[str, Any]], words: str
) -> None:
    found = questions.evaluate(
        """async ([now, before]) => {
          const { src } = document.querySelector("script[src$='/questions.js']");
          return (await import(src.replace("questions.js", "before.js"))).comparison(now, before, "Before");
        }""",
        [{"name": question, "rows": now}, {"name": question, "rows": before}],
    )

    assert words in found


@pytest.mark.parametrize(
    ("since", "until", "words", "ends"),
    [
        ("2026-11-22", "2026-11-23", "The 2 days before", "2026-11-22T00:00"),
        ("2026-11-23", "2026-11-24", "The 2 days before, up to this time of day", "2026-11-22T10:30"),
        ("2026-11-24", "2026-11-30", "The day before, up to this time of day", "2026-11-23T10:30"),
        ("2026-11-23", "", "The 2 days before, up to this time of day", "2026-11-22T10:30"),
    ],
)
def test_a_span_that_is_not_over_is_compared_up_to_the_same_time_of_day(
    questions: Page, since: str, until: str, words: str, ends: str
) -> None:
    found = questions.evaluate(
        """async ([since, until, ends]) => {
          const { src } = document.querySelector("script[src$='/questions.js']");
          const { before } = await import(src.replace("questions.js", "span.js"));
          const { words, bounds } = before({ name: "", since, until }, new Date(2026, 10, 24, 10, 30));
          return [words, new Date(bounds.until) - new Date(ends)];
        }""",
        [since, until, ends],
    )

    assert found == [words, 0]


def test_what_has_no_span_before_is_not_compared(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=traffic&span=all")
    assert tab.locator("#before").count() == 0

    day = f"{NOW - timedelta(days=7):%Y-%m-%d}"
    show(tab, past.url, f"?ask=traffic&since={day}&until={day}")
    expect(tab.locator("#before")).to_have_text(re.compile(r"^The day before: [\d,]+ page views; now .*\.$"))
    choose(tab, "paths")
    assert tab.locator("#before").count() == 0
