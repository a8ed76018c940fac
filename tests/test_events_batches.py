"""The quick pass over a batch sees what a look at each record would see."""

from __future__ import annotations

import json

import pytest

from clickstream.events import Limits, validate

NOW_MS = 1_800_000_000_000
LIMITS = Limits(max_event_bytes=262_144, max_nesting=32)


def record(number: int, **changes: object) -> bytes:
    event: dict[str, object] = {
        "event_id": f"e{number}",
        "event_type": "page_view",
        "user_id": "ü1",
        "session_id": "s1",
        "timestamp": "2026-01-15T10:30:00.000Z",
        "properties": {"page": "/é", "n": [1.5, {"user_id": 2}]},
    }
    return json.dumps(event | changes, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", ["event_id", "event_type", "user_id", "session_id", "timestamp", "properties"])
def test_a_field_that_stands_twice_is_found_in_a_batch_of_any_shape(name: str) -> None:
    twice = record(1)[:-1] + f',"{name}":{json.dumps(json.loads(record(1))[name])}}}'.encode()

    for batch in ([twice], [record(0), twice, record(2)], [record(0, anonymous_id="a"), twice]):
        rejected = validate(batch, LIMITS, NOW_MS).rejections

        assert [(one.index, one.code) for one in rejected] == [(batch.index(twice), "duplicate_key")]


def test_white_space_cannot_make_up_for_a_field_that_stands_twice() -> None:
    spaced = record(1).replace(b'":', b'": ').replace(b',"', b', "')
    twice = record(2)[:-1] + b',"user_id":"u"}'

    batch = validate([spaced, twice], LIMITS, NOW_MS)

    assert [event.event_id for event in batch.events] == ["e1"]
    assert [one.code for one in batch.rejections] == ["duplicate_key"]


@pytest.mark.parametrize("number", ["1e999", "-1E+309", "1.5e400", "1" * 400 + ".5"])
def test_a_number_beyond_a_float_is_found_wherever_it_stands(number: str) -> None:
    bad = record(1).replace(b"1.5", number.encode())

    batch = validate([record(0), bad, record(2)], LIMITS, NOW_MS)

    assert [(one.index, one.code) for one in batch.rejections] == [(1, "number_out_of_range")]


def test_ids_that_look_like_exponents_are_no_numbers() -> None:
    batch = validate([record(0, properties={"order_id": "3e400", "x": 1e300})], LIMITS, NOW_MS)

    assert batch.rejections == []
    assert batch.events[0].properties == {"order_id": "3e400", "x": 1e300}


@pytest.mark.parametrize("properties", [b"[]", b"5", b'"{}"', b"true"])
def test_properties_that_are_no_object_are_refused(properties: bytes) -> None:
    bad = record(1, properties={}).replace(b"{}", properties)

    batch = validate([record(0), bad], LIMITS, NOW_MS)

    assert [(one.index, one.code) for one in batch.rejections] == [(1, "invalid_type")]
