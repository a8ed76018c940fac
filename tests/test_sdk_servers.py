"""Real Python and Node SDKs, unchanged but for their host, with the real API behind a proxy that fails."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import faulty_proxy
from tests.support.platform import Platform, platform

SENDERS = Path(__file__).parent / "sdk"

pytestmark = pytest.mark.sdk


def run(name: str, url: str) -> None:
    """Let one sender program send its five events to `url` and end by itself."""
    python = [sys.executable, "-W", "ignore", f"send_{name}.py"]
    command = ["node", f"send_{name}.mjs"] if name.endswith("_node") else python
    done = subprocess.run([*command, url], cwd=SENDERS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


PYTHON = ["segment", "rudderstack", "posthog", "snowplow"]
PACKAGES = [*PYTHON, *(f"{name}_node" for name in PYTHON)]
EXPECTED = {"page_view": 2, "add_to_cart": 1, "identify": 1, "purchase": 1}


def assert_sent_once(events: list[dict[str, Any]]) -> None:
    assert Counter(event["event_type"] for event in events) == EXPECTED
    assert {event["user_id"] for event in events} == {"user_1"}
    (order,) = [event for event in events if event["event_type"] == "purchase"]
    assert (order["properties"]["order_id"], order["properties"]["total"]) == ("o-1", 25.5)
    assert "/shoes" in [event["properties"].get("page") for event in events]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


@pytest.mark.parametrize("name", PACKAGES)
def test_each_event_of_a_real_sdk_arrives_once_with_its_type_user_page_and_revenue(name: str, api: Platform) -> None:
    run(name, api.url)

    assert_sent_once(api.events())
    assert api.accounting() == {"received": 5, "accepted": 5, "duplicates": 0, "rejected": 0}
    assert api.get("/stats")["revenue"]["cents"] == 2550


@pytest.mark.parametrize("name", PACKAGES)
def test_a_real_sdk_sends_again_after_a_503(name: str, api: Platform) -> None:
    with faulty_proxy(api.url) as proxy:
        proxy.refusals = 1

        run(name, proxy.url)

        assert len(proxy.refused) == 1
    assert_sent_once(api.events())


@pytest.mark.parametrize("name", PACKAGES)
def test_a_real_sdk_whose_answer_got_lost_sends_again_without_a_duplicate(name: str, api: Platform) -> None:
    with faulty_proxy(api.url) as proxy:
        proxy.losses = 1

        run(name, proxy.url)

        assert len(proxy.lost) == 1
    assert_sent_once(api.events())
    assert api.accounting()["duplicates"] > 0
