"""Breakdowns by one thing, and visits chosen by a property of one's own, on the page of questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.asking import SHOWN, answered, choose, said, show, tables
from tests.browser.shop import Shop, view
from tests.browser.test_budget import watch_paint
from tests.support.dashboards import dashboard
from tests.support.platform import platform

pytestmark = pytest.mark.browser

VALUES = "options => options.map(({ value }) => value)"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose events say a plan, and on every third visit a seat count."""
    directory = tmp_path_factory.mktemp("plans")
    with platform(directory) as api, dashboard(directory, api.url) as url:
        for number, plan in enumerate(["free"] * 6 + ["pro"] * 3 + ["O'Neill & co", HOSTILE]):
            own = {"plan": plan, "device": "mobile" if number % 2 else "desktop"}
            if number % 3 == 0:
                own["seat count"] = number
            event = view(user_id=f"u{number}", session_id=f"s{number}", properties={"page": "/", **own})
            requests.post(f"{api.url}/events", json=event, timeout=10)
        yield Shop(api.url, url)


def go_by(tab: Page, what: str, name: str = "") -> None:
    form = tab.get_by_role("form", name="What it goes by")
    form.get_by_role("combobox", name="By").select_option(label=what)
    if name:
        form.get_by_role("combobox", name="Name of the property").fill(name)
    form.get_by_role("button", name="Ask").click()


def cells(tab: Page) -> list[list[str]]:
    return [row for table in tables(tab) for row in table["rows"]]


def test_a_breakdown_by_a_property_of_ones_own_is_asked_for_by_hand_and_stands_in_the_address(
    plans: Shop, tab: Page
) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h")
    go_by(tab, "Own property …", "plan")

    expect(tab).to_have_url(re.compile(r"ask=breakdown&span=24h&by=property\.plan$"))
    expect(tab.locator("#curl")).to_contain_text("by=property.plan")
    answered(tab)
    assert cells(tab) == SHOWN["breakdown"](said(tab))
    assert [row[:2] for row in cells(tab)][:2] == [["free", "6"], ["pro", "3"]]
    expect(tab.locator("#answer .sentence")).to_have_text("Of 11 events with plan, 54.5% say free.")
    expect(tab.locator("#sql")).to_contain_text("--by property.plan")

    tab.reload()
    answered(tab)
    expect(tab.locator("#by-name")).to_have_value("property.")
    expect(tab.locator("#by-own")).to_have_value("plan")
    choose(tab, "paths")  # goes by nothing
    expect(tab.locator("#by")).to_be_hidden()
    assert "by=" not in tab.url
    choose(tab, "breakdown")
    expect(tab.locator("#by-own")).to_have_value("plan")
    go_by(tab, "Device")
    expect(tab.locator("#by-own")).to_be_hidden()
    expect(tab.locator("#answer .sentence")).to_have_text("Of 11 events with device, 54.5% say desktop.")
    go_by(tab, "device, browser, campaign …")
    expect(tab.locator("#curl")).not_to_contain_text("by=")


def test_a_breakdown_counts_the_events_of_one_type(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h")
    tab.locator("#of").fill("page_view")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer .sentence")).to_have_text("Most page_view events come from device desktop.")
    tab.locator("#by-name").select_option(label="Own property …")
    tab.locator("#by-own").fill("plan")
    tab.get_by_role("combobox", name="Of", exact=True).focus()
    expect(tab.locator("#types option").first).to_be_attached()
    assert tab.locator("#types option").evaluate_all(VALUES) == ["page_view"]
    tab.locator("#of").fill("page_view")
    tab.locator("#by").get_by_role("button", name="Ask").click()

    expect(tab).to_have_url(re.compile(r"by=property\.plan&of=page_view$"))
    answered(tab)
    expect(tab.locator("#answer .sentence")).to_have_text("Of 11 page_view events with plan, 54.5% say free.")
    assert cells(tab) == SHOWN["breakdown"](said(tab))
    expect(tab.locator("#sql")).to_contain_text("--by property.plan --of page_view")
    tab.locator("#of").fill("signup")
    tab.keyboard.press("Enter")
    expect(tab.locator("#answer")).to_contain_text("No signup event in this span says plan.")
    tab.reload()
    expect(tab.locator("#of")).to_have_value("signup")


def test_a_funnel_goes_by_a_property_of_ones_own(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=funnel&span=24h&steps=/,page_view")
    go_by(tab, "Own property …", "plan")

    expect(tab).to_have_url(re.compile(r"ask=funnel&span=24h&steps=%2F%2Cpage_view&by=property\.plan$"))
    answered(tab)
    rows = said(tab)
    found = [[row["dimension_value"], str(row["sessions"])] for row in rows if row["step"] == "/"]
    assert [[row[0], row[2]] for row in cells(tab)] == found
    assert found[:2] == [["free", "6"], ["pro", "3"]]
    assert [[row[1], row[3]] for row in cells(tab)] == [["100.0%", sessions] for _, sessions in found]
    expect(tab.locator("#answer .sentence")).to_have_text("Best with plan free: 100.0% of 6 sessions took all steps.")
    expect(tab.locator("#sql")).to_contain_text("--steps /,page_view --by property.plan")

    go_by(tab, "Own property …", "seat count")
    expect(tab.locator("#answer .nothing-named")).to_have_text("none says it")  # which is no value to click on
    answered(tab)
    assert [[row[0], row[2]] for row in cells(tab)][3:] == [["9", "1"], ["none says it", "7"]]
    assert tab.locator("#answer [data-visit]").count() == 4

    go_by(tab, "all together")
    expect(tab.locator("#answer .sentence")).to_contain_text("of 11 sessions took all steps.")

    tab.goto(f"{plans.url}/questions?ask=funnel&span=24h&steps=/,purchase&by=property.plan")
    expect(tab.locator("#answer .sentence")).to_have_text("No session with plan bought.")
    tab.goto(f"{plans.url}/questions?ask=funnel&span=24h&by=property.colour")
    expect(tab.locator("#answer")).to_contain_text("No session with colour took the first step in this span.")


def test_both_forms_of_a_funnel_are_asked_by_whichever_is_sent(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=funnel&span=24h")
    tab.locator("#by-name").select_option(label="Device")
    tab.get_by_role("textbox", name="Steps").fill("/, page_view")
    tab.locator("#steps").get_by_role("button", name="Ask").click()

    expect(tab).to_have_url(re.compile(r"span=24h&steps=%2F%2Cpage_view&by=device$"))
    tab.get_by_role("textbox", name="Steps").fill("/, click")
    go_by(tab, "all together")
    expect(tab).to_have_url(re.compile(r"span=24h&steps=%2F%2Cclick$"))
    tab.locator("#by-name").select_option(label="Own property …")  # which has no name yet: that form is not asked by
    tab.get_by_role("textbox", name="Steps").fill("/, page_view")
    tab.keyboard.press("Enter")
    expect(tab).to_have_url(re.compile(r"span=24h&steps=%2F%2Cpage_view$"))


def test_robots_are_suggested_as_events_mark_them(shop: Shop, tab: Page) -> None:
    shop.send(view(), view(user_id="robot", session_id="robot", is_bot=True))
    show(tab, shop.url, "?ask=traffic&span=24h")
    tab.locator("#visit-name").select_option(label="Is bot")
    tab.locator("#visit-text").focus()

    expect(tab.locator("#visit-texts option")).to_have_attribute("value", "true")


def test_what_an_answer_names_chooses_visits_by_a_click(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h&by=property.plan")

    tab.get_by_role("button", name="O'Neill & co").click()

    expect(tab).to_have_url(re.compile(r"visit\.property\.plan=O%27Neill\+%26\+co$"))
    answered(tab)
    assert cells(tab) == [["O'Neill & co", "1", "1", "0"]]
    expect(tab.locator("#chosen")).to_contain_text("plan: O'Neill & co")
    expect(tab.locator("#meaning")).to_contain_text("visits with plan O'Neill & co")
    expect(tab.locator("#sql")).to_contain_text("--visit 'property.plan=O'\\''Neill & co'")
    tab.reload()
    expect(tab.locator("#chosen")).to_contain_text("plan: O'Neill & co")


def test_visits_are_chosen_by_a_property_of_ones_own_by_hand_with_suggestions(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=traffic&span=24h")
    form = tab.get_by_role("form", name="Visits")
    form.get_by_role("combobox", name="property", exact=True).select_option(label="Own property …")
    form.get_by_role("combobox", name="Name of the property").focus()
    names = tab.locator("#own-names option")
    expect(names.first).to_be_attached()
    assert names.evaluate_all("options => options.map(({ value }) => value)") == [
        "device",
        "page",
        "plan",
        "seat count",
    ]
    form.get_by_role("combobox", name="Name of the property").fill("seat count")
    form.get_by_role("combobox", name="that is exactly").focus()
    texts = tab.locator("#visit-texts option")
    expect(texts.first).to_be_attached()
    assert texts.evaluate_all(VALUES) == ["0", "3", "6", "9"]

    form.get_by_role("combobox", name="that is exactly").fill("3")
    form.get_by_role("button", name="Add").click()

    expect(tab).to_have_url(re.compile(r"visit\.property\.seat\+count=3$"))
    answered(tab)
    assert [row["events"] for row in said(tab)] == [1]
    expect(tab.locator("#chosen")).to_contain_text("seat count: 3")


def test_visits_in_which_something_is_said_are_left_out_by_hand(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h&by=property.plan&visit.device=desktop")
    form = tab.get_by_role("form", name="Visits")
    form.get_by_role("combobox", name="and", exact=True).select_option(label="without")
    form.get_by_role("combobox", name="property", exact=True).select_option(label="Own property …")
    form.get_by_role("combobox", name="Name of the property").fill("plan")
    form.get_by_role("combobox", name="that is exactly").fill("free")
    form.get_by_role("button", name="Add").click()

    expect(tab).to_have_url(re.compile(r"visit\.device=desktop&without\.property\.plan=free$"))
    answered(tab)
    assert cells(tab) == SHOWN["breakdown"](said(tab))
    assert [row[:2] for row in cells(tab)] == [["pro", "2"], [HOSTILE, "1"]]
    expect(tab.locator("#meaning")).to_contain_text("visits with device desktop without plan free")
    expect(tab.locator("#sql")).to_contain_text("--visit device=desktop --without property.plan=free")
    tab.reload()
    assert tab.locator("#chosen button span:first-child").all_text_contents() == [
        "Device: desktop",
        "Without plan: free",
    ]

    tab.locator("#chosen").get_by_role("button", name="Without plan: free").click()
    expect(tab).to_have_url(re.compile("visit.device=desktop$"))
    answered(tab)
    assert cells(tab)[0][:2] == ["free", "3"]


def test_what_an_address_of_before_asks_stands_in_the_form_again(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h")
    go_by(tab, "Own property …", "plan")
    expect(tab.locator("#curl")).to_contain_text("by=property.plan")
    field = tab.locator("#by-own")
    field.fill("device")
    field.press("Enter")
    expect(tab.locator("#curl")).to_contain_text("by=property.device")

    tab.go_back()
    expect(tab.locator("#curl")).to_contain_text("by=property.plan")
    expect(field).to_have_value("plan")
    expect(field).to_be_focused()

    tab.go_back()
    expect(tab.locator("#curl")).not_to_contain_text("by=")
    expect(tab.locator("#by-name")).to_have_value("")
    expect(field).to_be_hidden()
    expect(tab.locator("#by-name")).to_be_focused()


@pytest.mark.parametrize(("typed", "asked"), [(" padded ", " padded "), (" plan ", "plan")])
def test_blanks_around_a_name_count_where_events_have_them(shop: Shop, tab: Page, typed: str, asked: str) -> None:
    shop.send(view(properties={" padded ": "yes", "plan": "pro"}))
    show(tab, shop.url, "?ask=breakdown&span=24h")
    go_by(tab, "Own property …")
    tab.locator("#by-own").focus()
    expect(tab.locator("#own-names option").first).to_be_attached()

    go_by(tab, "Own property …", typed)

    expect(tab).to_have_url(re.compile(rf"by={re.escape(urlencode({'': f'property.{asked}'})[1:])}$"))
    answered(tab)
    assert cells(tab)


def test_a_property_without_a_name_is_not_asked_for(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h")
    before = tab.url

    go_by(tab, "Own property …")

    assert tab.locator("#by-own").evaluate("field => field.validity.valueMissing")
    assert tab.url == before


def test_what_nobody_says_is_told_and_what_cannot_be_asked_too(plans: Shop, tab: Page) -> None:
    tab.goto(f"{plans.url}/questions?ask=breakdown&span=24h&by=property.colour")
    expect(tab.locator("#answer")).to_contain_text("No event in this span says colour.")

    tab.goto(f"{plans.url}/questions?ask=breakdown&span=24h&by=colour")
    expect(tab.locator("#problem")).to_contain_text("a property of yours is property.colour")


def test_what_senders_wrote_is_only_ever_text(plans: Shop, tab: Page) -> None:
    show(tab, plans.url, "?ask=breakdown&span=24h&by=property.plan&visit.property.plan=" + HOSTILE.replace("=", "%3D"))

    expect(tab.locator("#chosen")).to_contain_text(f"plan: {HOSTILE}")
    assert tab.locator("#answer img, #chosen img").count() == 0
    assert cells(tab)[0][0] == HOSTILE


def test_a_long_value_is_cut_in_the_sentence_and_chooses_nothing_that_no_address_can_hold(
    shop: Shop, tab: Page
) -> None:
    note = "\u202e" + "x" * 100_000
    texts = [note, note, "short", "y" * 2000]
    shop.send(*(view(session_id=f"s{number}", properties={"note": text}) for number, text in enumerate(texts)))
    show(tab, shop.url, "?ask=breakdown&span=24h&by=property.note")

    told = f"Of 4 events with note, 50.0% say {'x' * 80}\N{HORIZONTAL ELLIPSIS}."
    expect(tab.locator("#answer .sentence")).to_have_text(told)
    assert [row[0] for row in cells(tab)] == [note, "short", "y" * 2000]
    assert tab.locator("#answer tbody th").first.bounding_box()["height"] < 80  # type: ignore[index]
    assert tab.locator("#answer button.choosing").all_text_contents() == ["short", "y" * 2000]
    tab.get_by_role("button", name="yyy").click()
    expect(tab.locator("#curl")).to_contain_text("visit.property.note=yyy")
    answered(tab)
    assert [row[1] for row in cells(tab)] == ["1"]


@pytest.mark.parametrize("query", ["ask=breakdown&by=property.plan", "ask=breakdown&by=device", "ask=breakdown"])
def test_nothing_moves_when_the_answer_comes(plans: Shop, tab: Page, query: str) -> None:
    watch_paint(tab)
    show(tab, plans.url, f"?{query}&span=24h")

    assert tab.evaluate("shift") <= 0.02


def test_where_every_event_has_names_of_its_own_those_of_most_are_suggested(shop: Shop, tab: Page) -> None:
    for number in range(0, 200, 50):
        shop.send(
            *(
                view(properties={"plan": "pro"} | {f"{one} {other}": 1 for other in range(2500)})
                for one in range(number, number + 50)
            )
        )
    show(tab, shop.url, "?ask=breakdown&span=24h")

    go_by(tab, "Own property …")
    tab.locator("#by-own").focus()

    expect(tab.locator("#own-names option")).to_have_count(200)
    assert tab.locator("#own-names option[value=plan]").count() == 1


def test_it_fits_a_phone(plans: Shop, tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    show(tab, plans.url, "?ask=breakdown&span=24h&by=property.plan")

    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.locator("#by-own").evaluate("field => field.getBoundingClientRect().height") >= 40


def test_what_is_asked_is_read_to_its_end_on_a_phone(plans: Shop, tab: Page) -> None:
    tab.set_viewport_size({"width": 390, "height": 844})
    show(tab, plans.url, f"?ask=sessions&span=24h&visit.property.{'x' * 128}={'w' * 300}")

    assert tab.locator("#meaning").evaluate("words => words.scrollWidth <= words.clientWidth")
    assert tab.locator("#meaning").evaluate("words => words.getBoundingClientRect().right") <= 390


def test_that_there_may_be_more_values_is_said_only_of_as_many_as_a_funnel_has(shop: Shop, tab: Page) -> None:
    shop.send(view(session_id="says none"))
    shop.send(*(view(session_id=f"s{number}", properties={"plan": f"p{number}"}) for number in range(19)))
    show(tab, shop.url, "?ask=funnel&span=24h&steps=page_view,click&by=property.plan")
    expect(tab.locator("#answer")).to_contain_text("A session counts at each value that one of its events says.")
    expect(tab.locator("#answer")).not_to_contain_text("there may be more")

    shop.send(view(session_id="s19", properties={"plan": "p19"}))
    show(tab, shop.url, "?ask=funnel&span=24h&steps=page_view,click&by=property.plan")
    expect(tab.locator("#answer")).to_contain_text("The 20 values with the most sessions; there may be more.")
