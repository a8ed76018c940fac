"""Real browser SDKs in Chromium on a page of another origin, with the real API behind a proxy that fails."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.faults import FaultyProxy, faulty_proxy
from tests.support.platform import Platform, platform
from tests.support.site import site
from tests.support.waiting import until

SDK = Path(__file__).parent / "sdk"
NAMES = ["segment", "posthog", "snowplow", "aws_clickstream"]
IDENTIFY = {"aws_clickstream": "profile_set"}

pytestmark = [pytest.mark.sdk, pytest.mark.browser]


@pytest.fixture(scope="module")
def website(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One page per SDK under /<name>/shoes, with the SDK bundled as its users do."""
    bundles = tmp_path_factory.mktemp("bundles")
    for name in NAMES:
        command = [SDK / "node_modules/.bin/esbuild", f"browser/{name}.js", "--bundle", "--log-level=error"]
        subprocess.run([*command, f"--outfile={bundles}/{name}.js"], cwd=SDK, check=True, timeout=60)

    def pages(path: str) -> tuple[str, bytes] | None:
        name, _, rest = path[1:].partition("/")
        if rest == "sdk.js":
            return "text/javascript", (bundles / f"{name}.js").read_bytes()
        return "text/html", b"<!doctype html><title>Shoes</title><h1>Shoes</h1><script src=sdk.js></script>"

    with site(pages) as url:
        yield url


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


def visit(browser: Browser, website: str, name: str, api: Platform, proxy: FaultyProxy) -> None:
    """Open the page of SDK `name` and stay until its events have arrived; then check them."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{website}/{name}/shoes?api={proxy.url}")

    def arrived() -> bool:
        page.wait_for_timeout(20)  # lets the browser's own events through
        return {"page_view", "add_to_cart", "purchase", IDENTIFY.get(name, "identify")} <= set(types(api))

    try:
        until(arrived, timeout_s=30)
    finally:
        context.close()
    check(name, api)


def types(api: Platform) -> Counter[str]:
    return Counter(event["event_type"] for event in api.events())


def check(name: str, api: Platform) -> None:
    events: dict[str, dict[str, Any]] = {event["event_type"]: event for event in api.events()}
    found = types(api)
    assert [found[kind] for kind in ("page_view", "add_to_cart", "purchase")] == [1, 1, 1]
    assert events["page_view"]["properties"]["page"] == f"/{name}/shoes"
    assert events["page_view"]["properties"]["title"] == "Shoes"
    assert events["purchase"]["user_id"] == "user_1"
    order = events["purchase"]["properties"]
    assert (order["order_id"], order["total"], order["currency"], order["device"]) == ("o-1", 25.5, "EUR", "desktop")
    assert len({event["event_id"] for event in api.events()}) == sum(found.values())
    assert len({event["anonymous_id"] for event in events.values()}) == 1
    assert api.accounting()["rejected"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_each_event_of_a_browser_sdk_arrives_once(browser: Browser, website: str, name: str, api: Platform) -> None:
    with faulty_proxy(api.url) as proxy:
        visit(browser, website, name, api, proxy)

    assert api.accounting()["duplicates"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_sdk_sends_again_after_a_503(browser: Browser, website: str, name: str, api: Platform) -> None:
    with faulty_proxy(api.url) as proxy:
        proxy.refusals = 1

        visit(browser, website, name, api, proxy)

        assert len(proxy.refused) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_browser_sdk_whose_answer_got_lost_sends_again_without_a_duplicate(
    browser: Browser, website: str, name: str, api: Platform
) -> None:
    with faulty_proxy(api.url) as proxy:
        proxy.losses = 1

        visit(browser, website, name, api, proxy)

        assert len(proxy.lost) == 1
