"""What an open page costs: `python -m tests.browser.cost 60` watches it for that many seconds at each place.

An hour of visits lies behind it, and as many events a second go on arriving as they happen: ten a second.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import requests
from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.support.chromium import launch
from tests.support.dashboards import dashboard_process
from tests.support.platform import platform
from tests.support.shop import stamp, visits

POLL_S: Final = 2
VISITS: Final = 9_000  # of an hour: ten events a second
BATCH_EVERY_S: Final = 0.25
PLACES: Final = {"the cards and charts": "#dashboard", "the recent events": "#panel-feed"}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright, platform(Path(name)) as api:
        past = visits(VISITS, until=datetime.now(timezone.utc), minutes=60)
        for start in range(0, len(past), 1000):
            requests.post(f"{api.url}/events", json=past[start : start + 1000], timeout=60).raise_for_status()
        browser = launch(playwright)
        with dashboard_process(Path(name), api.url) as (url, process), going_on(api.url, past):
            for place, selector in PLACES.items():
                tab = browser.new_page(viewport={"width": 1440, "height": 900})
                tab.goto(url)
                tab.wait_for_timeout(2000)  # until all is there
                tab.evaluate("selector => document.querySelector(selector).scrollIntoView()", selector)
                tab.wait_for_timeout(2 * POLL_S * 1000)
                page_ms, process_ms = watch(tab, process.pid, seconds)
                share = (page_ms + process_ms) / (POLL_S * 1000)
                cost = f"page {page_ms:.1f} ms and process {process_ms:.1f} ms a poll, {share:.2%} of a core"
                sys.stdout.write(f"{place}: {cost}\n")
                tab.close()
        browser.close()


@contextmanager
def going_on(api_url: str, events: list[dict[str, Any]]) -> Iterator[None]:
    """Send as many of `events` a second as fill an hour, each as if it happened now, until the block ends."""
    over = threading.Event()

    def send() -> None:
        began, sent = time.monotonic(), 0
        while not over.wait(BATCH_EVERY_S):
            due = int((time.monotonic() - began) * len(events) / 3600)
            now = stamp(datetime.now(timezone.utc))
            batch = [{**event, "event_id": None, "timestamp": now} for event in events[sent:due]]
            if batch:
                requests.post(f"{api_url}/events", json=batch, timeout=10).raise_for_status()
            sent = due

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def watch(tab: Page, pid: int, seconds: float) -> tuple[float, float]:
    """Milliseconds of the page's main thread and of the process for each poll, while nothing else is done."""
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # CPU time, not that of a busy machine
    began, page_ms, process_ms = time.monotonic(), busy_ms(session), processor_ms(pid)
    tab.wait_for_timeout(seconds * 1000)
    polls = (time.monotonic() - began) / POLL_S
    return (busy_ms(session) - page_ms) / polls, (processor_ms(pid) - process_ms) / polls


def busy_ms(session: CDPSession) -> float:
    """How long the page's main thread has worked."""
    found: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(metric["value"]) for metric in found if metric["name"] == "TaskDuration")


def processor_ms(pid: int) -> float:
    """How long a process has worked, all of its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
