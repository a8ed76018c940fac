"""Filters of /events and /export."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.errors import RequestRefused
from clickstream.query import Query, from_parameters, written
from tests.support.native import JSON_VALUES, encoded, native_event
from tests.support.platform import platform

EVENT = native_event(
    properties={"page": "/a", "n": 5, "f": 1.5, "on": True, "none": None, "list": [1, "x"], "ü": "é", "price": "25.5"}
)


def matches(event: dict[str, Any], **parameters: str) -> bool:
    query = from_parameters({name.replace("__", "."): value for name, value in parameters.items()}, also=frozenset())
    return query.matches(encoded(event))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, True),
        ({"event_id": EVENT["event_id"]}, True),
        ({"event_id": "another"}, False),
        ({"event_type": "page_view"}, True),
        ({"event_type": "page"}, False),
        ({"user_id": "user_1", "session_id": "session_1"}, True),
        ({"user_id": "user_1", "session_id": "session_2"}, False),
        ({"anonymous_id": "a"}, False),
        ({"property__page": "/a"}, True),
        ({"property__page": "/b"}, False),
        ({"property__n": "5"}, True),
        ({"property__n": "5.0"}, True),
        ({"property__n": "5.01"}, False),
        ({"property__n": '"5"'}, False),
        ({"property__price": "25.5"}, False),
        ({"property__price": '"25.5"'}, True),
        ({"property__page": '"/a"'}, True),
        ({"property__on": "1"}, False),
        ({"property__on": "false"}, False),
        ({"property__none": "null"}, True),
        ({"property__missing": "null"}, True),
        ({"property__none": '"null"'}, False),
        ({"property__missing": '""'}, False),
        ({"property__list": '[ 1, "x" ]'}, True),
        ({"property__list": '[true,"x"]'}, False),
        ({"property__f": "1.5"}, True),
        ({"property__on": "true"}, True),
        ({"property__list": '[1,"x"]'}, True),
        ({"property__ü": "é"}, True),
        ({"product": "/a"}, False),
        ({"since": "2026-01-15T10:29:30Z"}, True),
        ({"since": "2026-01-15T10:29:30.001Z"}, False),
        ({"until": "2026-01-15T10:29:30Z"}, False),
        ({"until": "2026-01-15T12:29:30.001 02:00"}, True),
        ({"until": "2026-01-15T12:29:30.001+02:00"}, True),
    ],
)
def test_all_conditions_must_hold(parameters: dict[str, str], expected: bool) -> None:
    assert matches(EVENT, **parameters) is expected


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ({"is_bot": True}, True),
        ({}, False),
        ({"is_bot": False}, False),
        ({"is_bot": "true"}, True),
        ({"is_bot": 1}, False),
    ],
)
def test_robots_are_those_that_are_marked_so(mark: dict[str, Any], expected: bool) -> None:
    assert matches({**EVENT, **mark}, is_bot="true") is expected
    assert matches({**EVENT, **mark}, is_bot="false") is not expected


def test_a_robot_is_true_or_false() -> None:
    with pytest.raises(RequestRefused, match="is_bot=yes is neither true nor false") as caught:
        from_parameters({"is_bot": "yes"}, also=frozenset())

    assert caught.value.field == "is_bot"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"product_name": "Poles", "product_id": "p-1"}, True),
        ({"product_id": "Poles"}, True),
        ({"product_name": "", "product_id": "Poles"}, True),
        ({"product_name": 5, "product_id": "Poles"}, True),
        ({"product_name": "p-1", "product_id": "Poles"}, False),
        ({}, False),
    ],
)
def test_a_product_is_found_by_the_name_that_the_top_lists_give_it(properties: dict[str, Any], expected: bool) -> None:
    assert matches(native_event(properties=properties), product="Poles") is expected


def test_values_are_found_however_they_are_written_in_the_record() -> None:
    record = b'{"event_type":"click","user_id":"\\u0061b\\u00e9","properties":{"p":"\\/x"}}'

    assert Query(fields={"user_id": "abé"}).matches(record)
    assert Query(properties={"p": "/x"}).matches(record)
    assert not Query(fields={"user_id": "ab"}).matches(record)


@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON_VALUES), st.sampled_from(["a", "b"]), JSON_VALUES)
def test_a_property_matches_exactly_its_own_value(properties: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    record = encoded(native_event(properties=properties))
    query = from_parameters({f"property.{name}": written(value)}, also=frozenset())

    assert query.matches(record) == (_canonical(properties.get(name)) == _canonical(value))


@given(JSON_VALUES)
def test_every_value_can_be_asked_for(value: Any) -> None:  # noqa: ANN401
    assert from_parameters({"property.a": written(value)}, also=frozenset()).matches(
        encoded(native_event(properties={"a": value}))
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/a", "/a"),
        ("25.5", '"25.5"'),
        ("true", '"true"'),
        ('"', '"'),
        ('"a"', '"\\"a\\""'),
        (25.5, "25.5"),
        (None, "null"),
    ],
)
def test_only_text_that_reads_as_json_is_written_in_quotes(value: object, expected: str) -> None:
    assert written(value) == expected


def _canonical(value: object) -> str:
    """Text that two JSON values share exactly when they are the same; a number is one whether written 5 or 5.0."""
    if isinstance(value, dict):
        return repr(dict(sorted((name, _canonical(one)) for name, one in value.items())))
    if isinstance(value, list):
        return f"[{', '.join(map(_canonical, value))}]"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return repr(Fraction(value)) if number else json.dumps(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('[{"price":20.0}]', True),
        ('[{"price":2e1}]', True),
        ('[{"price":"20"}]', False),
        ('[{"price":20,"gift":1}]', False),
        ('[{"price":20},1]', False),
    ],
)
def test_numbers_in_lists_and_objects_are_compared_as_numbers(asked: str, expected: bool) -> None:
    record = encoded(native_event(properties={"items": [{"price": 20}], "flags": [{"gift": True}]}))

    assert from_parameters({"property.items": asked}, also=frozenset()).matches(record) is expected
    assert from_parameters({"property.flags": '[{"gift":true}]'}, also=frozenset()).matches(record)
    assert not from_parameters({"property.flags": '[{"gift":1}]'}, also=frozenset()).matches(record)


@pytest.mark.parametrize("name", ["colour", "property.", "Event_type", "limit"])
def test_unknown_parameters_are_refused_by_name(name: str) -> None:
    with pytest.raises(RequestRefused, match="known: ") as caught:
        from_parameters({name: "1"}, also=frozenset({"format"}))

    assert (caught.value.code, caught.value.field) == ("invalid_parameter", name)


@pytest.mark.parametrize("record", [b"{}", b'{"properties":null}', b'{"timestamp":5}', b"[]", b"broken"])
def test_records_of_older_versions_are_merely_not_found(record: bytes) -> None:
    assert not Query(fields={"user_id": "u"}, since_ms=0).matches(record)
    assert not Query(properties={"a": "1"}).matches(record)
    assert not Query(since_ms=0).matches(record)


def test_events_of_older_files_are_found_in_the_minute_in_which_they_are_counted(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    events = [
        {"event_type": "click", "user_id": "u", "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.123456")},
        {"event_type": "click", "user_id": "u", "received_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")},
    ]
    (tmp_path / "events_backup.json").write_text(json.dumps(events))

    with platform(tmp_path) as api:
        counted = api.get("/stats", window="15m")
        found = api.get("/events", since=counted["window"]["from"], until=(now + timedelta(seconds=1)).isoformat())

    assert (counted["total_events"], len(found["events"])) == (2, 2)
