"""What an adapter hands over beside its records must not get another verdict than the records themselves."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.events import Batch, Limits, validate
from clickstream.wire import WireBatch
from clickstream.wire.mapping import Record
from tests.support.wire import LIMITS, decode, request

NOW = datetime(2026, 11, 24, 9, 20, tzinfo=timezone.utc)
NOW_MS = int(NOW.timestamp() * 1000)
AT = "2026-11-24T09:19:00.000Z"
TP2 = "/com.snowplowanalytics.snowplow/tp2"
FAMILIES = {
    "/v1/batch": (
        "batch",
        {
            "type": "track",
            "event": "Saw",
            "messageId": "m",
            "userId": "u",
            "anonymousId": "a",
            "context": {},
            "timestamp": AT,
        },
    ),
    "/batch/": (
        "batch",
        {"event": "saw", "uuid": "m", "distinct_id": "u", "properties": {"$session_id": "s"}, "timestamp": AT},
    ),
    TP2: ("data", {"e": "se", "se_ac": "saw", "eid": "m", "uid": "u", "duid": "a", "sid": "s", "dtm": "1795511940000"}),
    "/collect": (
        "",
        {"event_type": "saw", "event_id": "m", "device_id": "a", "timestamp": 1795511940000, "attributes": {}},
    ),
}
LONG = "x" * 129
IDS: list[Any] = ["", "x" * 128, LONG, "é" * 128, 7, 1.5, True, None, [], {"a": 1}]
STRANGE: list[Any] = [
    *IDS,
    "page",
    2**70,
    "2026-11-24T09:19:00Z",
    "2030-01-01T00:00:00.000Z",
    "20:00",
    -1,
    "\0",
    "Ab c",
]


def batch(path: str, *changes: dict[str, Any]) -> WireBatch:
    wrap, event = FAMILIES[path]
    sent = [{**event, **change} for change in changes]
    return decode(request(path, {wrap: sent} if wrap else sent, received_at=NOW))


def assert_same_verdicts(made: WireBatch, limits: Limits = LIMITS) -> Batch:
    said = validate(made.records, limits, NOW_MS, made.events)
    read = validate(made.records, limits, NOW_MS)
    assert [(one.index, one.code, one.field) for one in said.rejections] == [
        (one.index, one.code, one.field) for one in read.rejections
    ]
    assert said.times_ms == read.times_ms
    for ours, theirs, one, other in zip(said.records, read.records, said.events, read.events, strict=True):
        complete = b'"event_id":' in ours
        assert not complete or ours == theirs or json.loads(ours)["event_id"] != json.loads(theirs)["event_id"]
        assert one.properties == other.properties
        for name in ("event_type", "user_id", "anonymous_id", "session_id"):
            assert getattr(one, name) == getattr(other, name)
    return said


@pytest.mark.parametrize("path", FAMILIES)
@given(data=st.data())
def test_every_field_may_hold_anything(path: str, data: st.DataObject) -> None:
    names = [*FAMILIES[path][1], "properties", "session_id", "timestamp", "ttm", "url", "user"]
    change = st.dictionaries(st.sampled_from(names), st.sampled_from(STRANGE), max_size=2)

    assert_same_verdicts(batch(path, *data.draw(st.lists(change, min_size=1, max_size=3))))


@pytest.mark.parametrize("path", FAMILIES)
def test_a_plain_batch_is_taken_from_what_the_adapter_says(path: str) -> None:
    made = batch(path, {}, {})
    assert made.events is not None

    verdicts = assert_same_verdicts(made)

    assert verdicts.rejections == []
    assert [id(event) for event in verdicts.events] == [id(event) for event in made.events]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"messageId": LONG}, "invalid_value"),
        ({"userId": LONG}, "invalid_value"),
        ({"anonymousId": LONG}, "invalid_value"),
        ({"context": {"sessionId": LONG}}, "invalid_value"),
        ({"userId": None, "anonymousId": None}, "missing_identity"),
        ({"event": None}, "missing_field"),
        ({"properties": 7}, "invalid_type"),
        ({"properties": "{"}, "invalid_type"),
        ({"properties": {"n": json.loads("[" * 40 + "]" * 40)}}, "nesting_too_deep"),
        ({"properties": {"n": "x" * LIMITS.max_event_bytes}}, "event_too_large"),
        ({"timestamp": "yesterday"}, "invalid_value"),
    ],
)
def test_one_bad_event_is_refused_and_its_neighbours_are_kept(change: dict[str, Any], code: str) -> None:
    verdicts = assert_same_verdicts(batch("/v1/batch", {"messageId": "1"}, change, {"messageId": "2"}))

    assert [(one.index, one.code) for one in verdicts.rejections] == [(1, code)]
    assert [event.event_id for event in verdicts.events] == ["1", "2"]


def test_a_time_far_ahead_becomes_that_of_arrival() -> None:
    verdicts = assert_same_verdicts(batch("/v1/batch", {"timestamp": "2026-11-26T09:19:00.000Z"}))

    assert verdicts.times_ms == [NOW_MS]


@pytest.mark.parametrize("change", [{"event_type": "Not A Type"}, {"event_id": ""}, {"user_id": ""}, {"timestamp": ""}])
def test_an_adapter_that_says_nonsense_is_not_believed(change: dict[str, str]) -> None:
    record = Record(**{"event_type": "click", "event_id": "m", "user_id": "u", "timestamp": AT, **change})
    made = WireBatch([msgspec.json.encode(record)], events=[record])

    assert [one.code for one in assert_same_verdicts(made).rejections] == ["invalid_value"]
