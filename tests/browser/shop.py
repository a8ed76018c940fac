"""A platform with its page, and what tests do on it."""

from __future__ import annotations

from typing import Any

import requests
from playwright.sync_api import Page, expect

UNKNOWN = "\N{EN DASH}"


class Shop:
    """A platform with a dashboard before it."""

    def __init__(self, api_url: str, url: str) -> None:
        self.api_url = api_url
        self.url = url

    def send(self, *events: dict[str, Any], status: int = 202) -> None:
        """Post events; they may be bad ones."""
        answer = requests.post(f"{self.api_url}/events", json=list(events), timeout=10)
        assert answer.status_code == status, answer.text


def view(event_type: str = "page_view", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"event_type": event_type, "user_id": "u", "session_id": "s", **fields}


def show(tab: Page, url: str) -> None:
    """Open the page and wait until it has numbers."""
    tab.goto(url)
    expect(tab.locator("#value-events")).not_to_have_text(UNKNOWN)


def look_at(tab: Page, selector: str) -> None:
    """Bring a part into sight: charts and recent events are drawn only there."""
    tab.locator(selector).scroll_into_view_if_needed()


def text(tab: Page, selector: str) -> str:
    return (tab.locator(selector).text_content() or "").strip()
