"""What is remembered of events that came, and who waits for them."""

from __future__ import annotations

import contextlib
import gc
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import clickstream.expectations
from clickstream.arrivals import Refusal
from clickstream.errors import Unavailable
from clickstream.events import Limits, validate
from clickstream.expectations import MOST_WAITING, Expectations
from clickstream.query import Query
from clickstream.timestamps import parse

EVENT = b'{"event_type":"a","event_id":"1","user_id":"u","timestamp":"2026-01-15T10:30:00Z","properties":{}}'


def observe(expectations: Expectations, *records: bytes) -> None:
    limits = Limits(max_event_bytes=2_000_000, max_nesting=8)
    batch = validate(records, limits, parse("2026-01-15T10:30:01Z"))
    expectations.observe(batch.events, batch.records)


@contextlib.contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Yields how to ask for the bytes that have come to be held since the block began."""
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_property_of_another_scope_ends_no_waiting() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query({"user_id": "u"}), scope="A", least=1, done=answers.append)

    observe(expectations, EVENT.replace(b"{}", b'{"test_id":"A"}'))
    assert answers == []
    observe(expectations, EVENT[:-1] + b',"test_id":"A"}')

    assert [answer["status"] for answer in answers] == ["met"]


def test_a_reset_hides_what_came_before_from_those_who_wait_as_well() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    observe(expectations, EVENT.replace(b"{}", b'{"order_id":"before"}'))
    time_is_over = expectations.expect(Query({"user_id": "u"}), scope=None, least=2, done=answers.append)

    expectations.reset(None)
    observe(expectations, EVENT.replace(b"{}", b'{"order_id":"after"}'))
    time_is_over()

    (answer,) = answers
    assert (answer["status"], answer["matched"], answer["seen"]) == ("unmet", 1, {"a": 1})
    assert b"after" in bytes(answer["events"][0])


def test_the_reset_of_everything_outlives_those_of_any_number_of_scopes() -> None:
    expectations = Expectations()
    observe(expectations, EVENT)
    expectations.reset(None)

    for number in range(10_001):
        expectations.reset(f"test-{number}")

    assert list(expectations.kept(None)) == []


def test_of_large_refused_bodies_only_the_beginning_stays_in_memory() -> None:
    expectations = Expectations()

    with traced() as held:
        for number in range(100):
            body = b"%03d" % number + b"x" * 1_000_000
            expectations.note_refused([Refusal(None, "native", "invalid_body", None, "no", body)])
        assert held() < 2_000_000
        for _ in range(30):
            expectations.note_refused([Refusal(None, "native", "invalid_body", None, "m" * 9_000, b"")] * 100)
        assert held() < 12_000_000

    assert 0 < len(expectations.refused(None)) <= 1_000


def test_large_events_are_remembered_up_to_16_mib_together() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query({"user_id": "u"}), scope=None, least=100, done=answers.append)

    with traced() as held:
        for number in range(10):
            observe(
                expectations,
                *(
                    EVENT.replace(b"{}", b'{"n":%d,"x":"%s"}' % (n, b"x" * 1_000_000))
                    for n in range(10 * number, 10 * number + 10)
                ),
            )
        assert held() < 20_000_000

    numbers = [json.loads(record)["properties"]["n"] for record in expectations.kept(None)]
    assert numbers == list(range(84, 100))
    assert (answers[0]["status"], answers[0]["matched"], len(answers[0]["events"])) == ("met", 100, 16)


def test_who_waits_is_told_of_an_event_that_its_own_group_has_displaced() -> None:
    expectations = Expectations()
    answers: list[Any] = []
    expectations.expect(Query(properties={"n": 0}), scope=None, least=1, done=answers.append)

    observe(expectations, *(EVENT.replace(b"{}", b'{"n":%d,"x":"%s"}' % (n, b"x" * 1_000_000)) for n in range(20)))

    assert [(answer["status"], answer["matched"]) for answer in answers] == [("met", 1)]


def test_small_events_are_remembered_by_their_number() -> None:
    expectations = Expectations()

    for number in range(12_000):
        observe(expectations, EVENT.replace(b"{}", b'{"n":%d}' % number))

    numbers = [json.loads(record)["properties"]["n"] for record in expectations.kept(None)]
    assert numbers == list(range(2_000, 12_000))


def test_those_who_wait_are_bounded_and_the_next_one_is_told_when_to_come_back() -> None:
    expectations = Expectations()
    over = [
        expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)
        for _ in range(MOST_WAITING)
    ]

    with pytest.raises(Unavailable) as refused:
        expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)
    over[0]()
    expectations.expect(Query({"event_type": "never"}), scope=None, least=1, done=lambda _: None)

    assert refused.value.retry_after_s > 0


def test_many_who_wait_have_each_event_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: Counter[bytes] = Counter()
    decode = clickstream.expectations._decode
    monkeypatch.setattr(clickstream.expectations, "_decode", lambda record: decoded.update([record]) or decode(record))
    record = b'{"event_type":"a","event_id":"1","user_id":"u","timestamp":"2026-01-15T10:30:00Z","properties":{"n":1}}'
    batch = validate([record], Limits(max_event_bytes=1000, max_nesting=8), parse("2026-01-15T10:30:01Z"))
    expectations = Expectations()
    answers: list[Any] = []
    for number in range(20):
        expectations.expect(Query(properties={"n": number}), scope=None, least=1, done=answers.append)

    expectations.observe(batch.events, batch.records)

    assert list(decoded.values()) == [1]
    assert [answer["status"] for answer in answers] == ["met"]


def test_what_has_been_erased_is_given_to_nobody_who_waits_for_it() -> None:
    expectations = Expectations()
    batch = validate([b'{"event_type":"purchase","user_id":"anna"}'], Limits(10**5, 20), parse("2026-01-01T00:00:00Z"))
    answers: list[Any] = []
    expectations.observe(batch.events, batch.records)
    time_is_over = expectations.expect(Query(fields={"user_id": "anna"}), scope=None, least=2, done=answers.append)

    expectations.forget()
    time_is_over()

    assert [(one["matched"], one["events"], one["near_misses"]) for one in answers] == [(0, [], [])]
