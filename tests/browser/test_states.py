"""Every state of the page: what it says, that it keeps the numbers, that it recovers, that it is accessible."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from werkzeug.wrappers import Request, Response

from clickstream.ports import free_port
from tests.browser import audits
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.processes import RunningProcess, environment, python, running
from tests.support.scripted_api import ScriptedApi, numbers, says, scripted_api
from tests.support.shop import visits
from tests.support.waiting import until

pytestmark = pytest.mark.browser

ALIVE = re.compile("^(live|quiet)$")  # the recorded hour grows old while the tests run
TWO_POLLS_MS = 2 * 1000 + 1500  # these dashboards ask every second


class Scripted:
    def __init__(self, api: ScriptedApi, url: str) -> None:
        self.api = api
        self.url = url


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a real API says about a busy hour."""
    with platform(tmp_path_factory.mktemp("lively")) as api:
        events = visits(120, until=datetime.now(timezone.utc))
        requests.post(f"{api.url}/events", json=[*events, {"event_type": "No", "user_id": "u"}], timeout=10)
        found: dict[str, object] = api.get("/stats")
        return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, lively: dict[str, object]) -> Iterator[Scripted]:
    directory = tmp_path_factory.mktemp("scripted")
    with scripted_api(says(lively)) as api, dashboard(directory, api.url, POLL_INTERVAL_S="1") as url:
        yield Scripted(api, url)


@pytest.fixture
def scripted(shared: Scripted, lively: dict[str, object]) -> Scripted:
    """The one dashboard of these tests, live again whatever the test before has done to it."""
    shared.api.answer = says(lively)
    until(lambda: _state(shared.url) == ("live", lively["total_events"], True))
    return shared


def _state(url: str) -> tuple[str, object, bool]:
    answer = requests.get(f"{url}/api/stats", timeout=10).json()
    return answer["dashboard"]["state"], answer.get("total_events"), bool(answer.get("top"))


def slow(request: Request) -> Response:
    time.sleep(3.5)
    return says({})(request)


def replaying(request: Request) -> Response:
    if request.path == "/ready":
        return says({"status": "replaying", "progress": 0.64, "records": 10}, 503)(request)
    return says({"error": {"code": "replaying", "message": "reading the journal"}}, 503)(request)


UNKNOWN = "\N{EN DASH}"

WRONG = {
    "http": (says({"error": {"code": "internal", "message": "it broke"}}, 500), "error", "answered 500: it broke"),
    "garbage": (says(b"<html>hello"), "error", "answered something that is not a JSON object"),
    "redirect": (says(b"", 302, Location="http://elsewhere/"), "error", "redirects elsewhere (302)"),
    "too_large": (says(b" " * 50_000_000), "error", "answered more than"),
    "slow": (slow, "stale", "did not answer within 3 s"),
    "replaying": (replaying, "replaying", "reading its journal"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_named_the_numbers_stay_and_it_recovers(scripted: Scripted, tab: Page, name: str) -> None:
    answer, state, words = WRONG[name]
    good = scripted.api.answer
    tab.goto(scripted.url)
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    events = tab.locator("#value-events").text_content()

    scripted.api.answer = answer

    expect(tab.locator("#status")).to_have_attribute("data-state", state, timeout=8000)
    expect(tab.locator("#banner")).to_contain_text(words)
    expect(tab.locator("#value-events")).to_have_text(str(events))
    if name == "replaying":
        expect(tab.locator("#status")).to_have_text("Replaying 64 %")
    scripted.api.answer = good
    expect(tab.locator("#banner")).to_be_hidden(timeout=TWO_POLLS_MS + (3500 if name == "slow" else 0))
    expect(tab.locator("#status")).to_have_attribute("data-state", ALIVE)


@pytest.mark.parametrize("name", WRONG)
def test_without_numbers_nothing_is_shown_as_zero(tmp_path: Path, tab: Page, name: str) -> None:
    answer, state, words = WRONG[name]
    with scripted_api(answer) as api, dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as url:
        tab.goto(url)

        expect(tab.locator("#status")).to_have_attribute("data-state", state, timeout=8000)
        expect(tab.locator("#banner")).to_contain_text(words)
        assert set(tab.locator(".value").all_text_contents()) == {UNKNOWN}


def test_the_api_killed_and_started_again_under_the_page(tmp_path: Path, tab: Page) -> None:
    port = str(free_port())
    api_url = f"http://127.0.0.1:{port}"
    env = environment(API_PORT=port, EVENTS_FILE=str(tmp_path / "events_backup.json"))
    event = {"event_type": "page_view", "user_id": "u", "properties": {"page": "/"}}

    def start() -> RunningProcess:
        process = stack.enter_context(running(python("local_api.py"), tmp_path / "api.log", env=env))
        process.wait_for_http(f"{api_url}/ready")
        return process

    with ExitStack() as stack:
        api = start()
        url = stack.enter_context(dashboard(tmp_path, api_url, POLL_INTERVAL_S="1"))
        requests.post(f"{api_url}/events", json=event, timeout=10)
        tab.goto(url)
        expect(tab.locator("#value-events")).to_have_text("1")

        api.send(signal.SIGKILL)
        api.wait()

        banner = tab.locator("#banner")
        expect(banner).to_contain_text("The API is not answering.", timeout=4000)
        expect(banner).to_contain_text(f"Tried {api_url}.")
        expect(banner).to_contain_text("start it with ./run_demo.sh or .venv/bin/python local_api.py")
        expect(tab.locator("#status")).to_contain_text("API down")
        expect(tab.locator("#value-events")).to_have_text("1")

        start()
        expect(banner).to_be_hidden(timeout=TWO_POLLS_MS)
        requests.post(f"{api_url}/events", json=event, timeout=10)
        expect(tab.locator("#value-events")).to_have_text("2", timeout=TWO_POLLS_MS)


def test_the_dashboard_killed_under_the_page_is_not_called_the_api(
    tmp_path: Path, lively: dict[str, object], tab: Page
) -> None:
    with scripted_api(says(lively)) as api:
        with dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as url:
            tab.goto(url)
            expect(tab.locator("#status")).to_have_attribute("data-state", ALIVE)
            tab.wait_for_function("() => Boolean(window.Chart)")  # or its loading breaks off, which is another fault

        expect(tab.locator("#banner")).to_contain_text("The dashboard is not answering.", timeout=5000)
        expect(tab.locator("#banner")).to_contain_text("python dashboard.py")
        expect(tab.locator("#status")).to_contain_text("Offline")


def test_the_page_recovers_from_a_dashboard_that_was_away_though_no_number_has_changed(
    scripted: Scripted, tab: Page
) -> None:
    tab.goto(scripted.url)
    with tab.expect_response(lambda answer: answer.status == 304):
        pass
    tab.route("**/api/stats*", lambda route: route.abort())
    expect(tab.locator("#status")).to_contain_text("Offline", timeout=4000)

    tab.unroute("**/api/stats*")

    expect(tab.locator("#status")).to_have_attribute("data-state", ALIVE, timeout=6000)
    expect(tab.locator("#banner")).to_be_hidden()


def test_numbers_of_another_window_are_named_while_those_asked_for_are_unknown(scripted: Scripted, tab: Page) -> None:
    tab.goto(scripted.url)
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    scripted.api.answer = says(b"<html>")

    tab.get_by_label("24 h", exact=True).check()

    expect(tab.locator("#notice")).to_contain_text(
        "still the numbers of all time; those of the last 24 hours are not known yet"
    )


def test_a_window_that_there_is_none_of_is_said_until_one_is_chosen(scripted: Scripted, tab: Page) -> None:
    tab.goto(f"{scripted.url}/?window=7d")

    expect(tab.locator("#notice")).to_contain_text(
        "7d is not a window: there are 15m, 1h, 24h, all. These are the numbers of all time."
    )
    tab.get_by_label("1 h", exact=True).check()
    expect(tab.locator("#notice")).not_to_contain_text("7d")


def test_down_is_said_for_as_long_as_it_is_known_not_for_as_long_as_the_numbers_are_old(
    scripted: Scripted, tab: Page, lively: dict[str, object]
) -> None:
    def old(route: Route) -> None:
        now_ms = time.time() * 1000
        told = {"state": "unreachable", "problem": {"message": "gone"}, "read_at": now_ms - 28 * 60_000}
        told |= {"failing_since": now_ms - 11 * 60_000 - 5000, "quarantined": None}
        ages = {"X-Snapshot-Age-Ms": str(28 * 60_000), "X-Failing-Ms": str(11 * 60_000 + 5000)}
        route.fulfill(json={**lively, "dashboard": told}, headers=ages)

    tab.route("**/api/stats*", old)
    tab.goto(f"{scripted.url}/?window=1h")
    tab.get_by_label("All", exact=True).check()

    expect(tab.locator("#status")).to_have_text("API down · 11 min")
    expect(tab.locator("#banner")).to_contain_text("Showing the numbers from")


def test_the_rows_of_the_refused_add_up_to_the_number_above_them(
    scripted: Scripted, tab: Page, lively: dict[str, object]
) -> None:
    codes = {f"code_{number}": 100 - number for number in range(9)}
    accounting = {"received": 5000, "accepted": 4136, "duplicates": 0, "rejected": 864, "since": "2026-01-15T10:00:00Z"}
    scripted.api.answer = says({**lively, "accounting": accounting, "rejected_by_code": codes})
    until(lambda: requests.get(f"{scripted.url}/api/stats", timeout=10).json()["accounting"] == accounting)
    tab.goto(scripted.url)

    rows = tab.locator("#reasons li")
    expect(tab.locator("#rejected-total")).to_have_text("864")
    expect(rows).to_have_count(6)
    expect(rows.last).to_have_text("4 other reasons374")
    assert sum(int(text) for text in tab.locator("#reasons strong").all_text_contents()) == 864


def test_a_window_without_anything_to_compare_with_says_of_what_there_was_none(
    scripted: Scripted, tab: Page, lively: dict[str, object]
) -> None:
    window = {"name": "1h", "from": "2026-01-15T09:30:00Z", "to": "2026-01-15T10:30:00Z"}
    before = {"total_events": 0, "page_views": 0, "sessions": 0, "purchases": 0, "revenue_cents": 0}
    scripted.api.answer = says({**lively, "window": window, "previous": before})
    tab.goto(f"{scripted.url}/?window=1h")

    expect(tab.locator("#detail-conversion")).to_have_text("no purchases in the hour before")
    expect(tab.locator("#detail-events")).to_have_text("none in the hour before")


def test_what_is_not_exact_is_marked(scripted: Scripted, tab: Page, lively: dict[str, dict[str, object]]) -> None:
    scripted.api.answer = says(
        {**lively, "top": {**lively["top"], "exact": False}, "users": {**lively["users"], "total": 7, "exact": False}}
    )
    until(lambda: requests.get(f"{scripted.url}/api/stats", timeout=10).json()["users"]["total"] == 7)
    tab.goto(scripted.url)

    expect(tab.locator("#top-what")).to_contain_text("approximate: of too many different ones, those that came late")
    expect(tab.locator("#detail-sessions")).to_have_text("of about 7 users")


def test_an_event_that_cannot_be_read_again_is_shown_with_a_warning(scripted: Scripted, tab: Page) -> None:
    tab.goto(scripted.url)
    tab.locator(".row-open").first.click()

    expect(tab.locator("#sheet-body .failed")).to_contain_text("answered JSON without events")
    expect(tab.locator("#sheet-body .note")).to_contain_text("numbers of more than 15 digits may be rounded")
    expect(tab.locator("#sheet-body pre")).to_contain_text('"event_type"')
    expect(tab.get_by_role("button", name="Copy JSON")).to_be_disabled()


@pytest.mark.parametrize("coarse", [False, True])
def test_the_feed_shows_whole_rows(scripted: Scripted, browser: Browser, coarse: bool) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, has_touch=coarse, is_mobile=coarse)
    tab = context.new_page()
    tab.goto(scripted.url)
    expect(tab.locator("#feed tr")).to_have_count(12)  # one more than fit

    cut = tab.evaluate(
        """() => {
            const bottom = document.querySelector('#panel-feed .scroll').getBoundingClientRect().bottom;
            return [...document.querySelectorAll('#feed tr')].map((row) => row.getBoundingClientRect())
                .filter((row) => row.top < bottom - 0.5 && row.bottom > bottom + 0.5).length;
        }"""
    )
    context.close()

    assert cut == 0


def test_a_part_that_cannot_be_drawn_is_named_and_the_others_stay(
    scripted: Scripted, context: BrowserContext, lively: dict[str, object]
) -> None:
    scripted.api.answer = says({**lively, "top": None})
    tab = context.new_page()
    with tab.expect_console_message(lambda line: line.type == "error" and "top lists" in line.text):
        tab.goto(scripted.url)

    expect(tab.locator("#banner")).to_contain_text("Could not draw: top lists.")
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    expect(tab.locator("#status")).to_have_attribute("data-state", ALIVE)
    expect(tab.locator("#feed tr")).to_have_count(12)


def test_a_problem_is_announced_once_not_at_every_retry(scripted: Scripted, tab: Page) -> None:
    tab.goto(scripted.url)
    tab.evaluate(
        "window.said = []; new MutationObserver(() => said.push(document.getElementById('spoken').textContent))"
        ".observe(document.getElementById('spoken'), {childList: true, characterData: true, subtree: true})"
    )
    scripted.api.answer = says(b"<html>")
    expect(tab.locator("#banner")).to_be_visible(timeout=4000)
    asked = len(scripted.api.asked)
    tab.wait_for_function("() => document.getElementById('status').textContent.match(/ [5-9] s/)")

    assert len(scripted.api.asked) >= asked + 2
    assert len(tab.evaluate("said")) == 1


def test_quiet_is_told_from_live(scripted: Scripted, tab: Page) -> None:
    old = {
        "event_type": "click",
        "user_id": "u",
        "event_id": "1",
        "received_at": "2026-01-15T10:00:00Z",
        "properties": {},
    }
    scripted.api.answer = says(numbers(total_events=1, events_by_type={"click": 1}, recent_events=[old]))
    tab.goto(scripted.url)

    expect(tab.locator("#status")).to_have_text("Live · no events for 30 min")


@pytest.mark.parametrize("minutes_fast", [-10, 10])
def test_ages_do_not_depend_on_the_clock_of_the_browser(
    tmp_path: Path, lively: dict[str, object], tab: Page, minutes_fast: int
) -> None:
    tab.add_init_script(f"const now = Date.now.bind(Date); Date.now = () => now() + {minutes_fast * 60_000};")
    recent = [{"event_type": "click", "user_id": "u", "received_at": "2026-01-15T10:00:00Z", "properties": {}}]
    answer = {**lively, "recent_events": recent, "generated_at": "2026-01-15T10:02:00Z"}
    with scripted_api(says(answer)) as api, dashboard(tmp_path, api.url, POLL_INTERVAL_S="1") as url:
        requests.get(f"{url}/api/stats", timeout=10)
        tab.goto(url)
        expect(tab.locator("#status")).to_have_text("Live · no events for 2 min")

        api.answer = says(b"<html>")

        expect(tab.locator("#status")).to_have_text(re.compile(r"^Error · [0-9]+ s$"))
        expect(tab.locator("#banner")).to_contain_text(re.compile("Showing the numbers from .*11:0[23]"))  # in Berlin
        tab.reload()  # the page now comes with numbers that are old already
        expect(tab.locator("#status")).to_have_text(re.compile(r"^Error · [0-9]+ s$"))


def test_a_hidden_page_stops_asking_and_asks_at_once_when_shown(scripted: Scripted, tab: Page) -> None:
    tab.goto(scripted.url)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    hide = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange'))"
    )

    tab.evaluate(hide % "true")
    tab.wait_for_timeout(2500)  # absence can only be watched for a while
    assert len(asked) <= 1
    with tab.expect_request("**/api/stats*", timeout=500):
        tab.evaluate(hide % "false")


def test_active_users_and_refusals_are_compared_with_what_the_page_saw_five_minutes_ago(
    scripted: Scripted, tab: Page, lively: dict[str, object]
) -> None:
    def at(minute: int, users: int, rejected: int) -> None:
        accounting = {"received": 100, "accepted": 90, "duplicates": 0, "rejected": rejected, "since": "start"}
        moment = f"2026-01-15T10:{minute:02}:00.000Z"
        active = {"total": 50, "active": users, "exact": True}
        scripted.api.answer = says({**lively, "generated_at": moment, "users": active, "accounting": accounting})

    users, refusals = tab.locator("#now-users"), tab.locator("#now-rejected")
    at(0, users=10, rejected=2)
    until(lambda: requests.get(f"{scripted.url}/api/stats", timeout=10).json()["users"]["active"] == 10)
    tab.goto(scripted.url)
    expect(users).to_have_text("10 active users")
    expect(refusals).to_have_text("")

    at(5, users=13, rejected=5)
    expect(users).to_have_text("13 active users · ↑ 3")
    expect(refusals).to_have_text("3 in 5 min")
    at(10, users=12, rejected=6)
    expect(users).to_have_text("12 active users · ↓ 1")
    expect(refusals).to_have_text("1 in 5 min, 3 before")


def test_long_names_leave_their_numbers_in_sight(scripted: Scripted, tab: Page, lively: dict[str, object]) -> None:
    long = "/a-path/" + "of-many-parts/" * 20
    top = {"pages": [{"value": long, "count": 7}], "products": [], "referrers": [], "devices": [], "exact": True}
    scripted.api.answer = says({**lively, "top": top})
    until(lambda: requests.get(f"{scripted.url}/api/stats", timeout=10).json()["top"] == top)
    tab.goto(scripted.url)
    number = tab.locator("#top-list strong")
    expect(number).to_have_text("7")

    box, panel = number.bounding_box(), tab.locator("#panel-top").bounding_box()
    assert box is not None
    assert panel is not None
    assert box["x"] + box["width"] <= panel["x"] + panel["width"]


def test_types_keep_their_colours_when_colours_are_forced(scripted: Scripted, tab: Page) -> None:
    tab.emulate_media(forced_colors="active")
    tab.goto(scripted.url)
    until(lambda: tab.evaluate("Boolean(window.Chart?.getChart('canvas-mix'))"))

    painted = tab.evaluate("Chart.getChart('canvas-mix').data.datasets[0].backgroundColor")

    assert len(set(painted)) == len(painted) > 3


def test_the_numbers_do_not_wait_for_the_library_that_draws_charts(scripted: Scripted, tab: Page) -> None:
    held: list[Route] = []
    tab.route("**/vendor/chart*", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks what it calls
    tab.goto(scripted.url)

    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    expect(tab.locator("#legend tr")).not_to_have_count(0)
    assert tab.evaluate("typeof Chart") == "undefined"
    until(lambda: tab.evaluate("1") and held)
    held[0].continue_()
    until(lambda: tab.evaluate("Boolean(window.Chart?.getChart('canvas-series')?.getDatasetMeta(0).data.length)"))
    expect(tab.locator("#banner")).to_be_hidden()


def test_without_the_library_the_page_says_what_is_not_drawn_and_the_rest_goes_on(
    scripted: Scripted, context: BrowserContext
) -> None:
    tab = context.new_page()  # its console says what failed
    tab.route("**/vendor/chart*", lambda route: route.abort())
    tab.goto(scripted.url)

    expect(tab.locator("#banner")).to_contain_text("Could not draw: events over time, event distribution.")
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    expect(tab.locator("#feed .row-open")).not_to_have_count(0)


REFUSED = {"received": 1, "accepted": 0, "duplicates": 0, "rejected": 1, "since": "2026-01-15T10:00:00Z"}
STATES = {
    "live": None,
    "empty": says(numbers()),
    "refused only": says(numbers(accounting=REFUSED, rejected_by_code={"invalid_type": 1})),
    "error": WRONG["garbage"][0],
    "stale": WRONG["slow"][0],
    "replaying": WRONG["replaying"][0],
}  # fmt: skip


@audits.needed
@pytest.mark.parametrize(
    "state", [*STATES, "paused", "tables", "types", "filter", "event sheet", "events sheet", "phone"]
)
def test_axe_finds_nothing_in_any_state_in_either_theme_or_forced_colours(
    scripted: Scripted, tab: Page, state: str
) -> None:
    if state == "phone":
        tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(scripted.url)
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)
    bring = {
        "paused": lambda: tab.locator("#pause").click(),
        "tables": lambda: [tab.get_by_role("button", name="Show as table").first.click() for _ in range(2)],
        "types": lambda: (tab.locator("#series-types").click(), tab.locator("#legend button").first.click()),
        "filter": lambda: tab.locator("#filter").click(),
        "event sheet": lambda: (
            tab.locator(".row-open").first.click(),
            expect(tab.locator("#sheet pre")).to_be_visible(),
        ),
        "events sheet": lambda: tab.get_by_role("button", name="Browse all events").click(),
    }
    if state in bring:
        bring[state]()
    elif answer := STATES.get(state):
        scripted.api.answer = answer
        if state in ("empty", "refused only"):
            expect(tab.locator("#snippet")).to_be_visible(timeout=4000)
        else:
            expect(tab.locator("#banner")).to_be_visible(timeout=8000)

    tab.emulate_media(color_scheme="light")
    assert audits.axe_violations(tab) == []
    tab.emulate_media(color_scheme="dark")
    assert audits.axe_violations(tab) == []
    tab.emulate_media(forced_colors="active")
    assert audits.axe_violations(tab) == []
