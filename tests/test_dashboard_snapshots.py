"""One reading for everybody who looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from clickstream.client.reading import ApiProblem
from clickstream.dashboard.snapshot_json import encode
from clickstream.dashboard.snapshots import SharedSnapshots, Snapshot


class AtOnce(Executor):
    """Runs what is submitted before `submit` returns."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except ValueError as problem:
            done.set_exception(problem)
        return done


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def shared(read: Callable[[str], dict[str, Any]], clock: Clock) -> SharedSnapshots:
    return SharedSnapshots(read, AtOnce(), interval_s=2, clock=clock, wall_clock=lambda: 1000.0)


def ask(snapshots: SharedSnapshots, window: str = "all") -> Snapshot:
    found: list[Snapshot] = []
    snapshots.ask(window, found.append)
    return found[0]


def test_within_the_interval_everybody_gets_the_same_reading() -> None:
    readings: list[str] = []
    clock = Clock()
    snapshots = shared(lambda window: readings.append(window) or {"n": len(readings)}, clock)

    first = ask(snapshots)
    clock.now_s += 1.9
    second = ask(snapshots)

    assert second is first
    assert readings == ["all"]


def test_after_the_interval_the_next_who_asks_causes_one_reading() -> None:
    readings: list[str] = []
    clock = Clock()
    snapshots = shared(lambda window: readings.append(window) or {"n": len(readings)}, clock)

    ask(snapshots)
    clock.now_s += 2
    second = ask(snapshots)

    assert second.stats == {"n": 2}
    assert readings == ["all", "all"]


def test_windows_are_read_separately() -> None:
    readings: list[str] = []
    snapshots = shared(lambda window: readings.append(window) or {}, Clock())

    ask(snapshots, "15m")
    ask(snapshots, "24h")

    assert readings == ["15m", "24h"]


def test_while_one_reading_is_under_way_others_wait_for_it() -> None:
    readings: list[str] = []
    go = threading.Event()

    def slow(window: str) -> dict[str, Any]:
        readings.append(window)
        assert go.wait(5)
        return {"n": 1}

    found: list[Snapshot] = []
    with ThreadPoolExecutor(4) as executor:
        snapshots = SharedSnapshots(slow, executor, interval_s=2)
        for _ in range(50):
            snapshots.ask("all", found.append)
        go.set()

    assert len(found) == 50
    assert {id(snapshot) for snapshot in found} == {id(found[0])}
    assert readings == ["all"]


def test_a_failed_reading_keeps_the_last_numbers_and_their_age() -> None:
    clock = Clock()
    answers: list[dict[str, Any] | ApiProblem] = [{"n": 1}, ApiProblem("unreachable", "gone")]

    def read(_: str) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, ApiProblem):
            raise answer
        return answer

    snapshots = shared(read, clock)
    ask(snapshots)
    clock.now_s += 9
    failed = ask(snapshots)

    assert failed.stats == {"n": 1}
    assert failed.problem is not None
    assert snapshots.age_s(failed) == 9


def test_a_fault_in_reading_does_not_stop_later_readings() -> None:
    clock = Clock()
    faults = [ValueError("a bug")]

    def read(_: str) -> dict[str, Any]:
        if faults:
            raise faults.pop()
        return {"n": 1}

    snapshots = shared(read, clock)
    snapshots.ask("all", lambda _: None)

    assert ask(snapshots).stats == {"n": 1}


def test_the_tag_changes_with_the_numbers_and_the_state_but_not_with_the_clock() -> None:
    def tag(stats: dict[str, Any], problem: ApiProblem | None = None) -> str:
        return encode(Snapshot("all", 0, stats, 0, 1000.0, problem), api_url="http://api").etag

    before = {"total_events": 1, "window": {"name": "all", "to": "10:00"}, "generated_at": "10:00"}
    after = {"total_events": 1, "window": {"name": "all", "to": "10:02"}, "generated_at": "10:02"}

    assert tag(before) == tag(after)
    assert tag(before) != tag({**after, "total_events": 2})
    assert tag(before) != tag(before, ApiProblem("timeout", "late"))


def test_a_large_recent_event_is_sent_without_its_properties() -> None:
    import json

    event = {"event_id": "e1", "event_type": "click", "session_id": "s", "properties": {"text": "x" * 100_000}}
    small = {"event_id": "e2", "event_type": "click", "session_id": "s", "properties": {"text": "x"}}

    body = encode(Snapshot("all", 0, {"recent_events": [event, small]}, 0, 0.0), api_url="").body

    shown = json.loads(body)["recent_events"]
    assert shown[0] == {
        "event_id": "e1",
        "event_type": "click",
        "session_id": "s",
        "left_out_bytes": len(json.dumps(event)),
    }
    assert shown[1] == small


def test_without_any_numbers_the_answer_is_an_error() -> None:
    encoded = encode(Snapshot("all", 0, problem=ApiProblem("unreachable", "gone")), api_url="http://api")

    assert encoded.status == 503
    assert b'"state":"unreachable"' in encoded.body


@pytest.mark.parametrize("text", ["\ud800", "é", "<script>"])
def test_any_text_can_be_encoded(text: str) -> None:
    assert encode(Snapshot("all", 0, {"text": text}, 0, 0.0), api_url="").status == 200
