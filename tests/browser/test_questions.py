"""The page of questions in a real browser: what the API says, for the span in the address, in every state."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect
from werkzeug.wrappers import Request, Response

from clickstream.analytics.catalog import QUESTIONS
from clickstream.ports import free_port
from tests.browser import audits
from tests.browser.shop import UNKNOWN, Shop, view
from tests.browser.test_budget import watch_paint
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.processes import ROOT, RunningProcess, environment, python, running
from tests.support.scripted_api import says, scripted_api
from tests.support.shop import stamp, visits

pytestmark = pytest.mark.browser

NOW = datetime.now(timezone.utc)
PROBE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'`${7*7}{{7*7}}'
TABLES = """() => [...document.querySelectorAll("#answer table")].map((table) => ({
  caption: table.caption.textContent,
  rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent)),
}))"""


CUT_OFF = """() => [...document.querySelectorAll("#answer table")].filter((table) => (
  table.scrollWidth > table.parentElement.clientWidth + 1 && getComputedStyle(table.parentElement).overflowX !== "auto"
)).map((table) => table.caption.textContent)"""


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with visits of today and of some days of the last two weeks."""
    directory = tmp_path_factory.mktemp("past")
    with platform(directory) as api, dashboard(directory, api.url) as url:
        shop = Shop(api.url, url)
        for days in (0, 1, 2, 7, 12):
            shop.send(*visits(90, until=NOW - timedelta(days=days, minutes=5), seed=3 + days))
            shop.send(*[back(person, days) for person in range(0, 60, 13 - days)])
        yield shop


def back(person: int, days_ago: int) -> dict[str, Any]:
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


def percent(ratio: float | None) -> str:
    if ratio is None:
        return UNKNOWN
    return "<0.1%" if 0 < ratio < 0.001 else f"{ratio * 100:.1f}%"


def money(cents: float, currency: str) -> str:
    assert currency == "USD"
    return f"${cents / 100:,.2f}"


def day(text: str) -> str:
    return f"{datetime.fromisoformat(text):%b %-d, %Y}"


def lasting(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def hour(text: str) -> str:
    from zoneinfo import ZoneInfo

    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(ZoneInfo("Europe/Berlin"))
    return f"{moment:%b %-d, %Y, %H:%M}"


def shares(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The heat table's cells, without its first row of all."""
    days = max(row["day_number"] for row in rows)
    end = max(datetime.fromisoformat(row["cohort"]) + timedelta(days=row["day_number"]) for row in rows)
    lines = []
    for cohort in sorted({row["cohort"] for row in rows}):
        found = {row["day_number"]: row for row in rows if row["cohort"] == cohort}
        cells = [f"{datetime.fromisoformat(cohort):%b %-d}", exact(found[0]["cohort_people"])]
        for number in range(days + 1):
            share = found[number]["retained"] if number in found else 0.0
            known = datetime.fromisoformat(cohort) + timedelta(days=number) <= end
            cells.append(("100" if share == 1 else f"{share * 100:.1f}") if known else "")
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
            f"\N{MINUS SIGN}{exact(rows[number - 1]['sessions'] - row['sessions'])}" if number else UNKNOWN,
        ]
        for number, row in enumerate(rows)
    ],
    "sessions": lambda rows: [
        [
            day(row["day"]),
            exact(row["sessions"]),
            exact(row["bounced"]),
            percent(row["bounce_rate"]),
            f"{row['events_per_session']:.1f}",
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
        [row["page"], exact(row["views"]), exact(row["sessions"]), exact(row["people"])] for row in rows
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
        ".venv/bin/python -m clickstream sql sessions --since 2026-03-27T23:00:00Z --until 2026-03-29T22:00:00Z"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=2026-11-30&until=2026-11-01", "The last day is before the first"),
        ("since=2026-02-30", "2026-02-30 is not a day"),
        ("until=%3Cimg%3E", "<img> is not a day"),
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
    expect(tab.locator("#meaning")).to_have_text(f"pages by views, {first:%b %-d, %Y} to Jan 1, 2030")


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
    assert rows[0] == ["page", "views", "sessions", "people"]
    assert sorted(row[0] for row in rows[1:]) == sorted(["'=1+1", "'+2", "'-3", "'@x", '/a,"b"'])
    assert {tuple(row[1:]) for row in rows[1:]} == {("1", "1", "1")}


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

    tab.get_by_role("button", name="Ask for all time").click()
    expect(tab).to_have_url(f"{past.url}/questions?ask=breakdown&span=all")
    expect(tab.locator("#answer table").first).to_be_visible()


def test_the_api_killed_and_started_again_under_the_page(tmp_path: Path, tab: Page) -> None:
    port = str(free_port())
    api_url = f"http://127.0.0.1:{port}"
    env = environment(API_PORT=port, EVENTS_FILE=str(tmp_path / "events_backup.json"))

    def start() -> RunningProcess:
        process = stack.enter_context(running(python("local_api.py"), tmp_path / "api.log", env=env))
        process.wait_for_http(f"{api_url}/ready")
        return process

    with ExitStack() as stack:
        api = start()
        url = stack.enter_context(dashboard(tmp_path, api_url))
        Shop(api_url, url).send(view(properties={"page": "/found-again"}))
        show(tab, url, "?ask=funnel")

        api.send(signal.SIGKILL)
        api.wait()
        tab.locator("#questions a[data-ask=top_pages]").click()

        problem = tab.locator("#problem")
        expect(problem).to_contain_text("The API is not answering.")
        expect(problem).to_contain_text(f"Tried {api_url}.")
        expect(problem).to_contain_text("start it with ./run_demo.sh or .venv/bin/python local_api.py")
        expect(tab.locator("#answer table")).to_have_count(0)  # that of another question
        expect(tab.locator("#facts")).to_have_text("Asking again by itself.")

        start()
        expect(problem).to_be_hidden()
        expect(tab.locator("#answer")).to_contain_text("/found-again")


REPLAYING = {"error": {"code": "replaying", "message": "reading"}}
MEMORY = "this needs more memory than the 1 GB that it may have: ask for a shorter time"
WAITING = {"error": {"code": "unavailable", "message": "analytics: 8 requests are waiting already"}}
PROBLEMS = {
    "memory": (says({"error": {"code": "invalid_parameter", "message": MEMORY}}, 400), MEMORY, "No answer."),
    "replaying": (says(REPLAYING, 503), "The API is reading its journal.", "Asking again by itself."),
    "too many": (says(WAITING, 503), "Too many questions at once.", "Asking again by itself."),
    "garbage": (says(b"<html>"), "The API gave an answer that cannot be used.", "No answer."),
}
LIST = says({"questions": [{"name": name, "description": meaning} for name, meaning in QUESTIONS.items()]})


def answer_of(name: str, *rows: dict[str, object], truncated: bool = False) -> Callable[[Request], Response]:
    columns = list(rows[0]) if rows else []
    return says({"name": name, "columns": columns, "rows": list(rows), "truncated": truncated, "elapsed_ms": 1234.5})


def route(**answers: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An API that lists its questions and answers those that are named."""
    return lambda request: answers.get(request.path.removeprefix("/analytics").removeprefix("/"), LIST)(request)


PAGES = answer_of("top_pages", {"page": "/only", "views": 7, "sessions": 3, "people": 2}, truncated=True)


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_wrong_is_said_and_it_recovers(tmp_path: Path, tab: Page, name: str) -> None:
    wrong, words, next_step = PROBLEMS[name]
    with scripted_api(route(top_pages=wrong)) as api, dashboard(tmp_path, api.url) as url:
        tab.goto(f"{url}/questions?ask=top_pages")

        expect(tab.locator("#problem")).to_contain_text(words)
        expect(tab.locator("#facts")).to_have_text(next_step)
        expect(tab.locator("#spoken")).to_contain_text(tab.locator("#problem-title").text_content() or "")
        expect(tab.locator("#answer table")).to_have_count(0)
        api.answer = route(top_pages=PAGES)
        if next_step == "No answer.":
            tab.get_by_role("button", name="Try now").click()
        expect(tab.locator("#answer tbody td").first).to_have_text("7")
        expect(tab.locator("#problem")).to_be_hidden()
        expect(tab.locator("#facts")).to_have_text(
            "1 row, answered in 1.2 s; there were more: a shorter span shows them all"
        )

        api.answer = route(top_pages=wrong)
        tab.locator("#questions a[data-ask=top_pages]").click()
        expect(tab.locator("#problem")).to_be_visible()
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "0.4")  # it answers the same question
        api.answer = route(top_pages=PAGES)
        if next_step == "No answer.":
            tab.get_by_role("button", name="Try now").click()
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "1")


def test_the_answer_before_stays_greyed_and_a_slow_one_never_overwrites_a_later_one(tmp_path: Path, tab: Page) -> None:
    gate, sent = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        gate.wait(20)
        sent.set()
        return answer_of("top_products", {"product": "too late", "views": 1, "units": 1})(request)

    with scripted_api(route(top_pages=PAGES, top_products=slow)) as api, dashboard(tmp_path, api.url) as url:
        show(tab, url, "?ask=top_pages")
        tab.locator("#questions a[data-ask=top_products]").click()

        expect(tab.locator("#answer")).to_have_attribute("aria-busy", "true")
        expect(tab.locator("#answer .answer-parts")).to_have_css("opacity", "0.4")
        expect(tab.locator("#answer")).to_contain_text("/only")
        expect(tab.locator("#progress")).to_have_text("Asking … 2 s")
        tab.locator("#questions a[data-ask=top_pages]").click()
        answered(tab)
        gate.set()
        sent.wait(20)
        tab.wait_for_timeout(500)  # absence can only be watched for a while

        expect(tab.locator("#title-answer")).to_have_text("Top pages")
        expect(tab.locator("#answer")).to_contain_text("/only")
        expect(tab.locator("#answer")).not_to_contain_text("too late")
        expect(tab.locator("#facts")).to_contain_text("answered in")


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("name", ["funnel", "retention"])
def test_next_to_nothing_moves_when_the_first_answer_comes(past: Shop, tab: Page, name: str, width: int) -> None:
    watch_paint(tab)
    tab.set_viewport_size({"width": width, "height": 900})

    show(tab, past.url, f"?ask={name}")
    tab.wait_for_timeout(300)  # what moves is reported a frame later

    assert tab.evaluate("shift") <= 0.02


def test_a_long_answer_is_drawn_in_parts(tmp_path: Path, tab: Page) -> None:
    rows = [{"page": f"/{number}", "views": 10_000 - number, "sessions": 1, "people": 1} for number in range(10_000)]
    with scripted_api(route(top_pages=answer_of("top_pages", *rows))) as api, dashboard(tmp_path, api.url) as url:
        show(tab, url, "?ask=top_pages")

        expect(tab.locator("#answer tbody tr")).to_have_count(300)
        tab.get_by_role("button", name="Show the other 9,700 rows").click()
        expect(tab.locator("#answer tbody tr")).to_have_count(10_000)


@audits.needed
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("state", [*QUESTIONS, "empty", "wrong span"])
def test_axe_finds_nothing_in_either_theme_and_nothing_is_wider_than_the_page(
    past: Shop, tab: Page, state: str, width: int
) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    queries = {
        "empty": "ask=funnel&since=2020-01-01&until=2020-01-01",
        "wrong span": "ask=funnel&since=2020-01-02&until=2020-01-01",
    }
    tab.goto(f"{past.url}/questions?{queries.get(state, f'ask={state}&span=30d')}")
    if state == "wrong span":
        expect(tab.locator("#span-problem")).to_be_visible()
    else:
        answered(tab)

    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert audits.axe_violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(CUT_OFF) == []


@audits.needed
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_when_the_api_is_down(tmp_path: Path, tab: Page, theme: str) -> None:
    with dashboard(tmp_path, f"http://127.0.0.1:{free_port()}") as url:
        tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        tab.goto(f"{url}/questions")
        expect(tab.locator("#problem")).to_contain_text("The API is not answering.")

        assert audits.axe_violations(tab) == []
