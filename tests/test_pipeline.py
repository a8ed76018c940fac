"""What is acknowledged, what is a duplicate, and what is counted, whatever fails below."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clickstream.entry import Receipt
from clickstream.errors import BackendUnavailable, Replaying, RequestRefused, Unavailable
from clickstream.events import Event, PlainEvent
from clickstream.journal import Quarantine
from clickstream.pipeline import Pipeline
from tests.support.journals import scratch
from tests.support.native import LIMITS, NOW_MS, encoded, native_event
from tests.support.recording_backend import RecordingBackend, full_disk
from tests.support.waiting import until


class Loop:
    """The server's loop in small: functions that other threads hand over run when the test says so."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run_next(self) -> None:
        self.waiting.get(timeout=5)()


class Sent:
    """One request and its answer."""

    def __init__(self, pipeline: Pipeline, events: list[bytes]) -> None:
        self.answers: list[Unavailable | None] = []
        self.receipt: Receipt = pipeline.accept(events, source="native", when_kept=self.answers.append)

    @property
    def acknowledged(self) -> bool:
        assert len(self.answers) == 1
        return self.answers[0] is None


class Bench:
    """A pipeline over a recording backend, driven step by step."""

    def __init__(self, directory: Path, *, dedupe_window: int = 1000, max_waiting_bytes: int = 10**7) -> None:
        self.now_ms = NOW_MS
        self.loop = Loop()
        self.backend = RecordingBackend()
        self.quarantine = Quarantine(directory / "rejected.ndjson", max_bytes=10**7)
        self.pipeline = Pipeline(
            self.backend,
            self.quarantine,
            limits=LIMITS,
            dedupe_window=dedupe_window,
            max_waiting_bytes=max_waiting_bytes,
            clock_ms=lambda: self.now_ms,
        )

    def start(self) -> None:
        self.pipeline.start(self.loop.waiting.put)
        self.await_replay()

    def await_replay(self) -> None:
        until(lambda: self.pipeline.readiness()["status"] == "ready")

    def send(self, *ids: str, bad: int = 0) -> Sent:
        records = [encoded(native_event(one)) for one in ids] + [b"nonsense"] * bad
        return Sent(self.pipeline, records)

    def send_and_wait(self, *ids: str, bad: int = 0) -> Sent:
        sent = self.send(*ids, bad=bad)
        self.loop.run_next()
        return sent

    def accounting(self) -> dict[str, int]:
        numbers: dict[str, int] = self.pipeline.meter.accounting()
        assert numbers["received"] == numbers["accepted"] + numbers["duplicates"] + numbers["rejected"]
        return numbers

    def kept_ids(self) -> list[str]:
        return [json.loads(record)["event_id"] for record in self.backend.kept]

    def stop(self, *, loop_is_busy_s: float = 0) -> None:
        stopping = threading.Thread(target=self.pipeline.stop)
        stopping.start()
        self.loop.run_next()
        self.backend.gate.set()
        stopping.join(loop_is_busy_s)  # what a commit hands to the loop has to wait
        while stopping.is_alive():
            with contextlib.suppress(queue.Empty):
                self.loop.waiting.get(timeout=0.01)()


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes benches of any setting and stops them, however the test ends."""
    made: list[Bench] = []

    def make(**options: int) -> Bench:
        made.append(Bench(tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.backend.replay_gate.set()
        bench.stop()


@pytest.fixture
def bench(benches: Callable[..., Bench]) -> Bench:
    bench = benches()
    bench.start()
    return bench


def test_events_are_acknowledged_only_once_they_are_kept_and_counted(bench: Bench) -> None:
    bench.backend.gate.clear()
    sent = bench.send("a", "b")
    assert sent.answers == []
    assert (bench.backend.kept, bench.accounting()["received"]) == ([], 0)

    bench.backend.gate.set()
    bench.loop.run_next()

    assert sent.acknowledged
    assert bench.kept_ids() == ["a", "b"]
    assert [event.event_id for event in bench.backend.counted] == ["a", "b"]
    assert bench.accounting() == {"received": 2, "accepted": 2, "duplicates": 0, "rejected": 0}


def test_duplicates_within_a_request_across_requests_and_across_a_restart_are_stored_once(
    benches: Callable[..., Bench],
) -> None:
    bench = benches()
    bench.backend.old_ids = ["old"]
    bench.start()

    first = bench.send_and_wait("a", "a", "b", "old")
    second = bench.send_and_wait("b", "c")

    assert (first.receipt.accepted, first.receipt.duplicates) == (2, 2)
    assert (second.receipt.accepted, second.receipt.duplicates) == (1, 1)
    assert bench.kept_ids() == ["a", "b", "c"]
    assert bench.accounting() == {"received": 6, "accepted": 3, "duplicates": 3, "rejected": 0}


def test_a_whole_batch_sent_again_stores_nothing_and_is_a_success(bench: Bench) -> None:
    batch = [f"e{n}" for n in range(100)]
    bench.send_and_wait(*batch)

    again = bench.send_and_wait(*batch)

    assert again.acknowledged
    assert (again.receipt.accepted, again.receipt.duplicates) == (0, 100)
    assert bench.kept_ids() == batch


def test_a_failed_group_is_not_acknowledged_not_counted_and_can_be_sent_again(bench: Bench) -> None:
    bench.backend.fail_next = [full_disk()]

    failed = bench.send_and_wait("a", bad=1)
    assert bench.backend.counted == []
    again = bench.send_and_wait("a", bad=1)

    assert not failed.acknowledged
    assert again.acknowledged
    assert (again.receipt.accepted, again.receipt.duplicates) == (1, 0)
    assert bench.kept_ids() == ["a"]
    assert bench.accounting() == {"received": 2, "accepted": 1, "duplicates": 0, "rejected": 1}
    assert [event.event_id for event in bench.backend.counted] == ["a"]
    assert bench.pipeline.meter.failed_commits == 1


def test_what_was_kept_of_a_failed_group_is_counted_once_and_a_duplicate_when_it_is_sent_again(bench: Bench) -> None:
    bench.backend.gate.clear()
    bench.backend.fail_next = [None, BackendUnavailable("events cannot be kept now: no room", kept=[0, 3])]
    bench.send("before")
    while not bench.pipeline._commits._waiting.empty():
        pass  # until the commit thread holds the first group, so that the next two are one
    failed = [bench.send("a", "b", bad=1), bench.send("c", "d", "e")]
    bench.backend.gate.set()
    bench.loop.run_next()
    bench.loop.run_next()

    assert not failed[0].acknowledged
    assert not failed[1].acknowledged
    assert [event.event_id for event in bench.backend.counted] == ["before", "a", "d"]
    assert bench.accounting() == {"received": 3, "accepted": 3, "duplicates": 0, "rejected": 0}

    again = [bench.send_and_wait("a", "b", bad=1), bench.send_and_wait("c", "d", "e")]

    assert all(sent.acknowledged for sent in again)
    assert [(sent.receipt.accepted, sent.receipt.duplicates) for sent in again] == [(1, 1), (2, 1)]
    assert bench.kept_ids() == ["before", "b", "c", "e"]
    assert [event.event_id for event in bench.backend.counted] == ["before", "a", "d", "b", "c", "e"]


def test_an_error_nobody_expected_is_a_refusal_not_a_hang(bench: Bench) -> None:
    bench.backend.fail_next = [ZeroDivisionError("bug")]

    failed = bench.send_and_wait("a")

    assert isinstance(failed.answers[0], Unavailable)
    assert bench.send_and_wait("a").acknowledged


def test_a_duplicate_of_an_event_in_flight_is_not_acknowledged_when_that_event_fails(bench: Bench) -> None:
    bench.backend.gate.clear()
    bench.backend.fail_next = [full_disk(), None]
    first = bench.send("a")
    while not bench.pipeline._commits._waiting.empty():
        pass  # until the commit thread holds the first group
    copy = bench.send("a", "b")
    bench.backend.gate.set()
    bench.loop.run_next()
    bench.loop.run_next()

    assert (copy.receipt.accepted, copy.receipt.duplicates) == (1, 1)
    assert not first.acknowledged
    assert not copy.acknowledged  # its "a" was nowhere
    again = bench.send_and_wait("a", "b")
    assert again.acknowledged
    assert sorted(bench.kept_ids()) == ["a", "b"]


def test_a_duplicate_of_a_kept_event_is_acknowledged_although_another_group_failed_before(bench: Bench) -> None:
    bench.send_and_wait("a")
    bench.backend.fail_next = [full_disk()]
    bench.send_and_wait("b")

    assert bench.send_and_wait("a").acknowledged


def test_only_the_ids_of_the_window_are_remembered(benches: Callable[..., Bench]) -> None:
    bench = benches(dedupe_window=10)
    bench.start()
    bench.send_and_wait(*(f"e{n}" for n in range(11)))

    known = bench.send_and_wait(*(f"e{n}" for n in range(1, 11)))
    forgotten = bench.send_and_wait("e0")

    assert known.receipt.duplicates == 10
    assert forgotten.receipt.accepted == 1


def test_rejected_records_reach_the_quarantine_with_reason_and_bytes(bench: Bench) -> None:
    bench.send_and_wait("a", bad=2)
    bench.pipeline.refuse(b"whole body", RequestRefused("malformed_json", "not JSON"), source="native")
    bench.loop.run_next()

    entries = bench.quarantine.newest(limit=10)
    assert [(entry["code"], entry["raw"]) for entry in entries] == [
        ("malformed_json", "whole body"),
        ("malformed_json", "nonsense"),
        ("malformed_json", "nonsense"),
    ]
    assert bench.accounting() == {"received": 4, "accepted": 1, "duplicates": 0, "rejected": 3}


def test_a_body_that_was_refused_is_kept_although_the_events_beside_it_are_not(bench: Bench) -> None:
    bench.backend.gate.clear()
    bench.send("first")
    until(bench.pipeline._commits._waiting.empty)  # it is a group of its own
    bench.send("a", bad=1)  # its sender is told to send again: then its bad record is kept, once
    bench.pipeline.refuse(b"whole body", RequestRefused("malformed_json", "not JSON"), source="native")
    bench.backend.fail_next = [None, full_disk()]
    bench.backend.gate.set()
    bench.loop.run_next()
    bench.loop.run_next()

    assert [entry["raw"] for entry in bench.quarantine.newest(limit=10)] == ["whole body"]
    assert bench.accounting()["rejected"] == 1


def test_whatever_breaks_a_rewriting_collecting_goes_on(bench: Bench) -> None:
    outcomes: list[BaseException | None] = []

    def breaks() -> None:
        raise ValueError("as asked")

    bench.pipeline.rebuild(breaks, lambda _, problem: outcomes.append(problem))
    bench.loop.run_next()
    bench.loop.run_next()

    assert [type(one) for one in outcomes] == [ValueError]
    assert bench.send_and_wait("a").acknowledged


def test_good_events_do_not_suffer_from_a_quarantine_that_cannot_be_written(bench: Bench) -> None:
    bench.quarantine.path.mkdir()

    sent = bench.send_and_wait("a", bad=1)

    assert sent.acknowledged
    assert bench.kept_ids() == ["a"]


def test_nothing_is_taken_in_while_the_journal_is_replayed(benches: Callable[..., Bench]) -> None:
    bench = benches()
    bench.backend.replay_gate.clear()
    bench.pipeline.start(bench.loop.waiting.put)

    with pytest.raises(Replaying):
        bench.send("a")
    with pytest.raises(Replaying):
        bench.pipeline.statistics("all")
    assert bench.pipeline.readiness()["status"] == "replaying"

    bench.backend.replay_gate.set()
    bench.await_replay()
    assert bench.send_and_wait("a").acknowledged
    assert bench.pipeline.readiness() == {"status": "ready"}


def test_a_journal_that_cannot_be_read_is_told_instead_of_waited_for(benches: Callable[..., Bench]) -> None:
    bench = benches()
    bench.backend.unreadable = OSError("input/output error")
    bench.pipeline.start(bench.loop.waiting.put)

    def told() -> bool:
        with pytest.raises(Unavailable) as answer:
            bench.send("a")
        return str(answer.value) == "the journal could not be read: input/output error"

    until(told)
    assert bench.pipeline.readiness()["status"] == "replaying"


def test_after_a_rewriting_the_ids_that_are_left_are_known_and_no_others(benches: Callable[..., Bench]) -> None:
    bench = benches(dedupe_window=2)
    bench.start()
    bench.send_and_wait("a", "b")
    bench.backend.old_ids = ["b"]
    outcomes: list[object] = []
    bench.pipeline.rebuild(lambda: "rewritten", lambda outcome, problem: outcomes.extend([outcome, problem]))
    while not outcomes:
        bench.loop.run_next()

    assert outcomes == ["rewritten", None]
    assert bench.send_and_wait("c").receipt.accepted == 1
    assert bench.send_and_wait("b").receipt.duplicates == 1
    assert bench.send_and_wait("a").receipt.accepted == 1


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_left_at_a_stop_says_of_the_last_group_what_became_of_it(bench: Bench, *, kept: bool) -> None:
    """The answer has been given up by then: what is repeated after the start is a duplicate only if it was kept."""
    bench.backend.gate.clear()
    sent = bench.send("a", "b")
    bench.backend.fail_next = [None if kept else full_disk()]

    bench.stop(loop_is_busy_s=0.2)

    assert sent.acknowledged is kept
    assert (bench.backend.old_ids, bench.backend.counted_at_close) == ((["a", "b"], 2) if kept else ([], 0))
    with pytest.raises(Unavailable, match="stopping"):
        bench.send("c")  # nobody would commit it


def test_a_rewriting_that_waits_for_its_turn_at_a_stop_is_not_begun_and_costs_no_ids(bench: Bench) -> None:
    bench.backend.gate.clear()
    bench.send("a")
    outcomes: list[BaseException | None] = []
    bench.pipeline.rebuild(lambda: pytest.fail("begun"), lambda _, problem: outcomes.append(problem))

    bench.stop()

    assert [type(one) for one in outcomes] == [Unavailable]
    assert bench.backend.old_ids == ["a"]


@pytest.mark.parametrize("bad", [False, True])
def test_more_bytes_than_may_wait_for_the_disk_are_refused_until_they_are_written(
    benches: Callable[..., Bench], bad: bool
) -> None:
    bench = benches(max_waiting_bytes=1000)
    bench.start()
    bench.backend.gate.clear()
    filler = [b"x" * 300] if bad else [encoded(native_event("big", properties={"x": "x" * 900}))]
    waiting = [Sent(bench.pipeline, [encoded(native_event("first"))])]
    while not bench.pipeline._commits._waiting.empty():
        pass

    with pytest.raises(Unavailable):
        for _ in range(10):
            waiting.append(Sent(bench.pipeline, filler))

    bench.backend.gate.set()
    while any(not sent.answers for sent in waiting):
        bench.loop.run_next()
    assert bench.send_and_wait("after").acknowledged


def test_refused_bodies_wait_for_the_disk_within_the_same_bound(benches: Callable[..., Bench]) -> None:
    bench = benches(max_waiting_bytes=1000)
    bench.start()
    bench.backend.gate.clear()
    bench.send("a")

    with pytest.raises(Unavailable):
        for _ in range(10):
            bench.pipeline.refuse(b"x" * 400, RequestRefused("malformed_json", "not JSON"), source="native")


def test_observers_see_events_once_they_are_kept_until_they_unsubscribe(bench: Bench) -> None:
    seen: list[str | None] = []

    def observe(events: object, _: object) -> None:
        assert isinstance(events, list)
        seen.extend(event.event_id for event in events if isinstance(event, (Event, PlainEvent)))

    stop = bench.pipeline.subscribe(observe)
    bench.backend.fail_next = [full_disk()]
    bench.send_and_wait("lost")
    bench.send_and_wait("a")
    stop()
    bench.send_and_wait("b")

    assert seen == ["a"]


def test_snapshots_are_at_most_a_twentieth_of_a_second_old(bench: Bench) -> None:
    assert bench.pipeline.statistics("all")["total_events"] == 0
    bench.send_and_wait("a")
    bench.now_ms += 49
    assert bench.pipeline.statistics("all")["total_events"] == 0

    bench.now_ms += 1

    assert bench.pipeline.statistics("all")["total_events"] == 1
    bench.send_and_wait("b")
    bench.now_ms -= 5000  # a clock that is set back must not freeze the numbers
    assert bench.pipeline.statistics("all")["total_events"] == 2


class PipelineModel(RuleBasedStateMachine):
    """New and repeated ids, groups that fail, answers out of step: the store is what was acknowledged."""

    @initialize()
    def begin(self) -> None:
        self.directory = scratch()
        self.bench = Bench(self.directory.__enter__())
        self.bench.start()
        self.open: list[tuple[Sent, list[str]]] = []
        self.acknowledged: set[str] = set()

    @rule(ids=st.lists(st.integers(0, 30).map(str), min_size=1, max_size=6), bad=st.integers(0, 2), fails=st.booleans())
    def send(self, ids: list[str], bad: int, fails: bool) -> None:
        self.bench.backend.gate.clear()
        if fails:
            self.bench.backend.fail_next.append(full_disk())
        self.open.append((self.bench.send(*ids, bad=bad), ids))

    @rule()
    def commit(self) -> None:
        self.bench.backend.gate.set()
        while any(not sent.answers for sent, _ in self.open):
            self.bench.loop.run_next()
        for sent, ids in self.open:
            if sent.acknowledged:
                self.acknowledged |= set(ids)
        self.open = []
        self.bench.backend.fail_next = []

    @invariant()
    def nothing_acknowledged_is_missing_and_nothing_is_kept_twice(self) -> None:
        if not self.open:
            kept = self.bench.kept_ids()
            assert len(kept) == len(set(kept))
            assert self.acknowledged <= set(kept)
            assert len(self.bench.backend.counted) == len(kept)
            assert self.bench.accounting()["accepted"] == len(kept)

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.stop()
            self.directory.__exit__(None, None, None)


def test_whatever_fails_in_whatever_order_the_store_is_what_was_acknowledged() -> None:
    run_state_machine_as_test(PipelineModel, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))


def test_the_rate_is_a_mean_of_ten_seconds_also_after_the_clock_was_set_back(benches: Callable[..., Bench]) -> None:
    bench = benches()
    bench.start()
    bench.now_ms -= 3_600_000
    bench.send_and_wait("a", "b", "c", "d", "e")
    bench.now_ms += 1_000

    assert bench.pipeline.statistics("all")["ingest"]["events_per_second"] == 0.5
