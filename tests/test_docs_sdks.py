"""The blocks of docs/sdks.md run as they stand: each brings one order to the API."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python
from tests.support.site import site
from tests.support.waiting import until

SDK = ROOT / "tests" / "sdk"
TEXT = (ROOT / "docs" / "sdks.md").read_text()
BLOCK = re.compile(r"^## (?P<heading>[^\n]+)\n|^```(?P<kind>[a-z]+(?: [a-z]+)?)\n(?P<code>.*?)^```", re.M | re.S)

pytestmark = pytest.mark.sdk


def blocks() -> list[tuple[str, str, str]]:
    """Heading, kind and code of every block."""
    found, heading = [], ""
    for match in BLOCK.finditer(TEXT):
        heading = match["heading"] or heading
        if match["kind"]:
            found.append((heading, match["kind"], match["code"]))
    return found


def of_kind(kind: str) -> list[object]:
    return [pytest.param(code, id=heading.replace(" ", "-")) for heading, one, code in blocks() if one == kind]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


def here(code: str, api: Platform) -> str:
    assert "http://localhost:3000" in code
    return code.replace("http://localhost:3000", api.url)


def assert_one_order(api: Platform, *, session_id: str | None = None) -> None:
    until(lambda: "purchase" in {event["event_type"] for event in api.events()})
    (order,) = [event for event in api.events() if event["event_type"] == "purchase"]
    assert order["user_id"] == "user_1"
    assert (order["properties"]["order_id"], order["properties"]["total"]) == ("o-1", 25.5)
    if session_id is not None:
        assert order["session_id"] == session_id
    assert api.accounting()["rejected"] == 0


@pytest.mark.parametrize("code", of_kind("python"))
def test_a_python_block_brings_an_order(code: str, api: Platform) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", here(code, api)], check=True, timeout=60)

    assert_one_order(api, session_id="session_abc")


@pytest.mark.parametrize("code", of_kind("js node"))
def test_a_node_block_brings_an_order(code: str, api: Platform) -> None:
    command = ["node", "--input-type=module", "-e", here(code, api)]
    with subprocess.Popen(command, cwd=SDK) as process:
        try:
            assert_one_order(api, session_id="session_abc")
        finally:
            process.kill()


@pytest.mark.browser
@pytest.mark.parametrize("code", of_kind("js browser"))
def test_a_browser_block_brings_an_order(code: str, api: Platform, browser: Browser, tmp_path: Path) -> None:
    # posthog-js sends nothing from an automated browser unless told so.
    code = here(code, api).replace("{ api_host:", "{ opt_out_useragent_filter: true, api_host:")
    bundle = tmp_path / "sdk.js"
    command = [SDK / "node_modules/.bin/esbuild", "--bundle", "--log-level=error", f"--outfile={bundle}"]
    subprocess.run(command, input=code.encode(), cwd=SDK, check=True, timeout=60)

    assert_brought(bundle.read_bytes(), "<title>Shop</title>", api, browser)


@pytest.mark.browser
def test_the_tracker_blocks_bring_an_order(api: Platform, browser: Browser) -> None:
    (tag,) = [code for _, kind, code in blocks() if kind == "html"]
    (queue,) = [code for _, kind, code in blocks() if kind == "html queue"]
    (calls,) = [code for _, kind, code in blocks() if kind == "js tracker"]

    assert_brought(calls.encode(), f"<title>Shop</title>{queue}{here(tag, api)}", api, browser)

    events = api.events()
    types = {"page_view", "identify", "banner_seen", "newsletter_signed_up", "search", "add_to_cart", "checkout"}
    assert types <= {event["event_type"] for event in events}
    assert {event["properties"]["site"] for event in events} == {"docs"}


def assert_brought(script: bytes, head: str, api: Platform, browser: Browser) -> None:
    def pages(path: str) -> tuple[str, bytes] | None:
        if path == "/shop.js":
            return "text/javascript", script
        return "text/html", f"<!doctype html>{head}<script defer src=shop.js></script>".encode()

    with site(pages) as url:
        page = browser.new_page()
        try:
            page.goto(url)
            until(lambda: page.wait_for_timeout(20) or "purchase" in {event["event_type"] for event in api.events()})
        finally:
            page.close()
    assert_one_order(api)


def test_the_pytest_block_passes(tmp_path: Path) -> None:
    (code,) = [code for _, kind, code in blocks() if kind == "python pytest"]
    (tmp_path / "test_shop.py").write_text(code)

    done = subprocess.run(
        python("-m", "pytest", "-q", "-p", "clickstream.testing", "-p", "no:cacheprovider", "--rootdir", "."),
        cwd=tmp_path,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_tested_releases_are_those_that_are_installed() -> None:
    pinned = pinned_releases()

    assert [name for name, release in pinned.items() if f"{name} {release}" not in TEXT] == []


def test_every_sdk_has_a_line_that_installs_its_tested_release() -> None:
    commands = [line.split()[2:] for line in TEXT.splitlines() if line.startswith(("pip install ", "npm install "))]

    named = dict(re.split("==|(?<!^)@", word) for command in commands for word in command)

    assert named == pinned_releases()


def pinned_releases() -> dict[str, str]:
    pinned: dict[str, str] = json.loads((SDK / "package.json").read_text())["dependencies"]
    pinned.pop("esbuild")
    for name in ("segment-analytics-python", "rudder-sdk-python", "posthog", "snowplow-tracker"):
        pinned[name] = version(name)
    return pinned
