from __future__ import annotations

import json
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.aws import packing
from clickstream.aws.local.template import load_template, resources
from tests.support.event_sample import sample_events

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
stored_events = st.fixed_dictionaries(
    {
        "event_id": st.text("abc-0123", min_size=1, max_size=36),
        "event_type": st.sampled_from(["page_view", "custom.type"]),
        "timestamp": st.just("2026-01-15T10:30:00Z"),
        "properties": st.dictionaries(texts, values, max_size=4),
        "received_at": st.just("2026-01-15T10:30:01.000Z"),
    },
    optional={"user_id": texts.filter(bool), "anonymous_id": texts.filter(bool), "country": values, "v": values},
)


def encode(event: object) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def unpacked(packs: list[packing.Pack]) -> dict[int, object]:
    found = {}
    for one in packs:
        for index, (_, line, _) in zip(one.indexes, packing.unpack(one.data), strict=True):
            assert isinstance(line, packing.Line), line
            found[index] = json.loads(packing.record_of(line))
    return found


@given(st.lists(stored_events, max_size=20))
def test_every_stored_event_comes_out_equal_as_json(events: list[object]) -> None:
    packs = packing.pack([encode(event) for event in events])

    assert unpacked(packs) == dict(enumerate(events))


def test_packs_stay_below_25_kb_and_one_big_event_travels_alone() -> None:
    events = [encode(event) for event in sample_events(3000, seed=1)]
    big = encode(
        {
            "event_id": "big",
            "event_type": "click",
            "user_id": "u",
            "properties": {"t": "x" * 60_000},
            "timestamp": "2026-01-15T10:30:00Z",
            "received_at": "2026-01-15T10:30:00Z",
        }
    )

    packs = packing.pack([*events, big])

    assert len(packs) < 3000 / 20
    assert [len(one.indexes) for one in packs if len(one.data) > packing.MAX_PACK_BYTES] == [1]


def test_the_largest_allowed_event_fits_a_record_even_if_every_byte_is_escaped() -> None:
    frame = {
        "event_id": "e" * 128,
        "event_type": "t" * 64,
        "user_id": "u" * 128,
        "anonymous_id": "a" * 128,
        "session_id": "s" * 128,
        "timestamp": "2026-01-15T10:30:00.123456789012345678Z",
        "received_at": "2026-01-15T10:30:00.123Z",
        "properties": {},
    }
    room = packing.MAX_EVENT_BYTES - len(encode(frame)) - 10
    frame["properties"] = {'"': "\\" * (room // 2)}

    (one,) = packing.pack([encode(frame)])

    assert len(one.data) + len(one.partition_key) <= packing.MAX_RECORD_BYTES
    assert unpacked([one])[0] == frame


def test_events_of_a_person_share_a_lane_and_keep_their_order() -> None:
    events = sample_events(2000, seed=2)
    order: dict[str, list[int]] = defaultdict(list)

    packs = packing.pack([encode(event) for event in events])

    lanes: dict[str, set[int]] = defaultdict(set)
    for one in packs:
        for index in one.indexes:
            event = events[index]
            key = event.get("user_id") or event.get("anonymous_id") or event["session_id"]
            lanes[key].add(one.lane)
            order[key].append(index)
    assert all(len(used) == 1 for used in lanes.values())
    assert all(indexes == sorted(indexes) for indexes in order.values())


def test_lanes_are_spread_evenly_over_any_usual_number_of_shards() -> None:
    for shards in (1, 2, 4, 8, 16, 32, 64):
        used = [int(packing.hash_key(lane)) * shards // 2**128 for lane in range(packing.LANES)]
        assert {used.count(shard) for shard in range(shards)} == {packing.LANES // shards}


def test_a_bad_line_does_not_hide_the_others_and_a_plain_event_is_understood() -> None:
    plain = encode(sample_events(1, seed=3)[0])
    data = b"\n".join([packing.line_of(plain), b"{broken", b"\xff\xfe", b"[1]", b"", plain, b'{"v":1}', b"[" * 5000])

    lines = [line for _, line, _ in packing.unpack(data)]

    assert [type(line).__name__ for line in lines] == ["Line", *["NotAnEvent"] * 3, "Line", *["NotAnEvent"] * 2]
    assert lines[0] == lines[4]


def test_the_lake_has_a_column_for_every_field() -> None:
    (table,) = resources(load_template(), "AWS::Glue::Table").values()
    columns = [column["Name"] for column in table["TableInput"]["StorageDescriptor"]["Columns"]]

    assert tuple(columns) == packing.COLUMNS == packing.Line.__struct_fields__


@pytest.mark.parametrize("identity", [{"user_id": "x"}, {"anonymous_id": "x"}, {"session_id": "x"}])
def test_the_lane_follows_the_first_identity_there_is(identity: dict[str, str]) -> None:
    assert packing.lane_of(encode({"event_type": "click", **identity})) == packing.lane_of(b'{"user_id":"x"}')
