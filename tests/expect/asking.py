"""Sending events to a platform and expecting them there."""

from __future__ import annotations

from typing import Any

import requests

from tests.support.platform import Platform


def send(api: Platform, *events: object, test_id: str | None = None) -> int:
    headers = {"X-Clickstream-Test-Id": test_id} if test_id else {}
    return requests.post(f"{api.url}/events", json=list(events), headers=headers, timeout=5).status_code


def expect(api: Platform, **parameters: str) -> tuple[int, Any]:
    answer = requests.get(f"{api.url}/expect", params=parameters, timeout=15)
    return answer.status_code, answer.json()


def purchase(**properties: object) -> dict[str, object]:
    return {"event_type": "purchase", "user_id": "u-1", "properties": properties}
