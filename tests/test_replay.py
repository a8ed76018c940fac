"""Refused records can be fixed and replayed, each at most once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.replay import merged
from tests.support.platform import Platform, platform


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Platform]:
    with platform(tmp_path) as running:
        yield running


def send(api: Platform, *events: object) -> None:
    assert requests.post(f"{api.url}/events", json=list(events), timeout=5).status_code in (202, 400)


def replay(api: Platform, **selection: object) -> Any:  # noqa: ANN401 - any JSON
    answer = requests.post(f"{api.url}/rejected/replay", json=selection, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_patch_mends_what_was_wrong_and_the_event_leaves_the_quarantine(api: Platform) -> None:
    send(api, {"event_type": "Purchase", "user_id": "u", "properties": {"total": 5}})
    arrived_at = api.get("/rejected")["rejected"][0]["received_at"]

    answer = replay(api, code="invalid_value", patch={"event_type": "purchase", "properties": {"note": "fixed"}})

    assert answer == {"status": "replayed", "replayed": 1, "duplicates": 0, "still_rejected": []}
    (event,) = api.events()
    assert (event["event_type"], event["properties"]) == ("purchase", {"total": 5, "note": "fixed"})
    assert event["timestamp"] == arrived_at
    assert api.get("/rejected")["rejected"] == []


def test_what_is_still_wrong_stays_and_is_told_without_filling_the_quarantine(api: Platform) -> None:
    send(api, {"event_type": "a"}, {"event_type": 7, "user_id": "u"})

    answer = replay(api, patch={"event_type": "a"})

    assert answer["replayed"] == 1
    assert [one["code"] for one in answer["still_rejected"]] == ["missing_identity"]
    assert api.get("/rejected")["total"] == 1


def test_the_same_record_replayed_twice_is_one_event(api: Platform, tmp_path: Path) -> None:
    send(api, {"event_type": "A", "user_id": "u"})
    quarantine = tmp_path / "events_rejected.ndjson"
    before = quarantine.read_bytes()

    replay(api, patch={"event_type": "a"})
    quarantine.write_bytes(before)  # as if killed after the event was kept and before the quarantine was rewritten
    again = replay(api, patch={"event_type": "a"})

    assert (again["replayed"], again["duplicates"]) == (0, 1)
    assert len(api.events()) == 1
    assert api.get("/rejected")["total"] == 0


TWICE = {"event_type": "Click", "user_id": "u"}


@pytest.mark.parametrize("limits", [[1, 1], [2], [1_000]])
def test_two_equal_records_are_two_events_however_they_are_replayed(api: Platform, limits: list[int]) -> None:
    send(api, TWICE, TWICE)

    answers = [replay(api, patch={"event_type": "click"}, limit=limit) for limit in limits]

    assert sum(answer["replayed"] for answer in answers) == 2
    assert [answer["duplicates"] for answer in answers] == [0] * len(answers)
    assert len(api.events()) == 2
    assert api.get("/rejected")["total"] == 0


def test_of_two_equal_records_one_replay_takes_one(api: Platform) -> None:
    send(api, TWICE, TWICE, {**TWICE, "user_id": "v"})

    replay(api, patch={"event_type": "click"}, limit=1)

    assert len(api.events()) == 1
    assert api.get("/rejected")["total"] == 2


def test_replays_at_once_keep_each_record_once_also_where_its_id_is_null(api: Platform) -> None:
    send(api, TWICE, TWICE, {**TWICE, "event_id": None, "timestamp": None})
    arrived_at = api.get("/rejected")["rejected"][0]["received_at"]

    with ThreadPoolExecutor(4) as threads:
        one = [threads.submit(replay, api, patch={"event_type": "click"}, limit=1) for _ in range(4)]
        answers = [future.result() for future in one]

    assert sum(answer["replayed"] for answer in answers) == 3
    assert [event["timestamp"] for event in api.events()] == [arrived_at] * 3
    assert api.get("/rejected")["total"] == 0


def test_a_null_id_is_none_so_that_a_second_replay_finds_the_first(api: Platform, tmp_path: Path) -> None:
    send(api, {**TWICE, "event_id": None, "timestamp": None})
    quarantine = tmp_path / "events_rejected.ndjson"
    before = quarantine.read_bytes()

    replay(api, patch={"event_type": "click"})
    quarantine.write_bytes(before)  # as if killed before the quarantine was rewritten
    again = replay(api, patch={"event_type": "click"})

    assert (again["replayed"], again["duplicates"]) == (0, 1)


def test_a_selection_touches_nothing_else_and_a_dry_run_nothing_at_all(api: Platform) -> None:
    send(
        api,
        {"event_type": "A", "user_id": "u", "event_id": "one"},
        {"event_type": "B", "user_id": "u", "event_id": "two"},
    )

    tried = replay(api, event_id="one", patch={"event_type": "a"}, dry_run=True)
    assert (tried["status"], tried["replayed"], api.events()) == ("dry_run", 1, [])
    replay(api, event_id="one", patch={"event_type": "a"})

    assert [event["event_id"] for event in api.events()] == ["one"]
    assert [entry["event_id"] for entry in api.get("/rejected")["rejected"]] == ["two"]


def test_what_an_sdk_sent_can_be_replayed_too(api: Platform) -> None:
    batch = {"batch": [{"type": "track", "event": "Order Completed", "properties": {"total": 5}}]}
    requests.post(f"{api.url}/v1/batch", json=batch, timeout=5)

    replay(api, source="segment", patch={"user_id": "u-1"})

    assert [(event["event_type"], event["sdk"]["family"]) for event in api.events()] == [("purchase", "segment")]


@pytest.mark.parametrize("body", ["[", "[]", '{"patch": 7}', '{"cod": "x"}', '{"limit": 0}'])
def test_a_wrong_request_is_refused_by_name(api: Platform, body: str) -> None:
    answer = requests.post(f"{api.url}/rejected/replay", body, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("invalid_body", "invalid_parameter")


def test_a_merge_patch_removes_merges_and_replaces() -> None:
    target = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1]}

    assert merged(target, {"a": None, "b": {"c": None, "x": {"y": 1}}, "e": 5}) == {
        "b": {"d": 3, "x": {"y": 1}},
        "e": 5,
    }
    assert target == {"a": 1, "b": {"c": 2, "d": 3}, "e": [1]}


@pytest.mark.parametrize("patch", [{}, {"event_type": "click"}, {"user_id": "c"}, {"user_id": None}])
def test_a_key_that_stands_twice_stays_refused_whatever_is_patched(api: Platform, patch: dict[str, object]) -> None:
    body = b'{"event_type":"click","user_id":"a","user_id":"b"}'
    assert requests.post(f"{api.url}/events", body, timeout=5).status_code == 400

    answer = replay(api, code="duplicate_key", patch=patch)

    assert (answer["replayed"], api.events()) == (0, [])
    assert [(one["code"], one["field"]) for one in answer["still_rejected"]] == [("duplicate_key", "user_id")]
    assert api.get("/rejected")["total"] == 1


VALUES = '"properties": {"id": 123456789012345678901234567890, "price": 10.0, "big": 1E5, "name": "\\u00e9"}'


def kept_line(tmp_path: Path) -> str:
    (line,) = [one for one in (tmp_path / "events_backup.json").read_text().splitlines() if one.startswith("{")]
    return line


def test_what_a_patch_does_not_touch_is_kept_as_it_was_sent(api: Platform, tmp_path: Path) -> None:
    body = f'{{"event_type": "Click", "user_id": "a", {VALUES}}}'
    assert requests.post(f"{api.url}/events", body.encode(), timeout=5).status_code == 400

    answer = replay(api, patch={"event_type": "click", "properties": {"mended": True}})

    assert answer["replayed"] == 1
    for written in ("123456789012345678901234567890", "10.0", "1E5", '"\\u00e9"', '"mended":true'):
        assert written in kept_line(tmp_path)


def test_without_a_patch_a_record_is_replayed_byte_for_byte(tmp_path: Path) -> None:
    envelope = '"event_type": "click", "event_id": "e-1", "timestamp": "2026-01-15T10:30:00Z", "user_id": "a"'
    body = f'{{{envelope}, {VALUES}, "fill": "{"x" * 200}"}}'
    with platform(tmp_path, MAX_EVENT_BYTES="256") as strict:
        assert requests.post(f"{strict.url}/events", body.encode(), timeout=5).status_code == 400
    with platform(tmp_path) as running:
        assert replay(running)["replayed"] == 1

    assert kept_line(tmp_path).startswith(body[:-1])
