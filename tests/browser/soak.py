"""A day of the page in minutes: `python -m tests.browser.soak 5000` prints what it holds after each tenth of them.

The page is the real one before a real API's first numbers; only its pause is shortened, and each answer to a poll is
the one before with more of everything: events, types, currencies, minutes, refusals, and now and then a failure.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import requests
from playwright.sync_api import CDPSession, Page, Route, expect, sync_playwright

from tests.support.chromium import launch
from tests.support.dashboards import dashboard
from tests.support.platform import platform
from tests.support.shop import stamp, visits

PAUSE_S: Final = 0.01
NEW_EVENTS: Final = 12  # of the 50 shown at each refresh
REFRESHES_A_MINUTE: Final = 30
MOST_TYPES: Final = 200
SCRIPT_KINDS: Final = {"object", "array", "closure", "string", "concatenated string", "sliced string", "number"}


@dataclass(frozen=True)
class Holds:
    """What the page holds once all it no longer needs has been collected; `script_bytes` without compiled code."""

    refreshes: int
    script_bytes: int
    nodes: int
    listeners: int


class Day:
    """Answers to polls, each later than the one before."""

    def __init__(self, first: dict[str, Any], types: int) -> None:
        self.answered = 0
        self._waiting: list[Route] | None = None  # polls that are answered later, while the page is looked at
        self._types = types
        self._stats = deepcopy(first)
        self._now = datetime.fromisoformat(first["generated_at"].replace("Z", "+00:00"))

    def answer(self, route: Route) -> None:
        """Fulfil the poll, or let it wait."""
        if self._waiting is not None:
            self._waiting.append(route)
            return
        self.answered += 1
        if self.answered % 97 == 0:
            problem = {"state": "unreachable", "problem": {"message": "nothing answers"}, "read_at": None}
            body = {"error": {"code": "unavailable", "message": "nothing answers"}, "dashboard": problem}
            route.fulfill(status=503, json=body)
            return
        self._go_on()
        route.fulfill(json=self._stats, headers={"ETag": f'W/"{self.answered}"', "X-Snapshot-Age-Ms": "0"})

    @contextmanager
    def stands_still(self) -> Iterator[None]:
        """No poll is answered in the block: a page that draws always keeps the rows that it has just replaced."""
        self._waiting = []
        yield
        waiting, self._waiting = self._waiting, None
        for route in waiting:
            self.answer(route)

    def _go_on(self) -> None:
        stats, number = self._stats, self.answered
        self._now += timedelta(seconds=60 / REFRESHES_A_MINUTE)
        stats["total_events"] += NEW_EVENTS
        custom = f"custom_{number // 4 % self._types}"  # soon more than the legend lists
        kind = custom if number % 4 == 0 else ("page_view", "click", "purchase")[number % 3]
        types = stats["events_by_type"]
        types[kind] = types.get(kind, 0) + NEW_EVENTS
        for step in stats["funnel"]:
            step["sessions"] += 1
        stats["revenue"]["cents"] += 1999
        stats["revenue"]["currency"] = ("USD", "EUR", f"X{number % 500:03}")[number % 3]
        stats["accounting"]["received"] += NEW_EVENTS + 1
        stats["accounting"]["accepted"] += NEW_EVENTS
        stats["accounting"]["rejected"] += 1
        stats["rejected_by_code"][f"code_{number % 60}"] = number
        rows = stats["top"]["pages"]
        rows.insert(0, rows.pop() | {"value": f"/page/{number}", "count": rows[0]["count"] + 1})
        fresh = [self._event(kind, index) for index in range(NEW_EVENTS)]
        stats["recent_events"] = [*reversed(fresh), *stats["recent_events"]][:50]
        points = stats["series"]["points"]
        if number % REFRESHES_A_MINUTE == 0:
            points.append(points.pop(0) | {"start": stamp(self._now.replace(second=0, microsecond=0))})
        points[-1]["events"] = number % 400
        stats["window"]["to"] = stats["generated_at"] = stamp(self._now)

    def _event(self, kind: str, index: int) -> dict[str, Any]:
        name = f"{self.answered}-{index}"
        moment = stamp(self._now)
        properties = {"page": f"/page/{name}", "total": self.answered, "note": "x" * (self.answered % 300)}
        return {
            "event_id": name,
            "event_type": kind,
            "user_id": f"user-{name}",
            "session_id": f"session-{name}",
            "timestamp": moment,
            "received_at": moment,
            "properties": properties,
        }


def soak(tab: Page, url: str, refreshes: int, *, readings: int, types: int = MOST_TYPES) -> list[Holds]:
    """What the page held `readings` times on the way to `refreshes`, while a reader uses it; `types` are custom."""
    first = requests.get(f"{url}/api/stats", timeout=10).json()
    day = Day(first, types)

    def hurried(route: Route) -> None:
        answer = route.fetch()
        page = answer.text().replace('data-poll-interval-s="2"', f'data-poll-interval-s="{PAUSE_S}"')
        assert str(PAUSE_S) in page
        route.fulfill(response=answer, body=page)

    tab.route(f"{url}/", hurried)
    tab.route("**/api/stats*", day.answer)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")
    tab.goto(f"{url}/")
    found = []
    for reading in range(readings):
        _use(tab)
        target = refreshes * (reading + 1) // readings
        while day.answered < target:
            tab.wait_for_timeout(50)
        with day.stands_still():
            found.append(_holds(tab, session, day.answered))
    return found


def _use(tab: Page) -> None:
    """What a reader does, and undoes: everything that makes nodes."""
    tab.locator("#series-types").click()
    tab.locator("#legend button").first.click()
    for _ in range(2):
        tab.get_by_role("button", name="Show as table").first.click()
    tab.wait_for_timeout(100)
    for _ in range(2):
        tab.get_by_role("button", name="Show as chart").first.click()
    tab.locator("#notice-action").click()
    tab.locator("#series-total").click()
    tab.locator("#theme").click()
    tab.locator("#search").fill("purchase")
    tab.locator("#search").fill("")
    tab.locator("#pause").click()
    tab.locator("#feed .row-open").first.click()
    expect(tab.locator("#sheet pre")).to_be_visible()
    tab.keyboard.press("Escape")
    tab.locator("#pause").click()


def _holds(tab: Page, session: CDPSession, refreshes: int) -> Holds:
    counted = []
    for _ in range(8):  # what one collection has freed may have kept more
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: int(metric["value"]) for metric in metrics}
        counted.append((values["Nodes"], values["JSEventListeners"]))
        tab.wait_for_timeout(100)
    nodes, listeners = map(min, zip(*counted, strict=True))
    return Holds(refreshes, min(_script_bytes(session) for _ in range(2)), nodes, listeners)


def _script_bytes(session: CDPSession) -> int:
    """Size of what scripts have made; how much code is compiled, and when, depends on how busy the machine is."""
    chunks: list[str] = []

    def keep(event: dict[str, str]) -> None:
        chunks.append(event["chunk"])

    session.send("HeapProfiler.collectGarbage")
    session.on("HeapProfiler.addHeapSnapshotChunk", keep)
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    session.remove_listener("HeapProfiler.addHeapSnapshotChunk", keep)
    snapshot = json.loads("".join(chunks))
    meta, nodes = snapshot["snapshot"]["meta"], snapshot["nodes"]
    fields, kinds = meta["node_fields"], meta["node_types"][0]
    of_kind, of_size, width = fields.index("type"), fields.index("self_size"), len(fields)
    sizes = zip(nodes[of_kind::width], nodes[of_size::width], strict=True)
    return sum(size for kind, size in sizes if kinds[kind] in SCRIPT_KINDS)


def main(refreshes: int) -> int:
    """Print ten readings."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = launch(playwright)
        with platform(Path(name)) as api, dashboard(Path(name), api.url) as url:
            requests.post(f"{api.url}/events", json=visits(200, until=datetime.now(timezone.utc)), timeout=20)
            for holds in soak(browser.new_page(), url, refreshes, readings=10):
                sys.stdout.write(f"{json.dumps(holds.__dict__)}\n")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
