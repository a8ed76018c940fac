"""The rules about what an event may be, on the fast way and on the careful one."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickstream.errors import RECORD_CODES
from clickstream.events import Limits, new_event_id, validate
from clickstream.timestamps import parse, text
from tests.support.native import (
    JSON_VALUES,
    LIMITS,
    NOW_MS,
    TEXT,
    encoded,
    good_events,
    native_event,
    without_additions,
    written,
)


def rejection(record: bytes, limits: Limits = LIMITS) -> tuple[str, str | None]:
    batch = validate([record], limits, NOW_MS)
    assert (batch.events, batch.records, batch.times_ms) == ([], [], [])
    [one] = batch.rejections
    assert one.record == record
    assert one.message
    return one.code, one.field


def stored(event: dict[str, Any]) -> dict[str, Any]:
    batch = validate([encoded(event)], LIMITS, NOW_MS)
    assert batch.rejections == []
    [record] = batch.records
    kept: dict[str, Any] = json.loads(record)
    return kept


def test_a_complete_event_is_kept_byte_for_byte_with_the_time_of_arrival() -> None:
    time_and_id = b'"timestamp":"2026-01-15T10:00:00Z","event_id":"e"'
    record = b'{"user_id":"u", "event_type":"click",' + time_and_id + b',"properties":{"n":1.10}}'

    batch = validate([record], LIMITS, NOW_MS)

    assert batch.records == [record[:-1] + b',"received_at":"2026-01-15T10:30:00.000Z"}']
    assert batch.times_ms == [parse("2026-01-15T10:00:00Z")]


def test_what_is_missing_is_added() -> None:
    kept = stored({"event_type": "click", "session_id": "s"})

    assert kept["timestamp"] == kept["received_at"] == text(NOW_MS)
    assert kept["properties"] == {}
    assert len(kept["event_id"]) == 36


def test_null_counts_as_missing() -> None:
    kept = stored({"event_id": None, "event_type": "click", "user_id": "u", "session_id": None, "properties": None})

    assert isinstance(kept["event_id"], str)
    assert kept["properties"] == {}
    assert kept["session_id"] is None


def test_times_are_stored_as_utc() -> None:
    assert stored(native_event(timestamp="2026-01-15T12:00:00+02:00"))["timestamp"] == "2026-01-15T10:00:00.000Z"


def test_a_clock_a_day_ahead_is_corrected_and_the_original_kept() -> None:
    kept = stored(native_event(timestamp="2026-01-16T10:30:00.001Z"))

    assert kept["timestamp"] == kept["received_at"]
    assert kept["original_timestamp"] == "2026-01-16T10:30:00.001Z"
    assert stored(native_event(timestamp="2026-01-16T10:30:00Z"))["timestamp"] == "2026-01-16T10:30:00Z"


def test_received_at_is_the_servers_whatever_the_sender_says() -> None:
    kept = stored(native_event(received_at="1999-01-01T00:00:00Z"))

    assert kept["received_at"] == "2026-01-15T10:30:00.000Z"


E128 = "x" * 128


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"event_type": None}, "missing_field", "event_type"),
        ({"event_type": 5}, "invalid_type", "event_type"),
        ({"event_type": ""}, "invalid_value", "event_type"),
        ({"event_type": "Click"}, "invalid_value", "event_type"),
        ({"event_type": "1st"}, "invalid_value", "event_type"),
        ({"event_type": "a" * 65}, "invalid_value", "event_type"),
        ({"event_type": "click\n"}, "invalid_value", "event_type"),
        ({"event_type": "größe"}, "invalid_value", "event_type"),
        ({"user_id": None, "session_id": None}, "missing_identity", "user_id"),
        ({"user_id": ""}, "invalid_value", "user_id"),
        ({"user_id": 7}, "invalid_type", "user_id"),
        ({"user_id": True}, "invalid_type", "user_id"),
        ({"session_id": E128 + "x"}, "invalid_value", "session_id"),
        ({"anonymous_id": ["a"]}, "invalid_type", "anonymous_id"),
        ({"event_id": ""}, "invalid_value", "event_id"),
        ({"event_id": {}}, "invalid_type", "event_id"),
        ({"timestamp": 1768473000}, "invalid_type", "timestamp"),
        ({"timestamp": "yesterday"}, "invalid_value", "timestamp"),
        ({"timestamp": ""}, "invalid_value", "timestamp"),
        ({"properties": []}, "invalid_type", "properties"),
        ({"properties": "x"}, "invalid_type", "properties"),
    ],
)
def test_each_broken_rule_has_its_code_and_field(change: dict[str, Any], code: str, field: str) -> None:
    event = native_event()
    for name, value in change.items():
        event[name] = value
        if value is None:
            del event[name]

    assert rejection(encoded(event)) == (code, field)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"user_id": "u"}, "event_type is missing"),
        ({"user_id": "u", "type": "click"}, 'event_type is missing; it is not called "type" here'),
        ({"event": "Signed Up", "userId": "u"}, 'event_type is missing; it is not called "event" here'),
        ({"events": [native_event()]}, 'event_type is missing; a batch is {"records": [...]}, not "events"'),
        ({"user_id": "u", "name": 5, "events": "x"}, "event_type is missing"),
    ],
)
def test_what_is_called_otherwise_elsewhere_is_told_its_name_here(sent: dict[str, Any], message: str) -> None:
    (refused,) = validate([encoded(sent)], LIMITS, NOW_MS).rejections

    assert refused.message == message


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (b"", "malformed_json"),
        (b"{", "malformed_json"),
        (b"nonsense", "malformed_json"),
        (b"5", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"[]", "not_an_object"),
        (b'{"event_type":"click","user_id":"u"} {}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","n":NaN}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","n":-Infinity}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","n":1e999}', "number_out_of_range"),
        (b'{"event_type":"click","user_id":"u","n":%s}' % (b"9" * 5000), "number_out_of_range"),
        (b'{"event_type":"click","user_id":"u","n":01}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","s":"\xff"}', "invalid_unicode"),
        (b'{"event_type":"click","user_id":"u","s":"\xed\xa0\x80"}', "invalid_unicode"),
        (b'{"event_type":"click","user_id":"u","s":"\\ud800"}', "invalid_unicode"),
        (b'{"event_type":"click","user_id":"u","s":"\\udc00x"}', "invalid_unicode"),
        (b'{"event_type":"click","user_id":"u","s":"a\nb"}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","s":"a\0b"}', "malformed_json"),
        (b'{"event_type":"click","user_id":"u","event_type":"search"}', "duplicate_key"),
        (b'{"event_type":"click","user_id":"u","user\\u005fid":"v"}', "duplicate_key"),
        (b'{"event_type":"click","user_id":"u","x":1,"x":1}', "duplicate_key"),
        ('{"event_type":"click","user_id":"u","€":1,"\\u20ac":1}'.encode(), "duplicate_key"),
        (b'{"event_type":"click","user_id":"u","a/b":1,"a\\/b":1}', "duplicate_key"),
        (b'\xef\xbb\xbf{"event_type":"click","user_id":"u"}', "malformed_json"),
        ('{"event_type":"click","user_id":"u"}'.encode("utf-16"), "invalid_unicode"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nesting_too_deep"),
        (b'{"event_type":"click","user_id":"u","s":"%s"}' % (b"x" * 256 * 1024), "event_too_large"),
    ],
)
def test_what_is_not_an_event_is_refused(record: bytes, code: str) -> None:
    assert rejection(record)[0] in ({code, "nesting_too_deep"} if code == "malformed_json" else {code})


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    "tail",
    [b',"x":1,"x":1', ',"€":1,"\\u20ac":1'.encode(), b',"a/b":1,"a\\/b":1', b',"user_id":"v"', b',"user\\u005fid":"v"'],
)
def test_a_repeated_key_is_found_however_it_is_written(tail: bytes, complete: bool) -> None:
    event = native_event() if complete else native_event(event_id=None)
    other = b'{"event_type":"click","user_id":"u"}'

    batch = validate([other, encoded(event)[:-1] + tail + b"}", other], LIMITS, NOW_MS)

    assert [(one.index, one.code) for one in batch.rejections] == [(1, "duplicate_key")]


def test_a_key_may_be_repeated_inside_properties_values() -> None:
    record = encoded(native_event(properties={"user_id": "user_id", "event_type": {"event_id": "timestamp"}}))

    assert validate([record], LIMITS, NOW_MS).rejections == []


def test_depth_cannot_be_hidden_behind_brackets_in_strings() -> None:
    closing, opening = b'"' + b"]" * 30 + b'"', b'"' + b"[" * 30 + b'"'
    hidden = b"[" * 30 + closing + b"," + b"[" * 30 + b"1" + b"]" * 30 + b"," + opening + b"]" * 30
    record = encoded(native_event())[:-1] + b',"extra":{"a":' + hidden + b"}}"

    for batch in ([record], [encoded(native_event()), record]):
        assert [one.code for one in validate(batch, LIMITS, NOW_MS).rejections] == ["nesting_too_deep"]


def test_nesting_is_allowed_up_to_the_limit_and_brackets_in_strings_do_not_count() -> None:
    deep: Any = "{[" * 100
    for _ in range(30):
        deep = [deep]

    assert validate([encoded(native_event(properties={"a": deep}))], LIMITS, NOW_MS).rejections == []
    assert rejection(encoded(native_event(properties={"a": [deep]})))[0] == "nesting_too_deep"


def test_two_broken_lines_that_would_be_good_together_are_both_refused() -> None:
    halves = [
        b'{"event_id":"a","event_type":"click","user_id":"u","timestamp":"2026-01-15T10:00:00Z","properties":{"x":[{}',
        b"{}]}}",
    ]

    batch = validate(halves, LIMITS, NOW_MS)

    assert [one.code for one in batch.rejections] == ["malformed_json", "malformed_json"]


@given(st.data())
@settings(max_examples=300)
def test_every_good_event_is_kept_equal(data: st.DataObject) -> None:
    sent = data.draw(good_events())

    batch = validate([data.draw(written(sent))], LIMITS, NOW_MS)

    assert batch.rejections == []
    [record] = batch.records
    assert b"\n" not in record
    kept = json.loads(record)
    expected = dict(sent)
    if "timestamp" in sent:
        assert parse(kept["timestamp"]) == parse(sent["timestamp"]) == batch.times_ms[0]
        expected["timestamp"] = kept["timestamp"]
    assert without_additions(kept, sent) == expected
    assert list(kept)[: len(sent)] == list(sent)
    [event] = batch.events
    assert (event.event_type, event.event_id) == (kept["event_type"], kept["event_id"])
    assert (event.user_id, event.session_id) == (kept.get("user_id"), kept.get("session_id"))
    assert event.properties == kept["properties"]


any_field = st.sampled_from(
    [
        "event_id",
        "event_type",
        "user_id",
        "session_id",
        "anonymous_id",
        "timestamp",
        "properties",
        "received_at",
        "a/b",
        "€",
        "x",
    ]
)
change = st.sampled_from(["as it is", "doubled key", "cut", "flipped"])


@st.composite
def doubtful_records(draw: st.DrawFn) -> bytes:
    """Records near the border: good ones with a field changed, doubled, escaped or cut."""
    event = draw(good_events())
    if draw(st.booleans()):
        event[draw(any_field)] = draw(JSON_VALUES)
    record: bytes = draw(written(event))
    kind = draw(change)
    if kind == "doubled key":
        name = draw(any_field)
        key = json.dumps(name) if draw(st.booleans()) else '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
        record = record[:-1] + f",{key}:{json.dumps(draw(TEXT))}}}".encode()
    elif kind == "cut":
        record = record[: draw(st.integers(0, len(record)))]
    elif kind == "flipped":
        position = draw(st.integers(0, len(record) - 1))
        record = record[:position] + bytes([draw(st.integers(0, 255))]) + record[position + 1 :]
    return record


@given(st.lists(doubtful_records(), max_size=40))
@example([encoded(native_event("a"))] * 33)
@example([b""] * 20)
@settings(max_examples=300)
def test_a_batch_gets_the_verdicts_of_its_records_alone(records: list[bytes]) -> None:
    together = validate(records, LIMITS, NOW_MS)

    alone = [validate([record], LIMITS, NOW_MS) for record in records]
    assert [event.event_type for event in together.events] == [e.event_type for one in alone for e in one.events]
    assert together.times_ms == [ms for one in alone for ms in one.times_ms]
    assert [(one.index, one.code) for one in together.rejections] == [
        (index, batch.rejections[0].code) for index, batch in enumerate(alone) if batch.rejections
    ]
    assert {one.code for one in together.rejections} <= RECORD_CODES
    assert len(together.events) == len(together.records) == len(together.times_ms)


@given(doubtful_records())
@settings(max_examples=500)
def test_a_lone_record_and_one_that_is_examined_closely_get_the_same_verdict(record: bytes) -> None:
    fast = validate([record], LIMITS, NOW_MS)
    # Its neighbour spoils the group, so that the record is looked at rule by rule.
    careful = validate([record, b"spoilt"], LIMITS, NOW_MS)

    assert [one.code for one in careful.rejections] == [one.code for one in fast.rejections] + ["malformed_json"]
    for quick, slow in zip(fast.records, careful.records, strict=True):
        one, other = json.loads(quick), json.loads(slow)
        if '"event_id"' not in record.decode():
            del one["event_id"], other["event_id"]
        if one.get("event_id") == other.get("event_id"):
            assert one == other


def test_what_is_accepted_is_json_for_everybody() -> None:
    """Python's own parser, without its extensions, reads every kept line."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    @given(doubtful_records())
    @settings(max_examples=300)
    def check(record: bytes) -> None:
        for line in validate([record], LIMITS, NOW_MS).records:
            assert isinstance(json.loads(line, parse_constant=refuse), dict)
            assert b"\n" not in line
            assert b"\r" not in line

    check()


def named(*names: str) -> bytes:
    """An event without faults that has fields of these names besides."""
    return encoded(native_event())[:-1] + b"".join(b',"%b":1' % name.encode() for name in names) + b"}"


HOSTILE: dict[str, Callable[[], list[bytes]]] = {
    "unclosed strings": lambda: [b'\\"' * 130_000] * 20,
    "open brackets": lambda: [b"[" * 500] * 10_000,
    "deep": lambda: [encoded(native_event(properties={"n": json.loads("[" * 180 + "]" * 180)}))] * 8_000,
    "wide": lambda: [b'{"event_type":"click","user_id":"u","x":[%s1]}' % (b"[]," * 80_000)] * 20,
    "wrong type": lambda: [encoded(native_event(event_type="Click"))] * 10_000,
    "quotes": lambda: [b'"' * 260_000] * 20,
    "escapes": lambda: [b'{"' + b"\\u0061" * 40_000 + b'":1}'] * 20,
    "one name twice": lambda: [named(*(f"k{index}" for index in range(20_000)), "k19999")] * 20,
    "names of their own": lambda: [named(*(f"k{index}_{number}" for index in range(40))) for number in range(8_000)],
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_five_megabytes_of_hostile_records_hold_the_loop_up_for_seconds_at_most(kind: str) -> None:
    records = HOSTILE[kind]()
    gc.freeze()  # as the API does at its start: the collector must not look through what other tests left
    begin = time.process_time()

    validate(records, LIMITS, NOW_MS)

    gc.unfreeze()
    # Processor time, because other work on the machine must not count. Plain work takes up to a second; what this
    # guards against took from ten seconds to a quarter of an hour.
    assert time.process_time() - begin < 6


def test_new_ids_are_distinct_uuid7_in_the_order_of_time() -> None:
    ids = [new_event_id(NOW_MS + step) for step in range(100)]

    assert ids == sorted(ids)
    assert len({new_event_id(NOW_MS) for _ in range(10_000)}) == 10_000
    assert all(one[14] == "7" and one[19] in "89ab" for one in ids)
