from __future__ import annotations

import json
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import islice

import pytest
from werkzeug.wrappers import Request, Response

from clickstream.client.sending import MAX_BODY_BYTES, RetryPolicy
from clickstream.simulation.ledger import Ledger
from clickstream.simulation.sender import Batch, Batcher, Latencies, Sender
from clickstream.simulation.traffic import Traffic
from clickstream.simulation.transmit import Scheduled, transmit
from tests.support.processes import wait_until
from tests.support.recording_api import RecordingApi, error, recording_api
from tests.support.scripted_api import scripted_api
from tests.support.simulated import plan


def records(count: int, start: int = 0) -> list[bytes]:
    return [b'{"event_id":"e%d"}' % number for number in range(start, start + count)]


def never() -> threading.Event:
    return threading.Event()


def test_counters_add_up() -> None:
    with recording_api() as api:
        api.rejects = lambda event: "invalid_value" if event["event_id"] == "e1" else None
        sender = Sender(api.url, connections=2)
        for batch in (records(10), records(5), records(7, start=100)):
            sender.offer(Batch(batch, time.monotonic()))
        counters = sender.finish(never())

    assert (counters.generated, counters.acknowledged, counters.in_flight) == (22, 22, 0)
    assert counters.accepted + counters.duplicates + counters.rejected == 22
    assert (counters.duplicates, counters.rejected) == (4, 2)
    assert (counters.refused, counters.unacknowledged, counters.requests) == (0, 0, 3)


def test_several_connections_send_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)
    with recording_api() as api:
        api.before = together.wait
        sender = Sender(api.url, connections=3)
        for number in range(3):
            sender.offer(Batch(records(1, number), time.monotonic()))
        counters = sender.finish(never())

    assert counters.acknowledged == 3
    assert api.connections == 3


def test_the_queue_is_bounded_and_offering_waits_for_room() -> None:
    gate = threading.Event()
    with recording_api() as api:
        api.before = gate.wait
        sender = Sender(api.url, connections=1, queued_batches=2)
        offered = threading.Thread(
            target=lambda: [sender.offer(Batch(records(1, n), time.monotonic())) for n in range(9)]
        )
        offered.start()
        wait_until(lambda: len(api.waiting) == 1, "the first request")
        offered.join(timeout=0.6)
        was_waiting = offered.is_alive()
        queued = sender.snapshot().generated
        gate.set()
        offered.join()
        counters = sender.finish(never())

    assert was_waiting
    assert queued == 4  # one under way, two queued, one waiting for room
    assert counters.acknowledged == 9


def test_lag_grows_while_an_answer_is_outstanding_and_is_reported() -> None:
    gate = threading.Event()
    with recording_api() as api:
        api.before = gate.wait
        sender = Sender(api.url, connections=1)
        due = time.monotonic()
        sender.offer(Batch(records(1), due))
        sender.offer(Batch(records(1, 1), due))
        wait_until(lambda: sender.lag_s() > 0.3, "a lag")
        gate.set()
        counters = sender.finish(never())

    assert sender.lag_s() == 0
    assert counters.largest_lag_s > 0.3


def test_latency_counts_from_the_schedule_and_not_from_the_request() -> None:
    with recording_api() as api:
        sender = Sender(api.url, connections=1)
        sender.offer(Batch(records(1), time.monotonic() - 2.0))
        sender.finish(never())

    slowest = sender.latencies.quantile(1.0)
    assert slowest is not None
    assert slowest >= 2.0


def test_quantiles_are_within_a_bucket() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)

    assert latencies.quantile(0.5) == pytest.approx(0.5, rel=0.09)
    assert latencies.quantile(0.99) == pytest.approx(0.99, rel=0.09)
    assert Latencies().quantile(0.5) is None


def test_a_stopped_run_gives_up_what_cannot_be_delivered_and_says_so() -> None:
    stop = threading.Event()
    with recording_api() as api:
        api.answers = [error(503, "unavailable", Retry_After="20")] * 4
        sender = Sender(api.url, connections=1, patience_s=0.2)
        sender.offer(Batch(records(3), time.monotonic()))
        stop.set()
        started = time.monotonic()
        counters = sender.finish(stop)

    assert time.monotonic() - started < 5
    assert counters.unacknowledged == 3
    assert (counters.requests, counters.retries) == (1, 0)  # the pause before the second one was cut short
    assert sender.failures.event_ids == ["e0", "e1", "e2"]
    assert "unavailable" in sender.failures.reasons[0]


def test_a_fault_of_a_sending_thread_is_told_with_its_reason_and_loses_nothing_silently() -> None:
    with recording_api() as api:
        noted: list[str] = []
        sender = Sender(
            api.url, key="ключ", connections=1, on_delivery=lambda batch, delivery: noted.append(delivery.outcome)
        )
        for number in range(3):
            sender.offer(Batch(records(1, number), time.monotonic()))
        counters = sender.finish(never())

    assert (counters.unacknowledged, counters.in_flight) == (3, 0)
    assert noted == ["unacknowledged"] * 3
    assert "UnicodeEncodeError" in sender.failures.reasons[0]


@pytest.mark.measures
def test_a_stopped_run_does_not_wait_for_each_answer_of_an_api_that_gives_none() -> None:
    stop, over = threading.Event(), threading.Event()

    def trickle(_: Request) -> Response:
        return Response((b" " for _ in range(400) if not over.wait(0.05)), 202)

    with scripted_api(trickle) as api:
        policy = RetryPolicy(request_timeout_s=0.5)
        sender = Sender(api.url, connections=1, patience_s=0.2, policy=policy)
        for number in range(40):
            sender.offer(Batch(records(1, number), time.monotonic()))
        stop.set()
        started = time.monotonic()
        counters = sender.finish(stop)
        took_s = time.monotonic() - started
        over.set()

    assert took_s < 5
    assert (counters.generated, counters.unacknowledged, counters.in_flight) == (40, 40, 0)
    assert sender.failures.reasons == ["no answer (Timeout)", "stopped before it could be sent"]


def scheduled(count: int, every_s: float) -> list[Scheduled]:
    return [Scheduled(number * every_s, record) for number, record in enumerate(records(count))]


def sent(
    stream: list[Scheduled], *, paced: bool, prepare: Callable[[RecordingApi], None] | None = None
) -> RecordingApi:
    with recording_api() as api:
        if prepare is not None:
            prepare(api)
        sender = Sender(api.url, connections=4, policy=RetryPolicy(give_up_after_s=10))
        transmit(stream, sender, batch_size=10, paced=paced, stop=never())
    return api


def test_paced_records_go_when_their_time_has_come() -> None:
    started = time.monotonic()
    api = sent(scheduled(11, 0.1), paced=True)

    assert time.monotonic() - started >= 1.0
    assert len(api.events) == 11
    assert len(api.requests) > 3, "records of one second must not wait for a full batch"


def test_unpaced_records_go_at_once_in_full_batches() -> None:
    started = time.monotonic()
    api = sent(scheduled(50, 10.0), paced=False)

    assert time.monotonic() - started < 5
    assert sorted(len(request) for request in api.requests) == [10] * 5


def test_batches_respect_the_size_of_a_body() -> None:
    batcher = Batcher(batch_size=1_000, linger_s=1.0)
    large = b'"' + b"x" * (MAX_BODY_BYTES // 3) + b'"'
    batches = [batch for batch in (batcher.add(large, 0.0) for _ in range(5)) if batch is not None]

    assert [len(batch.records) for batch in batches] == [2, 2]


def test_a_batch_is_due_when_its_last_record_is_but_lingers_no_longer_than_allowed() -> None:
    full = Batcher(batch_size=2, linger_s=1.0)
    lingering = Batcher(batch_size=10, linger_s=1.0)
    full.add(b"1", 5.0)
    for due in (5.0, 5.9, 7.0):
        lingering.add(b"1", due)

    assert full.add(b"2", 5.25) == Batch([b"1", b"2"], 5.25)
    assert lingering.ready_at() == 6.0
    assert lingering.take() == Batch([b"1", b"1", b"1"], 6.0)
    assert lingering.take() is None


def test_memory_stays_flat_over_an_hour_of_traffic() -> None:
    # Ten hours of 60 shoppers, as fast as they can be generated; the first four fill the caches.
    traffic = Traffic(plan(users=60, duration_s=600.0))
    ledger = Ledger(None, {})
    stream = traffic.stream(ledger)
    tracemalloc.start()
    try:
        for _ in islice(stream, 9_000):
            pass
        before, _ = tracemalloc.get_traced_memory()
        for _ in stream:
            pass
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert ledger.totals.events > 22_000
    assert after - before < 500_000


def test_the_ledger_counts_the_funnel_in_the_order_of_events_when_they_are_sent_late() -> None:
    from clickstream.simulation.faults import Rates

    late = Ledger(None, {})
    for _ in Traffic(plan(users=30, duration_s=60.0, rates=Rates(late=0.3, out_of_order=0.3))).stream(late):
        pass
    clean = Ledger(None, {})
    for _ in Traffic(plan(users=30, duration_s=60.0)).stream(clean):
        pass

    assert late.totals.funnel == clean.totals.funnel
    assert late.totals.by_type == clean.totals.by_type
    assert late.totals.faults["late"] > 50


def test_bodies_are_the_native_form() -> None:
    api = sent(scheduled(3, 0.0), paced=False)

    assert json.dumps(api.requests[0]) == '[{"event_id": "e0"}, {"event_id": "e1"}, {"event_id": "e2"}]'
