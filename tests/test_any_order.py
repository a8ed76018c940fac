"""Whatever happens in whatever order: the platform holds what a dictionary would."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.support.http_client import Client
from tests.support.native import encoded, native_event
from tests.support.platform import Platform, platform

pytestmark = pytest.mark.crash


class StoreModel(RuleBasedStateMachine):
    """Post, repeat, read, stop, kill, in any order: the platform holds what the model holds."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.model: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self.start()

    def start(self) -> None:
        self.context = platform(Path(self.directory.name))
        self.api: Platform = self.context.__enter__()
        self.client = Client(self.api.url)

    def end(self) -> None:
        self.client.close()
        self.context.__exit__(None, None, None)

    @rule(count=st.integers(1, 30), user=st.sampled_from(["a", "b"]), bad=st.booleans())
    def post(self, count: int, user: str, bad: bool) -> None:
        events = [native_event(f"e{self.sent + n}", user_id=user, properties={"n": n}) for n in range(count)]
        self.sent += count
        answer = self.client.post(encoded([*events, *([7] if bad else [])]))
        assert (answer.status, answer.json["processed"]) == (202, count)
        self.model |= {event["event_id"]: event for event in events}

    @rule(share=st.floats(0, 1))
    def repeat(self, share: float) -> None:
        events = list(self.model.values())[: int(len(self.model) * share)]
        if events:
            answer = self.client.post(encoded([{**event, "properties": {"n": "changed"}} for event in events]))
            assert answer.json == {"status": "accepted", "processed": 0, "duplicates": len(events)}

    @rule()
    def restart(self) -> None:
        self.end()
        self.start()

    @rule()
    def kill(self) -> None:
        self.api.process.kill()
        self.end()
        self.start()

    @rule(form=st.sampled_from(["json", "ndjson"]))
    def export(self, form: str) -> None:
        body = self.client.request("GET", f"/export?format={form}").body
        events = json.loads(body) if form == "json" else [json.loads(line) for line in body.splitlines()]
        for event in events:
            del event["received_at"]
        assert events == list(self.model.values())

    @rule(user=st.sampled_from(["a", "b"]))
    def count(self, user: str) -> None:
        time.sleep(0.11)  # /stats may be a tenth of a second old
        assert self.client.get("/stats")["total_events"] == len(self.model)
        mine = [event_id for event_id, event in self.model.items() if event["user_id"] == user]
        page = self.client.get(f"/events?user_id={user}&limit=1000")
        assert [event["event_id"] for event in page["events"]] == mine[::-1][:1000]

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.export("json")
            self.end()
            self.directory.cleanup()


def test_whatever_happens_in_whatever_order_the_store_is_the_model() -> None:
    run_state_machine_as_test(StoreModel, settings=settings(max_examples=5, stateful_step_count=15, deadline=None))
