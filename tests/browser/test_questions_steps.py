"""Funnels of one's own steps on the page of questions."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.asking import SHOWN, answered, choose, said, show, tables
from tests.browser.shop import Shop, view
from tests.browser.test_budget import watch_paint
from tests.support.waiting import until

pytestmark = pytest.mark.browser


def ask_for(tab: Page, steps: str) -> None:
    tab.get_by_role("textbox", name="Steps").fill(steps)
    tab.locator("#steps").get_by_role("button", name="Ask").click()


def first_cells(tab: Page) -> list[str]:
    return [row[0] for table in tables(tab) for row in table["rows"]]


def test_the_steps_of_a_funnel_are_asked_for_by_hand_and_stand_in_the_address(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d&visit.device=mobile")
    ask_for(tab, "/, /products ,  add_to_cart")

    expect(tab).to_have_url(
        re.compile(r"ask=funnel&span=30d&steps=%2F%2C%2Fproducts%2Cadd_to_cart&visit.device=mobile$")
    )
    expect(tab.locator("#curl")).to_contain_text("steps=/,/products,add_to_cart&visit.device=mobile")
    answered(tab)
    assert first_cells(tab) == ["/", "/products", "Added to the cart"]
    counts = [row["sessions"] for row in said(tab)]
    assert counts[0] > counts[1] > counts[2] > 0
    expect(tab.locator("#answer .sentence")).to_contain_text(f"of {counts[0]} sessions took all steps.")
    expect(tab.locator("#sql")).to_contain_text("sql funnel --file events_backup.json --since")
    expect(tab.locator("#sql")).to_contain_text("--steps /,/products,add_to_cart --visit device=mobile")

    choose(tab, "paths")  # has no steps
    expect(tab.locator("#steps")).to_be_hidden()
    assert "steps" not in tab.url
    choose(tab, "funnel")
    assert first_cells(tab) == ["/", "/products", "Added to the cart"]
    tab.reload()
    answered(tab)
    expect(tab.locator("#steps-text")).to_have_value("/, /products, add_to_cart")
    assert first_cells(tab) == ["/", "/products", "Added to the cart"]


def test_a_type_that_never_came_is_told_with_the_one_that_looks_like_it(shop: Shop, tab: Page) -> None:
    shop.send(view(event_type="sign_up"), view(), view(user_id="other", session_id="other"))
    show(tab, shop.url, "?ask=funnel&span=24h&steps=page_view,Signup,purchase")

    expect(tab.locator("#doubt")).to_have_text(
        "No event of the type Signup has ever come: did you mean sign_up? No event of the type purchase has ever come."
    )
    assert first_cells(tab) == ["Viewed a page", "Signup", "Bought"]
    ask_for(tab, "page_view, sign_up")
    expect(tab.locator("#answer .sentence")).to_contain_text("took all steps.")
    assert first_cells(tab) == ["Viewed a page", "sign_up"]
    assert tab.locator("#doubt").count() == 0

    show(tab, shop.url, "?ask=funnel&span=24h&steps=Signup,purchase")
    expect(tab.locator("#doubt")).to_contain_text("did you mean sign_up?")


def test_a_type_that_has_come_meanwhile_is_no_longer_said_never_to_have_come(shop: Shop, tab: Page) -> None:
    shop.send(view())
    show(tab, shop.url, "?ask=funnel&span=24h&steps=page_view,signup")
    expect(tab.locator("#doubt")).to_have_text("No event of the type signup has ever come.")

    shop.send(view(event_type="signup", user_id="other", session_id="other"))
    until(lambda: "signup" in requests.get(f"{shop.url}/api/stats?window=all", timeout=10).json()["events_by_type"])
    with tab.expect_response(lambda answer: "/api/stats" in answer.url):
        ask_for(tab, "page_view, signup")
    answered(tab)

    expect(tab.locator("#doubt")).to_have_count(0)
    assert [row["sessions"] for row in said(tab)] == [1, 0]


def test_a_type_that_may_be_among_those_counted_together_is_not_doubted(shop: Shop, tab: Page) -> None:
    shop.send(view(), *(view(event_type=f"type_{number}") for number in range(510)))
    shop.send(view(event_type="signup", user_id="other", session_id="other"))

    with tab.expect_response(lambda answer: "/api/stats" in answer.url) as known:
        show(tab, shop.url, "?ask=funnel&span=24h&steps=page_view,signup")

    assert "(other)" in known.value.json()["events_by_type"]
    tab.wait_for_timeout(300)  # in which a doubt would be said
    expect(tab.locator("#doubt")).to_have_count(0)


def test_the_steps_of_an_address_of_before_stand_in_the_form_again(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d&steps=search,purchase")
    field = tab.get_by_role("textbox", name="Steps")
    field.fill("/,purchase")
    field.press("Enter")
    expect(tab.locator("#curl")).to_contain_text("steps=/,purchase")

    tab.go_back()

    expect(tab.locator("#curl")).to_contain_text("steps=search,purchase")
    expect(field).to_have_value("search, purchase")


def test_without_steps_it_is_the_funnel_of_a_shop(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d&steps=search,purchase")
    ask_for(tab, "")

    expect(tab.locator("#answer")).to_contain_text("Began the checkout")
    answered(tab)
    assert "steps" not in tab.url
    assert [row for table in tables(tab) for row in table["rows"]] == SHOWN["funnel"](said(tab))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("purchase", "A funnel has 2 to 10 steps with commas between them, such as /pricing,signup,purchase"),
        ("click,,purchase", "one of these is empty"),
        ("click,<img>,click", 'The step "click" stands twice'),
    ],
)
def test_what_is_no_funnel_is_said_and_can_be_mended(past: Shop, tab: Page, steps: str, words: str) -> None:
    show(tab, past.url, "?ask=funnel&span=30d")
    ask_for(tab, steps)

    expect(tab.locator("#problem")).to_contain_text(words)
    expect(tab.locator("#answer table")).to_have_count(0)
    ask_for(tab, "page_view, add_to_wishlist, constructor, /my_page")
    answered(tab)
    expect(tab.locator("#problem")).to_be_hidden()
    assert first_cells(tab) == ["Viewed a page", "add_to_wishlist", "constructor", "/my_page"]


def test_steps_that_nobody_took_are_said_to_be_so(past: Shop, tab: Page) -> None:
    show(tab, past.url, "?ask=funnel&span=30d&steps=signup,purchase")

    expect(tab.locator("#answer")).to_contain_text("No session took the first step in this span.")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("query", ["ask=funnel&steps=/,search,purchase", "ask=paths", ""])
def test_next_to_nothing_moves_with_or_without_steps(past: Shop, tab: Page, query: str, width: int) -> None:
    watch_paint(tab)
    tab.set_viewport_size({"width": width, "height": 900})

    show(tab, past.url, f"?{query}")
    tab.wait_for_timeout(300)  # what moves is reported a frame later

    assert tab.evaluate("shift") <= 0.02
