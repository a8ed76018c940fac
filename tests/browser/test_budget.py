"""What the page may cost: requests, bytes, layout shift, paint, main thread; and what lighthouse says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import CDPSession, Page, expect

from tests.browser import audits
from tests.support.shop import visits

pytestmark = [pytest.mark.browser, pytest.mark.measures]

REFRESHES = 10
# One percent of a core is 20 ms of a poll: 13 to 17 here, 5 in the dashboard's process, when the machine does nothing
# else. Beside other work caches are cold, and the same work takes up to half as long again.
MAIN_THREAD_MS_PER_REFRESH = 25
LEAST_SCORE = 0.98
LIGHTHOUSE_RUNS = 3  # the best counts: what else the machine does can only lower a score


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


def test_a_refresh_costs_little_of_the_main_thread(busy_hour: tuple[str, str], tab: Page) -> None:
    api_url, url = busy_hour
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
    start = busy_ms(session)
    for number in range(1, REFRESHES + 1):
        refresh(number)
    per_refresh_ms = (busy_ms(session) - start) / REFRESHES

    assert per_refresh_ms <= MAIN_THREAD_MS_PER_REFRESH


def busy_ms(session: CDPSession) -> float:
    found: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(metric["value"]) for metric in found if metric["name"] == "TaskDuration")


@audits.needed
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_lighthouse_finds_next_to_nothing(busy_hour: tuple[str, str], tmp_path: Path, phone: bool) -> None:
    _, url = busy_hour
    requests.get(f"{url}/api/stats", timeout=10)
    for _ in range(LIGHTHOUSE_RUNS):
        report = audits.lighthouse(url, tmp_path / "report.json", phone=phone)
        scores = {name: category["score"] for name, category in report["categories"].items()}
        if min(scores.values()) >= LEAST_SCORE:
            return
    failed = [
        f"{audit['id']}: {audit['title']} {audit.get('displayValue', '')}"
        for audit in report["audits"].values()
        if audit["score"] is not None and audit["score"] < 0.9
    ]
    pytest.fail(f"{scores}: {failed}")
