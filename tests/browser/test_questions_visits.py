"""The page of questions about chosen visits: in the address, by hand, by a click on what is shown, and out again."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from clickstream.analytics.catalog import QUESTIONS
from clickstream.analytics.dimensions import KNOWN
from clickstream.query import PROPERTY
from tests.browser import audits
from tests.browser.asking import SHOWN, answered, choose, said, show, tables
from tests.browser.shop import Shop, view
from tests.browser.test_budget import watch_paint
from tests.support.processes import ROOT, environment, python

pytestmark = pytest.mark.browser

PROBE = "<img src=x onerror='window.hacked=1'>\"`$(id)`"


def add(tab: Page, name: str, text: str) -> None:
    tab.locator("#visit-name").select_option(name)
    tab.locator("#visit-text").fill(text)
    tab.locator("#visits").get_by_role("button", name="Add").click()
    expect(tab.locator(f'#chosen [data-drops="visit.{name}"]')).to_contain_text(text)
    answered(tab)


def chosen(tab: Page) -> list[str]:
    return tab.locator("#chosen button span:first-child").all_text_contents()


def test_an_answer_about_chosen_visits_shows_what_the_api_says_of_them(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=breakdown&span=30d&visit.device=mobile&visit.event_type=add_to_cart")
    for name in QUESTIONS:
        choose(tab, name)

        rows = [row for table in tables(tab) for row in table["rows"]]
        expected = SHOWN[name](said(tab))
        everybody = requests.get(f"{past.api_url}/analytics/{name}", timeout=20).json()["rows"]

        assert (rows[1:] if name == "retention" else sorted(rows)) == (
            expected if name == "retention" else sorted(expected)
        ), name
        assert said(tab) != everybody


def test_visits_are_chosen_by_hand_stand_in_the_address_and_are_let_go_of(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=sessions&span=all")
    everybody = tables(tab)

    add(tab, "device", "tablet")
    tablets = tables(tab)
    add(tab, "event_type", "purchase")
    buyers = tables(tab)

    assert chosen(tab) == ["Device: tablet", "Event type: purchase"]
    assert tab.url == f"{past.url}/questions?ask=sessions&span=all&visit.device=tablet&visit.event_type=purchase"
    expect(tab.locator("#meaning")).to_contain_text(", all time, visits with device tablet and event type purchase")
    assert everybody != tablets != buyers
    choose(tab, "funnel")  # about the same visits
    assert chosen(tab) == ["Device: tablet", "Event type: purchase"]
    assert {row[1] for table in tables(tab) for row in table["rows"]} == {str(said(tab)[0]["sessions"])}  # all bought
    tab.go_back()
    answered(tab)
    assert tables(tab) == buyers
    tab.get_by_role("button", name="Event type: purchase. Ask about other visits too").click()
    expect(tab.locator("#chosen button")).to_have_count(1)
    expect(tab.locator("#visit-name")).to_be_focused()
    answered(tab)
    assert tables(tab) == tablets


@pytest.mark.parametrize(
    ("name", "visit"), [("top_pages", "page"), ("top_products", "product"), ("breakdown", "device")]
)
def test_what_an_answer_names_chooses_the_visits_that_say_it(past: Shop, tab: Page, name: str, visit: str) -> None:
    show(tab, past.url, f"?ask={name}&span=30d")
    button = tab.locator(f"#answer [data-visit={visit}]").nth(1)
    text = button.text_content() or ""

    button.press("Enter")

    expect(tab.locator("#chosen")).to_contain_text(text)
    answered(tab)
    expect(tab.locator(f'#chosen [data-drops="visit.{visit}"]')).to_be_focused()
    assert len(chosen(tab)) == 1
    requests_made = requests.get(
        f"{past.api_url}/analytics/sessions", params={f"visit.{visit}": text}, timeout=20
    ).json()["rows"]
    choose(tab, "sessions")
    assert sum(row["sessions"] for row in said(tab)) == sum(row["sessions"] for row in requests_made) > 0


def test_a_name_that_stands_twice_means_the_later_one(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&visit.device=mobile")

    add(tab, "device", "desktop")

    assert chosen(tab) == ["Device: desktop"]


def test_what_is_chosen_by_hand_and_by_a_click_has_a_name(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=top_pages&span=30d")

    expect(tab.locator("#visit-how")).to_have_accessible_name("Only visits")
    expect(tab.locator("#visit-name")).to_have_accessible_name("property")
    expect(tab.locator("#visit-text")).to_have_accessible_name("that is exactly")
    button = tab.locator("#answer [data-visit=page]", has_text="/checkout")
    expect(button).to_have_accessible_name("/checkout")
    expect(button).to_have_accessible_description(re.compile("Ask only about visits with it"))
    add(tab, "device", "mobile")
    expect(tab.locator("#visit-how")).to_have_accessible_name("and")


def test_people_who_came_back_did_so_in_a_chosen_visit(shop: Shop, tab: Page) -> None:
    days = [datetime.now(timezone.utc).date() - timedelta(days=days) for days in (2, 1)]
    first = view(session_id="a", timestamp=f"{days[0]}T12:00:00Z", properties={"utm_campaign": "spring"})
    shop.send(first, view(session_id="b", timestamp=f"{days[1]}T12:00:00Z"))

    show(tab, shop.url, "?ask=retention&span=30d&visit.utm_campaign=spring")

    assert [row["day_number"] for row in said(tab)] == [0]
    expect(tab.locator("#answer")).to_contain_text("this span and the chosen visits, who came back in such a visit")


def test_what_events_say_is_suggested_and_the_answer_is_not_disturbed(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d")
    before = tables(tab)

    tab.locator("#visit-text").focus()
    options = tab.locator("#visit-texts option")
    expect(options).to_have_count(3)
    devices = {option.get_attribute("value") for option in options.all()}
    tab.locator("#visit-name").select_option("page")
    expect(tab.locator("#visit-texts option[value='/checkout']")).to_have_count(1)
    statistics = requests.get(f"{past.api_url}/stats", timeout=20).json()
    tab.locator("#visit-name").select_option("event_type")
    expect(options).to_have_count(len(statistics["events_by_type"]))
    types = {option.get_attribute("value") for option in options.all()}
    tab.locator("#visit-name").select_option("referrer")
    expect(tab.locator("#visit-texts option[value='google.com']")).to_have_count(1)
    referrers = [option.get_attribute("value") for option in options.all()]

    assert types == set(statistics["events_by_type"])
    assert referrers == [row["value"] for row in statistics["top"]["referrers"]]
    assert devices == {"desktop", "mobile", "tablet"}
    assert tables(tab) == before


def test_only_what_events_of_the_asked_span_say_is_suggested(shop: Shop, tab: Page) -> None:
    today = datetime.now(timezone.utc).date()
    then = today - timedelta(days=9)
    shop.send(view(properties={"page": "/new"}), view(properties={"page": "/old"}, timestamp=f"{then}T12:00:00Z"))
    show(tab, shop.url, f"?ask=funnel&since={today - timedelta(days=2)}&until={today + timedelta(days=1)}")
    tab.locator("#visit-name").select_option("page")
    options = tab.locator("#visit-texts option")
    expect(options).to_have_count(1)

    tab.locator("#since").fill(str(then))
    tab.locator("#since").press("Enter")
    answered(tab)
    tab.locator("#visit-text").focus()

    expect(options).to_have_count(2)


def test_nothing_of_another_property_is_suggested_while_the_api_is_asked(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d")
    tab.locator("#visit-text").focus()
    options = tab.locator("#visit-texts option")
    expect(options).to_have_count(3)
    asked: list[Route] = []
    tab.route("**/api/questions/top_products*", lambda one: asked.append(one))  # noqa: PLW0108 (Playwright takes no method of a list)

    with tab.expect_request("**/api/questions/top_products*"):
        tab.locator("#visit-name").select_option("product")

    expect(options).to_have_count(0)
    asked[0].continue_()
    expect(options).not_to_have_count(0)


def test_without_such_visits_all_of_them_are_offered(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=all")
    everybody = tables(tab)
    add(tab, "page", "/nowhere")

    expect(tab.locator("#answer")).to_contain_text(
        "Among the chosen visits, no session took the first step in this span."
    )
    tab.get_by_role("button", name="Ask about all visits").press("Enter")

    answered(tab)
    expect(tab.locator("#visit-name")).to_be_focused()
    expect(tab.locator("#chosen")).to_be_hidden()
    assert tables(tab) == everybody


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("visit.colour=red", 'Nothing is known by "colour"; known: event_type, page'),
        ("visit.page=", "Page needs a text that is not empty"),
    ],
)
def test_what_no_visit_can_say_is_said_and_can_be_taken_back(past: Shop, tab: Page, query: str, words: str) -> None:
    tab.goto(f"{past.url}/questions?ask=funnel&{query}")

    expect(tab.locator("#problem")).to_contain_text(words)
    tab.locator("#chosen button").click()
    answered(tab)
    expect(tab.locator("#problem")).to_be_hidden()


def test_the_names_are_those_of_the_api(past: Shop, tab: Page) -> None:
    show(tab, past.url)

    values = [option.get_attribute("value") for option in tab.locator("#visit-name option").all()]

    assert values == [*KNOWN, PROPERTY]


def test_what_a_sender_wrote_is_only_a_text_here_and_in_the_commands(shop: Shop, tab: Page, tmp_path: Path) -> None:
    shop.send(view(properties={"page": PROBE}, session_id="a"), view(properties={"page": "/"}, session_id="b"))
    show(tab, shop.url, "?ask=top_pages&span=all")

    tab.locator("#answer [data-visit=page]", has_text="img").click()

    expect(tab.locator("#chosen")).to_contain_text(PROBE)
    answered(tab)
    assert tab.evaluate("window.hacked") is None
    assert [row["page"] for row in said(tab)] == [PROBE]
    journal = tmp_path / "exported.json"
    journal.write_bytes(requests.get(f"{shop.api_url}/export", timeout=20).content)
    command = tab.locator("#sql").text_content() or ""
    assert shlex.split(command)[-1] == f"page={PROBE}"
    shell = command.replace(".venv/bin/python", shlex.quote(python()[0]))
    done = subprocess.run(
        ["bash", "-c", f"{shell} --format json --file {shlex.quote(str(journal))}"],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["rows"] == said(tab)


def test_a_text_neither_hides_nor_turns_around_what_else_is_asked(past: Shop, tab: Page) -> None:
    page = "/\u202e" + "x" * 10_000

    show(tab, past.url, f"?ask=funnel&span=all&{urlencode({'visit.page': page, 'visit.device': 'mobile'})}")

    words = f"all time, visits with page /{'x' * 79}\N{HORIZONTAL ELLIPSIS} and device mobile"
    expect(tab.locator("#meaning")).to_have_text(re.compile(f"{words}$"))
    assert urlencode({"visit.page": page}, safe="/") in (tab.locator("#curl").text_content() or "")


def test_the_commands_are_those_of_what_is_asked_while_it_is_asked(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=all&visit.device=mobile")
    asked: list[Route] = []
    tab.route("**/api/questions/funnel*", lambda one: asked.append(one))  # noqa: PLW0108 (as above)

    with tab.expect_request("**/api/questions/funnel*"):
        tab.locator("#chosen button").click()

    expect(tab.locator("#answer")).to_have_attribute("aria-busy", "true")
    expect(tab.locator("#curl")).not_to_contain_text("mobile")
    expect(tab.locator("#sql")).not_to_contain_text("mobile")
    asked[0].continue_()
    answered(tab)


def test_what_would_steer_a_terminal_is_written_out_in_the_command(shop: Shop, tab: Page) -> None:
    page = "/\x1b[201~\x03\x15\nrm -rf '!x'\\\x9b\u202e\N{SNOWMAN}"
    show(tab, shop.url, f"?ask=funnel&{urlencode({'visit.page': page})}")

    command = tab.locator("#sql").text_content() or ""

    assert command.isprintable()
    words = ["bash", "-c", command.replace(".venv/bin/python", "printf '%s\\0'")]
    done = subprocess.run(words, check=True, capture_output=True, timeout=20)
    assert done.stdout.decode().split("\0")[-2] == f"page={page}"


def test_what_no_word_of_a_shell_can_hold_is_no_command(shop: Shop, tab: Page) -> None:
    show(tab, shop.url, f"?ask=funnel&{urlencode({'visit.page': '/a' + chr(0) + 'b'})}")

    command = tab.locator("#sql").text_content() or ""

    assert command == "# no command can hold the character NUL that is asked for: ask by HTTP"
    assert "visit.page=/a%00b" in (tab.locator("#curl").text_content() or "")


@pytest.mark.parametrize("width", [390, 1440])
def test_next_to_nothing_moves_when_visits_stand_in_the_address(past: Shop, tab: Page, width: int) -> None:
    watch_paint(tab)
    tab.set_viewport_size({"width": width, "height": 900})

    show(tab, past.url, "?ask=funnel&visit.device=mobile&visit.event_type=purchase")
    tab.wait_for_timeout(300)  # what moves is reported a frame later

    assert tab.evaluate("shift") <= 0.02


@audits.needed
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_page(past: Shop, tab: Page, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    show(tab, past.url, f"?ask=top_pages&span=30d&visit.event_type=purchase&visit.page=/{'long-' * 60}")
    show(tab, past.url, "?ask=top_pages&span=30d&visit.event_type=purchase&visit.device=mobile")

    for theme in ("light", "dark"):
        tab.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert audits.axe_violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    expect(tab).to_have_url(re.compile("visit.device=mobile"))
