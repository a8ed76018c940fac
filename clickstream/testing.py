"""A pytest plugin: `pytest -p clickstream.testing` gives tests a running platform of their own.

def test_checkout_is_tracked(clickstream_api):
    shop.buy("SKU-1", tracker_url=clickstream_api.url)
    (event,) = clickstream_api.expect(event_type="purchase", property={"total": 25.5})
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from clickstream.client.expecting import direct, expect, report
from clickstream.place import scripts
from clickstream.ports import free_port
from clickstream.query import written

# The settings go in as an argument: the test's own environment neither leaks in nor is changed.
_LAUNCH: Final = "import json, sys, config, local_api; local_api.run(config.load(json.loads(sys.argv[1])))"
_START_TIMEOUT_S: Final = 20.0


class ClickstreamApi:
    """A running platform: send to `url`, then `expect` what should have arrived."""

    def __init__(self, url: str, test_id: str | None = None) -> None:
        self.url = url
        self.test_id = test_id

    @property
    def headers(self) -> dict[str, str]:
        """What requests of this scope carry, so that tests running at the same time do not see each other's events."""
        return {"X-Clickstream-Test-Id": self.test_id} if self.test_id else {}

    def scope(self) -> ClickstreamApi:
        """The same platform, seeing only events sent with its own `headers`."""
        return ClickstreamApi(self.url, f"test-{uuid.uuid4()}")

    def expect(
        self, *, min: int = 1, timeout: float = 5.0, property: Mapping[str, object] | None = None, **fields: str
    ) -> list[dict[str, Any]]:
        """The matching events once there are `min`; after `timeout` seconds the test fails, saying what came."""
        conditions = {**fields, **{f"property.{name}": written(value) for name, value in (property or {}).items()}}
        answer = expect(self.url, conditions, least=min, timeout_s=timeout, test_id=self.test_id)
        if answer["status"] != "met":
            pytest.fail(report(answer, conditions, least=min), pytrace=False)
        events: list[dict[str, Any]] = answer["events"]
        return events

    def reset(self) -> None:
        """Forget what has come so far."""
        parameters = {"test_id": self.test_id} if self.test_id else {}
        with direct() as session:
            session.delete(f"{self.url}/expect", params=parameters, timeout=5).raise_for_status()


@pytest.fixture(scope="session")
def clickstream_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickstreamApi]:
    """One platform for the whole run, with a journal of its own."""
    directory = tmp_path_factory.mktemp("clickstream")
    port = free_port()
    settings = {"API_PORT": str(port), "EVENTS_FILE": str(directory / "events_backup.json")}
    log = directory / "api.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this interpreter and this project's own script
            [sys.executable, "-c", _LAUNCH, json.dumps(settings)], cwd=scripts(), stdout=output, stderr=output
        )
    try:
        api = ClickstreamApi(f"http://127.0.0.1:{port}")
        _wait_until_ready(api.url, process, log)
        yield api
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def clickstream_api(clickstream_platform: ClickstreamApi) -> ClickstreamApi:
    """The platform, empty for this test: it sees only what comes from now on."""
    clickstream_platform.reset()
    return clickstream_platform


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with direct() as session:
                if session.get(f"{url}/ready", timeout=1).status_code == 200:
                    return
        except requests.RequestException:
            time.sleep(0.05)
    pytest.fail(f"the platform did not start:\n{log.read_text()}", pytrace=False)
