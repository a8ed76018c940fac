"""What the page may cost: requests, bytes, layout shift, paint, main thread; and what lighthouse says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import CDPSession, Page, expect

from tests.browser import audits
from tests.browser.cost import busy_ms
from tests.support.dashboards import dashboard
from tests.support.shop import visits

pytestmark = [pytest.mark.browser, pytest.mark.measures]

REFRESHES = 10
# One percent of a core is 20 ms of a poll, of which the dashboard's process takes 4. Machines, and hours of one
# machine, differ by a factor of two, so the page is weighed against work of the same kind in the same page: 1.25 to 1.3
# times that, up to 1.7 in a bad run. Here the page asks each second instead of every other, and works a tenth less
# between two refreshes: a tenth is taken off what it may cost.
MOST_REFERENCES_PER_REFRESH = 1.9
REFERENCE = """() => {
  const rows = Array.from({length: 2000}, (_, n) => ({id: n, name: `row ${n}`, page: `/p/${n % 50}`, at: n * 1.5}));
  for (let round = 0; round < 10; round++) {
    const again = JSON.parse(JSON.stringify(rows)).sort((a, b) => b.page.localeCompare(a.page));
    const counts = new Map();
    for (const row of again) counts.set(row.page, (counts.get(row.page) ?? 0) + row.at);
  }
}"""
LEAST_SCORE = 0.98
LIGHTHOUSE_RUNS = 3  # the best counts: what else the machine does can only lower a score, see also audits.slowdown


def watch_paint(tab: Page) -> None:
    tab.add_init_script(
        "window.shift = 0; window.paint = 0;"
        "new PerformanceObserver((list) => list.getEntries()"
        ".forEach((e) => { if (!e.hadRecentInput) shift += e.value; }))"
        ".observe({type: 'layout-shift', buffered: true});"
        "new PerformanceObserver((list) => list.getEntries().forEach((e) => { paint = e.startTime; }))"
        ".observe({type: 'largest-contentful-paint', buffered: true});"
    )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_load_is_small_quick_and_steady(
    busy_hour: tuple[str, str], tab: Page, width: int, height: int
) -> None:
    api_url, url = busy_hour
    watch_paint(tab)
    tab.set_viewport_size({"width": width, "height": height})
    if width < 500:  # a phone paints before the numbers are drawn: what they move is seen
        tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    requested: list[str] = []
    tab.on("request", lambda request: requested.append(request.url))
    requests.get(f"{url}/api/stats", timeout=10)

    tab.goto(url, wait_until="networkidle")
    expect(tab.locator("#value-events")).not_to_have_text("\N{EN DASH}")
    first = [address for address in requested if "/api/stats" not in address]
    requests.post(f"{api_url}/events", json={"event_type": "click", "user_id": "u", "session_id": "s"}, timeout=10)
    with tab.expect_response("**/api/stats*"):
        pass
    tab.wait_for_timeout(600)  # what a refresh moves would have moved by then

    assert len(first) <= 10, first
    assert tab.evaluate("shift") <= 0.02
    assert width < 500 or 0 < tab.evaluate("paint") <= 1000


@pytest.fixture
def hasty(busy_hour: tuple[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of the same API, and of a dashboard before it that asks it each second."""
    api_url, _ = busy_hour
    with dashboard(tmp_path, api_url, POLL_INTERVAL_S="1") as url:
        yield api_url, url


def test_a_refresh_costs_little_of_the_main_thread(hasty: tuple[str, str], tab: Page) -> None:
    api_url, url = hasty
    tab.goto(url)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time, not that of a busy machine
    later = visits(80, until=datetime.now(timezone.utc) + timedelta(minutes=1), minutes=1, seed=11)

    def refresh(number: int) -> None:
        batch = later[number * 8 : number * 8 + 8]
        requests.post(f"{api_url}/events", json=batch, timeout=10)
        with tab.expect_response(lambda answer: "/api/stats" in answer.url and answer.status == 200):
            pass

    refresh(0)
    references = [reference_ms(tab, session) for _ in range(4)]
    start = busy_ms(session)
    for number in range(1, REFRESHES + 1):
        refresh(number)
    per_refresh_ms = (busy_ms(session) - start) / REFRESHES
    references += [reference_ms(tab, session) for _ in range(3)]

    assert per_refresh_ms <= MOST_REFERENCES_PER_REFRESH * min(references)


def reference_ms(tab: Page, session: CDPSession) -> float:
    start = busy_ms(session)
    tab.evaluate(REFERENCE)
    return busy_ms(session) - start


@audits.needed
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_lighthouse_finds_next_to_nothing(busy_hour: tuple[str, str], tmp_path: Path, phone: bool) -> None:
    _, url = busy_hour
    requests.get(f"{url}/api/stats", timeout=10)
    findings: list[str] = []
    slowdown = audits.DEFAULT_SLOWDOWN
    for _ in range(LIGHTHOUSE_RUNS):
        try:
            report = audits.lighthouse(url, tmp_path / "report.json", phone=phone, slowdown=slowdown)
        except audits.AuditBrokeOff as broken:  # of the browser it starts, say: no verdict on the page
            findings.append(str(broken))
            continue
        scores = {name: category["score"] for name, category in report["categories"].items()}
        if min(scores.values()) >= LEAST_SCORE:
            return
        findings.append(f"{scores} at {slowdown:.2f} times slower: {below_par(report)}")
        slowdown = audits.slowdown(report)
    pytest.fail("\n".join(findings))


def below_par(report: dict[str, Any]) -> list[str]:
    return [
        f"{audit['id']}: {audit['title']} {audit.get('displayValue', '')}"
        for audit in report["audits"].values()
        if audit["score"] is not None and audit["score"] < 0.9
    ]
