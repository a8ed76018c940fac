"""The browser tracker in a real Chromium, on a page of another origin under a strict Content-Security-Policy."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.faults import FaultyProxy, faulty_proxy
from tests.support.platform import Platform, platform
from tests.support.site import site
from tests.support.user_agents import MAC_SAFARI, USER_AGENTS, WINDOWS_CHROME, Told
from tests.support.waiting import until

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "docs" / "examples"
DOCUMENT = (ROOT / "docs" / "sdks.md").read_text()

pytestmark = pytest.mark.browser


class Shop:
    """The example shop, its tracker pointed at a proxy in front of a real API."""

    def __init__(self, url: str, api: Platform, proxy: FaultyProxy, page: Page, attributes: list[str]) -> None:
        self.url = url
        self.api = api
        self.proxy = proxy
        self.page = page
        self._attributes = attributes
        self.complaints: list[str] = []
        self.failed: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("requestfailed", lambda request: self.failed.append(request.url))

    def open(self, path: str = "/", *, attributes: str = "") -> None:
        self._attributes[:] = [attributes]
        self.page.goto(self.url + path)

    def types(self) -> Counter[str]:
        return Counter(event["event_type"] for event in self.api.events())

    def waiting(self) -> int:
        count: int = self.page.evaluate(
            "Object.keys(localStorage).filter(k => k.startsWith('clickstream:event:')).length"
        )
        return count

    def wait_for(self, **expected: int) -> list[dict[str, Any]]:
        until(lambda: all(self.types()[name] >= count for name, count in expected.items()))
        until(lambda: self.waiting() == 0)
        events = self.api.events()
        assert Counter(event["event_type"] for event in events) == expected
        assert len({event["event_id"] for event in events}) == len(events)
        return events


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def shop(tmp_path: Path, context: BrowserContext) -> Iterator[Shop]:
    attributes: list[str] = [""]
    with platform(tmp_path) as api, faulty_proxy(api.url) as proxy:

        def pages(path: str) -> tuple[str, bytes] | None:
            if path in ("/shop.css", "/shop.js"):
                return "text/css" if path.endswith("css") else "text/javascript", (SHOP / path[1:]).read_bytes()
            html = (SHOP / "shop.html").read_text().replace("http://localhost:3000", proxy.url)
            return "text/html", html.replace('tracker.js"', f'tracker.js" {attributes[0]}').encode()

        policy = f"default-src 'none'; style-src 'self'; script-src 'self' {proxy.url}; connect-src {proxy.url}"
        with site(pages, policy=policy) as url:
            yield Shop(url, api, proxy, context.new_page(), attributes)


def test_the_tracker_is_at_most_3_kb_compressed() -> None:
    assert len(gzip.compress((ROOT / "static" / "tracker.js").read_bytes())) <= 3 * 1024


def test_a_visit_from_page_view_to_purchase_arrives_once_and_in_one_session(shop: Shop) -> None:
    page = shop.page

    shop.open("/?utm_source=news&utm_campaign=spring")
    page.get_by_role("searchbox").fill("trail")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="Cart").click()
    page.get_by_role("button", name="Check out").click()
    page.get_by_role("button", name="Pay").click()

    events = shop.wait_for(page_view=4, search=1, click=4, add_to_cart=1, checkout=1, purchase=1)
    views = [event["properties"] for event in events if event["event_type"] == "page_view"]
    assert [view["page"] for view in views] == ["/", "/cart", "/checkout", "/thanks"]
    assert [view["title"] for view in views] == ["Trail & Peak", "Cart", "Checkout", "Thank you"]
    assert views[0]["utm_source"] == "news"
    assert [view.get("referrer") for view in views] == [None] * 4
    assert (views[0]["device"], views[0]["locale"]) == ("desktop", "en-GB")
    assert len({event["session_id"] for event in events}) == 1
    assert len({event["anonymous_id"] for event in events}) == 1
    (search,) = [event["properties"] for event in events if event["event_type"] == "search"]
    assert (search["query"], search["results_count"]) == ("trail", 1)
    assert shop.api.get("/stats")["revenue"]["cents"] == 12990
    assert shop.api.get("/stats")["funnel"][-1] == {"step": "purchase", "sessions": 1}
    assert shop.complaints == []


def test_an_event_says_device_browser_and_system_as_a_user_agent_header_does(shop: Shop) -> None:
    touched = {MAC_SAFARI: ("tablet", "Safari", "iOS"), WINDOWS_CHROME: USER_AGENTS[WINDOWS_CHROME]}
    expected = [*USER_AGENTS.items(), *touched.items()]  # an iPad says Macintosh; who touches a PC has a PC
    emulation = shop.page.context.new_cdp_session(shop.page)

    for number, (user_agent, _) in enumerate(expected):
        points = 5 if number >= len(USER_AGENTS) else 0
        emulation.send("Emulation.setTouchEmulationEnabled", {"enabled": points > 0, "maxTouchPoints": points or 1})
        emulation.send("Emulation.setUserAgentOverride", {"userAgent": user_agent})
        shop.open(f"/{number}")

    told = {event["properties"]["page"]: words_of(event) for event in shop.wait_for(page_view=len(expected))}
    assert told == {f"/{number}": words for number, (_, words) in enumerate(expected)}


def words_of(event: dict[str, Any]) -> Told:
    device, browser, os = (event["properties"].get(name) for name in ("device", "browser", "os"))
    return device, browser, os


def test_the_shop_opened_as_a_file_sends_to_the_endpoint_in_its_address(
    tmp_path: Path, context: BrowserContext
) -> None:
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda line: faults.append(line.text) if line.type in ("error", "warning") else None)
    with platform(tmp_path) as api:
        page.goto(f"{(SHOP / 'shop.html').as_uri()}?endpoint={api.url}")
        page.get_by_role("button", name="Add to cart").first.click()
        page.get_by_role("link", name="Cart").click()
        expect(page.get_by_role("button", name="Remove")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("button", name="Add to cart")).to_have_count(3)
        page.go_forward()
        page.get_by_role("button", name="Check out").click()
        page.get_by_role("button", name="Pay").click()
        until(lambda: any(event["event_type"] == "purchase" for event in api.events()))
        until(lambda: api.get("/stats")["events_by_type"].get("page_view") == 4)

        pages = [event["properties"]["page"] for event in api.events() if event["event_type"] == "page_view"]
        assert pages == [(SHOP / "shop.html").as_posix(), "/cart", "/checkout", "/thanks"]
        told = {event["event_type"]: event["properties"]["page"] for event in api.events()}
        assert (told["add_to_cart"], told["checkout"], told["purchase"]) == ("/", "/cart", "/checkout")
        assert api.get("/stats")["funnel"][-1] == {"step": "purchase", "sessions": 1}
    assert faults == []


def test_a_link_to_the_shop_cannot_make_it_run_a_strangers_script(context: BrowserContext) -> None:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    context.route("**/tracker.js", lambda route: route.fulfill(body="", content_type="text/javascript"))

    for address in ("https://evil.test", "http://localhost.evil.test", "http://localhost:1@evil.test", "//evil.test"):
        page.goto(f"{(SHOP / 'shop.html').as_uri()}?endpoint={address}")
        expect(page.get_by_role("button", name="Add to cart")).to_have_count(3)

    assert {url for url in asked if url.startswith("http")} == {"http://localhost:3000/tracker.js"}


def test_what_happens_offline_arrives_once_when_the_network_is_back(shop: Shop, context: BrowserContext) -> None:
    shop.open()
    shop.wait_for(page_view=1)

    context.set_offline(True)
    shop.page.get_by_role("button", name="Add to cart").first.click()
    until(lambda: shop.waiting() == 2 and shop.failed)
    assert shop.types() == {"page_view": 1}
    context.set_offline(False)

    shop.wait_for(page_view=1, click=1, add_to_cart=1)
    assert shop.api.accounting()["duplicates"] == 0


def test_events_of_a_tab_closed_offline_are_sent_by_the_next_page(shop: Shop, context: BrowserContext) -> None:
    shop.open()
    shop.wait_for(page_view=1)
    context.set_offline(True)
    shop.page.evaluate("clickstream.track('signup', {plan: 'pro'})")
    until(lambda: shop.waiting() == 1 and shop.failed)
    shop.page.close()
    context.set_offline(False)

    shop.page = context.new_page()
    shop.open("/again")

    events = shop.wait_for(page_view=2, signup=1)
    assert len({event["session_id"] for event in events}) == 1


@pytest.mark.parametrize("fault", ["refusals", "losses"])
def test_an_answer_that_says_no_or_gets_lost_is_followed_by_the_same_events_again(shop: Shop, fault: str) -> None:
    setattr(shop.proxy, fault, 1)

    shop.open()

    shop.wait_for(page_view=1)
    assert shop.api.accounting()["duplicates"] == (1 if fault == "losses" else 0)


def test_an_event_on_leaving_the_page_is_sent_before_the_page_is_gone(shop: Shop) -> None:
    shop.open()
    shop.wait_for(page_view=1)

    shop.page.evaluate(
        "addEventListener('pagehide', () => 0); clickstream.track('goodbye'); location.href = 'about:blank'"
    )

    until(lambda: shop.types()["goodbye"] == 1)


def test_identify_names_the_person_until_reset(shop: Shop) -> None:
    shop.open()
    shop.page.evaluate("clickstream.identify(42, {plan: 'pro'}); clickstream.track('a'); clickstream.reset()")
    shop.page.evaluate("clickstream.track('b')")

    events = {event["event_type"]: event for event in shop.wait_for(page_view=1, identify=1, a=1, b=1)}

    assert (events["identify"]["user_id"], events["a"]["user_id"]) == ("42", "42")
    assert events["identify"]["properties"]["traits"] == {"plan": "pro"}
    assert "user_id" not in events["b"]
    assert events["b"]["anonymous_id"] != events["a"]["anonymous_id"]


def test_what_is_set_stands_in_every_event_of_the_page_and_what_a_call_says_comes_first(shop: Shop) -> None:
    shop.page.add_init_script(
        "clickstream = [['track', 'queued'], ['set', {site: 'docs', variant: 'a'}], ['set', {variant: 'b'}]]"
    )
    shop.open()
    shop.page.evaluate("clickstream.set({plan: 'pro'}); clickstream.track('own', {variant: 'c'})")
    shop.page.evaluate("clickstream.set({plan: undefined}); history.pushState(0, '', '/next')")

    events = shop.wait_for(page_view=2, queued=1, own=1)

    said = [[event["properties"].get(name) for name in ("site", "variant", "plan")] for event in events]
    assert said == [["docs", "b", None], ["docs", "b", None], ["docs", "c", "pro"], ["docs", "b", None]]
    assert [event["event_type"] for event in events] == ["page_view", "queued", "own", "page_view"]


def test_two_navigations_at_once_are_two_page_views_and_replacing_an_address_is_one(shop: Shop) -> None:
    shop.open("/start")

    shop.page.evaluate("history.pushState(0, '', '/login?utm_source=mail'); history.pushState(0, '', '/account')")
    shop.page.evaluate("history.replaceState(0, '', '/account?tab=2'); history.replaceState(0, '', '/orders')")

    events = shop.wait_for(page_view=4)
    views = [event["properties"] for event in events]
    assert [view["page"] for view in views] == ["/start", "/login", "/account", "/orders"]
    assert [view.get("utm_source") for view in views] == [None, "mail", None, None]


def test_tabs_agree_on_who_the_person_is(shop: Shop, context: BrowserContext) -> None:
    shop.open()
    shop.page.evaluate("clickstream.identify('alice')")
    other = context.new_page()
    other.goto(shop.url)

    def stored(page: Page) -> list[str | None]:
        found: list[str | None] = page.evaluate(
            "['user', 'device', 'session'].map((name) => localStorage[`clickstream:${name}`])"
        )
        return found

    other.evaluate("clickstream.reset(); clickstream.identify('bob')")
    until(lambda: stored(shop.page) == stored(other))  # the browser tells its processes one after the other
    shop.page.evaluate("clickstream.track('after_bob')")
    other.evaluate("clickstream.reset(); clickstream.track('nobody')")
    until(lambda: stored(shop.page) == stored(other))
    shop.page.evaluate("clickstream.track('after_reset')")

    events = shop.wait_for(page_view=2, identify=2, after_bob=1, nobody=1, after_reset=1)
    by_type = {event["event_type"]: event for event in events}
    assert by_type["after_bob"]["user_id"] == "bob"
    assert "user_id" not in by_type["after_reset"]
    assert by_type["after_reset"]["anonymous_id"] == by_type["nobody"]["anonymous_id"]
    assert by_type["after_reset"]["session_id"] == by_type["nobody"]["session_id"]


def test_where_nothing_more_can_be_stored_the_page_remembers(shop: Shop) -> None:
    shop.open()
    shop.wait_for(page_view=1)

    shop.page.evaluate(
        """localStorage.setItem('clickstream:session', 'old ' + (Date.now() - 31 * 60e3));
        Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };
        clickstream.identify('u'); clickstream.track('a')"""
    )

    events = {event["event_type"]: event for event in shop.wait_for(page_view=1, identify=1, a=1)}
    assert events["a"]["user_id"] == "u"
    assert events["a"]["session_id"] == events["identify"]["session_id"] != "old"


@pytest.mark.parametrize("broken", ["", "{", "null", "{}", "7"])
def test_a_broken_stored_event_spoils_no_other_one(shop: Shop, broken: str) -> None:
    shop.open("/shop.css")  # a page of the same origin without the tracker
    shop.page.evaluate("broken => localStorage.setItem('clickstream:event:0', broken)", broken)

    shop.open()

    shop.wait_for(page_view=1)
    assert shop.api.accounting()["rejected"] == 0


def test_what_cannot_be_sent_never_throws_into_the_page(shop: Shop) -> None:
    shop.open()
    faults: list[str] = []
    shop.page.on("pageerror", lambda fault: faults.append(str(fault)))

    shop.page.evaluate("const around = {}; around.it = around; clickstream.track('cyclic', around)")
    shop.page.evaluate("clickstream.track('huge', {count: 1n}); clickstream.track('good')")
    shop.page.evaluate(
        """const drawing = '<svg><a href="/in-svg?x=1" id="drawn"><text>go</text></a></svg>';
        document.body.insertAdjacentHTML('beforeend', drawing);
        const link = document.querySelector('#drawn');
        link.addEventListener('click', (event) => event.preventDefault());
        link.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"""
    )

    events = {event["event_type"]: event for event in shop.wait_for(page_view=1, good=1, click=1)}
    assert (events["click"]["properties"]["element"], events["click"]["properties"]["target"]) == ("drawn", "/in-svg")
    assert faults == []
    assert ["cyclic" in shop.complaints[0], "huge" in shop.complaints[1]] == [True, True]


@pytest.mark.parametrize(
    ("referrer", "kept"),
    [
        ("https://search.example/find?q=shoes#first", "https://search.example/find"),
        ("android-app://com.example.mail/", "android-app://com.example.mail/"),
        ("http://127.0.0.1.example/", "http://127.0.0.1.example/"),
        ("SHOP/start?x=1", None),
        ("http://127.0.0.1/", None),  # of another port: the lists know hosts
        ("", None),
    ],
)
def test_pages_of_the_site_itself_are_no_referrers(shop: Shop, referrer: str, kept: str | None) -> None:
    shop.page.add_init_script(
        f"Object.defineProperty(document, 'referrer', {{value: {referrer.replace('SHOP', shop.url)!r}}})"
    )
    shop.open("/landing")
    shop.page.evaluate("history.pushState(0, '', '/next')")
    shop.wait_for(page_view=2)
    shop.page.evaluate("clickstream.page()")

    views = [event["properties"] for event in shop.wait_for(page_view=3)]

    assert [(view["page"], view.get("referrer")) for view in views] == [
        ("/landing", kept),
        ("/next", None),
        ("/next", None),
    ]


def test_a_link_of_the_site_names_no_referrer_and_one_of_another_site_does(shop: Shop) -> None:
    elsewhere = shop.url.replace("127.0.0.1", "localhost")

    for start in (shop.url, elsewhere):
        shop.page.goto(f"{start}/shop.css")
        shop.page.evaluate(f"location.href = '{shop.url}/landing'")
        shop.page.wait_for_url("**/landing")

    views = [event["properties"] for event in shop.wait_for(page_view=2)]
    assert [view.get("referrer") for view in views] == [None, f"{elsewhere}/"]


def test_a_page_that_comes_back_does_not_name_itself_as_its_referrer(shop: Shop) -> None:
    shop.open("/start")
    shop.wait_for(page_view=1)

    shop.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    views = [event["properties"] for event in shop.wait_for(page_view=2)]
    assert [(view["page"], view.get("referrer")) for view in views] == [("/start", None), ("/start", None)]


def test_it_stores_what_the_documents_list_and_sends_neither_host_country_nor_query(shop: Shop) -> None:
    listed = re.findall(r"^\| `(clickstream:[a-z]+)", DOCUMENT, re.MULTILINE)
    stored = "Object.keys(localStorage).map(key => key.match(/^clickstream:[a-z]+/)[0]).sort()"
    shop.open("/pricing?plan=pro&utm_source=news")
    shop.page.evaluate("clickstream.identify('anna')")
    waiting = shop.page.evaluate(stored)
    shop.wait_for(page_view=1, identify=1)
    shop.page.evaluate("history.pushState(null, '', '/pricing/?plan=pro')")
    events = shop.wait_for(page_view=2, identify=1)

    assert set(waiting) == set(listed)
    assert shop.page.evaluate(stored) == ["clickstream:device", "clickstream:session", "clickstream:user"]
    assert shop.page.evaluate("[document.cookie, sessionStorage.length]") == ["", 0]
    said = [event["properties"] for event in events if event["event_type"] == "page_view"]
    assert [one["page"] for one in said] == ["/pricing", "/pricing/"]
    assert set(said[0]) == {"page", "title", "utm_source", "device", "browser", "os", "locale"}
    assert {row["page"] for row in shop.api.get("/analytics/top_pages")["rows"]} == {"/pricing", "/pricing/"}


def test_what_a_server_sends_with_the_session_of_the_page_is_in_one_visit_with_it(shop: Shop) -> None:
    (expression,) = re.findall("^```js session\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    shop.open()
    shop.page.evaluate("clickstream.identify('anna')")
    shop.wait_for(page_view=1, identify=1)
    signup = {"event_type": "signup", "user_id": "anna"}

    def funnel() -> list[int]:
        rows = shop.api.get("/analytics/funnel", steps="page_view,signup")["rows"]
        return [row["sessions"] for row in rows]

    requests.post(f"{shop.api.url}/events", json=signup, timeout=10)
    assert funnel() == [1, 0]
    session_id = shop.page.evaluate(expression)
    requests.post(f"{shop.api.url}/events", json={**signup, "session_id": session_id}, timeout=10)
    assert funnel() == [1, 1]


def test_a_session_ends_after_30_minutes_without_an_event(shop: Shop) -> None:
    shop.page.clock.install()
    shop.open()
    shop.page.clock.run_for(1_000)
    shop.page.evaluate("clickstream.track('a')")
    shop.page.clock.run_for(29 * 60_000)
    shop.page.evaluate("clickstream.track('b')")
    shop.page.clock.run_for(31 * 60_000)
    shop.page.evaluate("clickstream.track('c')")

    def sent() -> bool:
        shop.page.clock.run_for(500)
        return shop.types()["c"] == 1

    until(sent)

    sessions = {event["event_type"]: event["session_id"] for event in shop.api.events()}
    assert sessions["a"] == sessions["b"] != sessions["c"]


def test_a_visitor_who_says_no_leaves_no_trace_when_the_site_asks_for_that(shop: Shop) -> None:
    shop.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")

    shop.open(attributes="data-respect-dnt")
    shop.page.evaluate("clickstream.track('a'); clickstream.identify('u')")
    shop.page.get_by_role("button", name="Add to cart").first.click()

    assert shop.page.evaluate("Object.keys(localStorage)") == []
    shop.open()
    shop.wait_for(page_view=1)


def test_ones_own_visits_leave_no_trace(shop: Shop) -> None:
    shop.open()
    shop.wait_for(page_view=1)
    (ignore, count) = re.findall(r"`([^`]*localStorage\[\"clickstream:ignore\"\][^`]*)`", DOCUMENT)
    shop.page.evaluate("localStorage.clear()")
    shop.page.evaluate(ignore)

    shop.open("/ignored")
    shop.page.evaluate("clickstream.track('ignored'); clickstream.identify('me'); clickstream.flush()")
    shop.page.get_by_role("button", name="Add to cart").first.click()
    stored = shop.page.evaluate("Object.keys(localStorage)")
    shop.page.evaluate(count)
    shop.open("/counted")

    assert stored == ["clickstream:ignore"]
    assert [event["properties"]["page"] for event in shop.wait_for(page_view=2)] == ["/", "/counted"]


def test_clicks_can_be_left_out(shop: Shop) -> None:
    shop.open(attributes="data-no-clicks")
    shop.page.get_by_role("button", name="Add to cart").first.click()

    shop.wait_for(page_view=1, add_to_cart=1)


def test_a_page_without_storage_is_tracked_all_the_same(shop: Shop) -> None:
    shop.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('forbidden'); }})"
    )

    shop.open()
    shop.page.evaluate("clickstream.track('a')")

    until(lambda: shop.types() == {"page_view": 1, "a": 1})
    assert len({event["anonymous_id"] for event in shop.api.events()}) == 1
