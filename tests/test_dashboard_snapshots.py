"""One reading for everybody who looks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from clickstream.client.reading import ApiProblem
from clickstream.dashboard.quarantine_size import QuarantineSize
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


def test_of_numbers_older_than_a_minute_the_events_are_not_shown_for_they_may_have_been_erased() -> None:
    clock = Clock()
    answers: list[dict[str, Any] | ApiProblem] = [{"n": 1, "recent_events": [{"user_id": "anna"}]}]

    def read(_: str) -> dict[str, Any]:
        if answers:
            return answers.pop()
        raise ApiProblem("unreachable", "gone")

    snapshots = shared(read, clock)
    first = ask(snapshots).stats
    clock.now_s += 59
    still = ask(snapshots).stats
    clock.now_s += 2
    waited_for = snapshots.last("all")

    assert first == still == {"n": 1, "recent_events": [{"user_id": "anna"}]}
    assert waited_for is not None
    assert waited_for.stats == ask(snapshots).stats == {"n": 1, "recent_events": []}


def test_a_failure_counts_from_the_first_one_in_whatever_window_until_a_reading_is_good() -> None:
    clock, wall = Clock(), Clock()
    fails = [False]

    def read(_: str) -> dict[str, Any]:
        if fails[0]:
            raise ApiProblem("unreachable", "gone")
        return {"n": 1}

    snapshots = SharedSnapshots(read, AtOnce(), interval_s=2, clock=clock, wall_clock=wall)

    def later(seconds: float, window: str, *, failing: bool) -> tuple[float | None, float | None]:
        clock.now_s += seconds
        wall.now_s += seconds
        fails[0] = failing
        snapshot = ask(snapshots, window)
        return snapshot.failing_since, snapshots.failing_s(snapshot)

    assert later(0, "all", failing=False) == (None, None)
    assert later(1000, "15m", failing=True) == (1100, 0)
    assert later(60, "all", failing=True) == (1100, 60)
    wall.now_s -= 500  # set right meanwhile
    assert later(60, "24h", failing=True) == (1100, 120)
    assert later(60, "1h", failing=False) == (None, None)
    assert later(60, "all", failing=True) == (840, 0)


class Rejections:
    """`/rejected` as a script: how often it was read, and what it says."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.reads = 0
        self.fails = False

    def __call__(self) -> dict[str, Any]:
        self.reads += 1
        if self.fails:
            raise ApiProblem("unreachable", "gone")
        return {"rejected": [], "total": self.total}


def after(rejected: int, since: str = "10:00") -> dict[str, Any]:
    return {"accounting": {"since": since, "rejected": rejected}}


def test_the_quarantine_is_counted_at_first_after_refusals_and_after_a_restart_but_not_at_each_reading() -> None:
    rejections, clock = Rejections(556), Clock()
    size = QuarantineSize(rejections, AtOnce(), clock=clock)
    assert size.total is None

    size.note(after(0))
    size.note(after(0))
    assert (size.total, rejections.reads) == (556, 1)
    rejections.total = 557
    size.note(after(1))
    assert (size.total, rejections.reads) == (556, 1)
    clock.now_s += 10
    size.note(after(1))
    assert (size.total, rejections.reads) == (557, 2)
    size.note(after(1))
    size.note(after(0, since="11:00"))
    assert rejections.reads == 3


def test_a_quarantine_that_cannot_be_read_is_unknown_and_asked_for_again() -> None:
    rejections, clock = Rejections(5), Clock()
    size = QuarantineSize(rejections, AtOnce(), clock=clock)
    rejections.fails = True

    size.note(after(0))
    assert size.total is None
    rejections.fails = False
    size.note(after(0))
    assert (size.total, rejections.reads) == (None, 1)
    clock.now_s += 10
    size.note(after(0))

    assert size.total == 5


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


def test_whoever_waits_is_answered_after_a_fault_in_reading_too() -> None:
    clock = Clock()
    answers: list[dict[str, Any]] = [{"n": 1}]
    snapshots = shared(lambda _: answers.pop(), clock)

    ask(snapshots)
    clock.now_s += 9
    found: list[Snapshot] = []
    snapshots.ask("all", found.append)

    assert [(one.stats, str(one.problem)) for one in found] == [
        ({"n": 1}, "the numbers could not be read: IndexError: pop from empty list")
    ]


def test_the_tag_changes_with_the_numbers_and_the_state_but_not_with_the_clock() -> None:
    def tag(stats: dict[str, Any], problem: ApiProblem | None = None) -> str:
        return encode(Snapshot("all", 0, stats, 0, 1000.0, problem), api_url="http://api", quarantined=None).etag

    before = {"total_events": 1, "window": {"name": "all", "to": "10:00"}, "generated_at": "10:00"}
    after = {"total_events": 1, "window": {"name": "all", "to": "10:02"}, "generated_at": "10:02"}

    assert tag(before) == tag(after)
    assert tag(before) != tag({**after, "total_events": 2})
    assert tag(before) != tag(before, ApiProblem("timeout", "late"))


def test_a_large_recent_event_is_sent_without_its_properties() -> None:
    import json

    event = {"event_id": "e1", "event_type": "click", "session_id": "s", "properties": {"text": "x" * 100_000}}
    small = {"event_id": "e2", "event_type": "click", "session_id": "s", "properties": {"text": "x"}}

    body = encode(Snapshot("all", 0, {"recent_events": [event, small]}, 0, 0.0), api_url="", quarantined=None).body

    shown = json.loads(body)["recent_events"]
    assert shown[0] == {
        "event_id": "e1",
        "event_type": "click",
        "session_id": "s",
        "left_out_bytes": len(json.dumps(event, separators=(",", ":"))),
    }
    assert shown[1] == small


def test_without_any_numbers_the_answer_is_an_error() -> None:
    encoded = encode(
        Snapshot("all", 0, problem=ApiProblem("unreachable", "gone")), api_url="http://api", quarantined=None
    )

    assert encoded.status == 503
    assert b'"state":"unreachable"' in encoded.body


@pytest.mark.parametrize("text", ["é", "<script>", "\0", "\u2028"])
def test_any_text_can_be_encoded(text: str) -> None:
    assert encode(Snapshot("all", 0, {"text": text}, 0, 0.0), api_url="", quarantined=None).status == 200
