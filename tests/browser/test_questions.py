"""The page of questions in a real browser: what the API says, for the span in the address, in every state."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from clickstream.analytics.catalog import QUESTIONS
from tests.browser.asking import NOW, SHOWN, answered, choose, said, show, tables
from tests.browser.shop import UNKNOWN, Shop, view
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.processes import ROOT, environment, python
from tests.support.shop import stamp

pytestmark = pytest.mark.browser

PROBE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'`${7*7}{{7*7}}'


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_shows_the_numbers_that_the_api_says(past: Shop, tab: Page, name: str) -> None:
    show(tab, past.url, f"?ask={name}&span=30d")

    rows = [row for table in tables(tab) for row in table["rows"]]
    expected = SHOWN[name](said(tab))

    assert (rows[1:] if name == "retention" else sorted(rows)) == (
        expected if name == "retention" else sorted(expected)
    )
    assert f"{len(said(tab)):,} row" in (tab.locator("#facts").text_content() or "")


def test_paths_are_grouped_by_where_they_begin(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=paths")

    captions = [table["caption"] for table in tables(tab)]

    assert sorted(captions) == sorted({f"From {row['page']}" for row in said(tab)})
    for table in tables(tab):
        mine = [row for row in said(tab) if f"From {row['page']}" == table["caption"]]
        assert sorted(table["rows"]) == sorted(SHOWN["paths"](mine))


def test_bars_are_as_long_as_their_numbers(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=top_pages")
    widths = tab.evaluate("[...document.querySelectorAll('#answer .fill')].map((n) => n.getBoundingClientRect().width)")

    views = [row["views"] for row in said(tab)]

    assert [round(width / widths[0], 2) for width in widths] == pytest.approx(
        [views[number] / views[0] for number in range(len(views))], abs=0.02
    )


def test_the_questions_are_listed_as_the_api_describes_them(past: Shop, tab: Page) -> None:
    show(tab, past.url)

    links = tab.locator("#questions a")
    assert links.locator("span").all_text_contents() == list(QUESTIONS.values())
    expect(tab.locator("#questions a[aria-current=page]")).to_have_attribute("data-ask", "funnel")
    expect(tab.locator("#title-answer")).to_have_text("Funnel")


def test_the_dashboard_leads_to_the_questions_and_back_with_the_same_theme(past: Shop, tab: Page) -> None:
    tab.goto(past.url)
    tab.get_by_role("button", name="Theme: as the system").click()
    tab.get_by_role("button", name="Theme: light").click()
    tab.get_by_role("link", name="Questions").click()

    answered(tab)
    expect(tab.locator("html")).to_have_attribute("data-theme", "dark")
    expect(tab.get_by_role("button", name="Theme: dark")).to_be_visible()
    tab.get_by_role("link", name="Dashboard", exact=True).first.click()
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    expect(tab.locator("html")).to_have_attribute("data-theme", "dark")


HEADER = """() => {
  document.querySelector("#status-text").textContent = "Live · no events for 28 min";
  const bar = document.querySelector(".bar");
  const link = document.querySelector("#to-questions").getBoundingClientRect();
  return [bar.scrollWidth - bar.clientWidth, link.width >= 44];
}"""


def test_the_dashboards_header_has_room_for_the_link_at_any_width(past: Shop, tab: Page) -> None:
    tab.goto(past.url)
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    for width in (320, 390, 600, 768, 896, 920, 960, 976, 1024, 1216, 1280, 1440):
        tab.set_viewport_size({"width": width, "height": 800})

        assert tab.evaluate(HEADER) == [0, True], width


def test_days_change_the_numbers_and_stand_in_the_address(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=sessions&span=all")
    everything = tables(tab)
    first, last = (f"{(NOW - timedelta(days=days)):%Y-%m-%d}" for days in (8, 6))

    tab.locator("#since").fill(first)
    tab.locator("#until").fill(last)

    expect(tab).to_have_url(f"{past.url}/questions?ask=sessions&since={first}&until={last}")
    expect(tab.locator("#curl")).to_contain_text("until=")
    answered(tab)
    assert tables(tab) != everything
    assert [row for table in tables(tab) for row in table["rows"]] == SHOWN["sessions"](said(tab))
    shared = tables(tab)
    show(tab, past.url, f"?ask=sessions&since={first}&until={last}")
    assert tables(tab) == shared


def test_a_day_is_one_of_the_readers_time_zone_and_the_last_one_is_included(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=sessions&since=2026-03-28&until=2026-03-29")  # the second has 23 hours in Berlin

    command = tab.locator("#sql").text_content()

    assert command == (
        ".venv/bin/python -m clickstream sql sessions --file events_backup.json"
        " --since 2026-03-27T23:00:00Z --until 2026-03-29T22:00:00Z --zone Europe/Berlin"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=2026-11-30&until=2026-11-01", "The last day is before the first"),
        ("since=2026-02-30", "2026-02-30 is not a day"),
        ("until=%3Cimg%3E", "<img> is not a day"),
        ("span=1y", "1y is not a span: there are 24h, 7d, 30d, all, or choose days."),
    ],
)
def test_an_impossible_span_is_said_and_nothing_is_asked(past: Shop, tab: Page, query: str, words: str) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))

    tab.goto(f"{past.url}/questions?ask=funnel&{query}")

    expect(tab.locator("#span-problem")).to_contain_text(words)
    expect(tab.locator("#since")).to_have_attribute("aria-describedby", "span-problem")
    expect(tab.locator("#questions a")).to_have_count(len(QUESTIONS))
    expect(tab.locator("#answer")).to_have_attribute("aria-busy", "false")
    assert [url for url in asked if "/api/questions/" in url] == []


def test_days_out_of_order_grey_what_is_no_answer_to_them_until_they_are_in_order(past: Shop, tab: Page) -> None:
    first = NOW - timedelta(days=3)
    show(tab, past.url, f"?ask=top_pages&since={first:%Y-%m-%d}&until=2029-12-31")

    tab.locator("#until").fill("2026-01-01")

    expect(tab.locator("#span-problem")).to_contain_text("The last day is before the first")
    expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "0.4")
    expect(tab.get_by_role("button", name="Download CSV")).to_be_disabled()
    tab.locator("#until").fill("2030-01-01")
    expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "1")
    expect(tab.locator("#meaning")).to_have_text(
        f"pages by views, entries and exits, {first:%b %-d, %Y} to Jan 1, 2030"
    )


def test_an_unknown_question_is_said_also_where_the_span_is_none(past: Shop, tab: Page) -> None:
    tab.goto(f"{past.url}/questions?ask=foo&span=14d")

    expect(tab.locator("#problem")).to_contain_text("There is no such question.")
    expect(tab.locator("#span-problem")).to_contain_text("14d is not a span")


def test_that_nobody_came_back_is_not_told_as_if_nobody_could(shop: Shop, tab: Page) -> None:
    for days in (9, 4, 1):
        at = stamp(NOW - timedelta(days=days))
        shop.send(view(user_id=f"u{days}", session_id=f"s{days}", timestamp=at))

    show(tab, shop.url, "?ask=retention&span=30d")

    expect(tab.locator("#answer .sentence")).to_have_text("Of 3 people 0.0% came back the next day, 0.0% after a week.")
    assert [len([cell for cell in row if cell]) for row in tables(tab)[0]["rows"]] == [11, 11, 6, 3]
    assert tables(tab)[0]["rows"][1][2:5] == ["100", "0.0", "0.0"]


def test_back_and_forward_go_through_what_was_asked(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=7d")
    choose(tab, "retention")
    tab.get_by_label("All", exact=True).check()
    expect(tab).to_have_url(re.compile("span=all"))
    choose(tab, "paths")

    tab.go_back()
    tab.go_back()

    expect(tab).to_have_url(f"{past.url}/questions?ask=retention&span=7d")
    expect(tab.locator("#title-answer")).to_have_text("Retention")
    expect(tab.locator("#answer .heat-table")).to_be_visible()
    expect(tab.get_by_label("7 days", exact=True)).to_be_checked()
    tab.go_forward()
    tab.go_forward()
    expect(tab.locator("#title-answer")).to_have_text("Paths")
    expect(tab.locator("#answer caption").first).to_contain_text("From /")


def test_all_of_it_can_be_done_by_keyboard(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=7d")
    tab.keyboard.press("Tab")
    expect(tab.get_by_text("Skip to the answer")).to_be_focused()

    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.dataset.ask") == "top_pages":
            break
    outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    tab.keyboard.press("Enter")
    expect(tab.locator("#title-answer")).to_have_text("Top pages")
    expect(tab.locator("#questions a[data-ask=top_pages]")).to_be_focused()
    tab.get_by_label("7 days", exact=True).focus()
    tab.keyboard.press("ArrowRight")
    expect(tab).to_have_url(f"{past.url}/questions?ask=top_pages&span=30d")
    tab.keyboard.press("Tab")
    expect(tab.locator("#since")).to_be_focused()
    tab.keyboard.type("03152025")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile("ask=top_pages&since=2025-03-15"))

    assert outline == "solid"


def test_the_commands_can_be_copied_and_answer_the_same(
    past: Shop, tab: Page, context: BrowserContext, tmp_path: Path
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(tab, past.url, "?ask=revenue&span=7d")

    tab.get_by_role("button", name="Copy the sql command").click()
    expect(tab.locator("[data-copies=sql]")).to_contain_text("Copied")
    command = shlex.split(tab.evaluate("navigator.clipboard.readText()"))
    journal = tmp_path / "events.json"
    journal.write_bytes(requests.get(f"{past.api_url}/export", timeout=20).content)
    done = subprocess.run(
        [*python(*command[1:]), "--file", str(journal), "--format", "json"],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )

    assert command[0] == ".venv/bin/python"
    assert json.loads(done.stdout)["rows"] == said(tab)


def test_the_command_names_the_journal_that_is_set(shop: Shop, tab: Page, tmp_path: Path) -> None:
    shop.send(view())
    with dashboard(tmp_path, shop.api_url, EVENTS_FILE="mine/it's.json") as url:
        show(tab, url, "?ask=funnel&span=all")

        command = shlex.split(tab.locator("#sql").text_content() or "")

    assert command[2:] == ["clickstream", "sql", "funnel", "--file", "mine/it's.json"]


def test_with_a_read_token_the_page_works_and_its_command_names_the_token(tmp_path: Path, browser: Browser) -> None:
    with platform(tmp_path, READ_TOKEN="s3cret") as api, dashboard(tmp_path, api.url, READ_TOKEN="s3cret") as url:
        event = view(properties={"page": "/secret"})
        requests.post(f"{api.url}/events", json=event, timeout=10)
        context = browser.new_context(http_credentials={"username": "any", "password": "s3cret"})
        tab = context.new_page()
        show(tab, url, "?ask=top_pages")
        shell = ["bash", "-c", f"{tab.locator('#curl').text_content()} --silent"]
        expect(tab.locator("#answer")).to_contain_text("/secret")
        context.close()
        done = subprocess.run(shell, env=environment(READ_TOKEN="s3cret"), check=True, capture_output=True, timeout=20)

    assert "s3cret" not in shell[2]
    assert [row["page"] for row in json.loads(done.stdout)["rows"]] == ["/secret"]


def test_where_the_events_are_on_aws_the_command_prints_the_statement_for_athena(
    shop: Shop, tab: Page, tmp_path: Path
) -> None:
    shop.send(view())
    names = {"KINESIS_STREAM_NAME": "s", "S3_BUCKET_NAME": "b-1", "DYNAMODB_TABLE_NAME": "table"}
    with dashboard(tmp_path, shop.api_url, ENV="aws", **names) as url:
        show(tab, url, "?ask=funnel&span=all")

        expect(tab.locator("#sql")).to_have_text(".venv/bin/python -m clickstream sql funnel --athena")
        expect(tab.locator("#panel-elsewhere")).to_contain_text("As a statement for Athena")


def test_csv_holds_the_rows_and_no_formula(shop: Shop, tab: Page) -> None:
    pages = ["=1+1", "+2", "-3", "@x", '/a,"b"']
    shop.send(*[view(properties={"page": page}, session_id=page) for page in pages])
    show(tab, shop.url, "?ask=top_pages&span=all")

    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download CSV").click()
    text = Path(waiting.value.path()).read_text()

    assert waiting.value.suggested_filename == "clickstream-top_pages.csv"
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["page", "views", "sessions", "people", "entries", "exits"]
    assert sorted(row[0] for row in rows[1:]) == sorted(["'=1+1", "'+2", "'-3", "'@x", '/a,"b"'])
    assert {tuple(row[1:]) for row in rows[1:]} == {("1", "1", "1", "1", "1")}


def test_what_senders_wrote_is_only_ever_text(shop: Shop, tab: Page) -> None:
    named = {"page": PROBE, "product_id": PROBE, "product_name": PROBE, "device": PROBE, "utm_campaign": PROBE}
    shop.send(view(properties=named), view(properties={**named, "page": "/next"}))
    shop.send(view("purchase", properties={**named, "total": 5, "currency": "XYZ"}), view(properties=named))
    show(tab, shop.url, "?span=all")

    for name in QUESTIONS:
        choose(tab, name)
    choose(tab, "top_pages")

    expect(tab.locator("#answer")).to_contain_text(PROBE)
    assert tab.evaluate("window.hacked") is None
    assert tab.evaluate("document.querySelectorAll('main img, main script').length") == 0


def test_without_events_nothing_is_shown_as_zero_and_all_time_is_offered(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&since=2020-01-01&until=2020-01-02")
    for name in QUESTIONS:
        choose(tab, name)

        expect(tab.locator("#answer")).to_contain_text("in this span")
        expect(tab.locator("#answer table")).to_have_count(0)

    tab.get_by_role("button", name="Ask for all time").press("Enter")
    expect(tab.locator("#span [value=all]")).to_be_focused()
    expect(tab).to_have_url(f"{past.url}/questions?ask=breakdown&span=all")
    expect(tab.locator("#answer table").first).to_be_visible()
