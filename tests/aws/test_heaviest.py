"""Space-saving against counting everything: bounds that hold, and nothing frequent is missed."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clickstream.aws.consumer.heaviest import LIST_BYTES, Heaviest
from clickstream.stats.top import TopCounts


def fed(batches: list[dict[str, int]], *, most: int) -> Heaviest:
    """The list after `batches`, written and read between them as the consumer does."""
    top = Heaviest(most=most)
    for batch in batches:
        top.add({"pages": batch})
        top = msgspec.msgpack.decode(msgspec.msgpack.encode(top), type=Heaviest)
    return top


@given(st.lists(st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(1, 20), max_size=9), max_size=25))
def test_counts_are_bounds_and_whoever_is_frequent_is_among_them(batches: list[dict[str, int]]) -> None:
    truth: Counter[str] = Counter()
    for batch in batches:
        truth.update(batch)

    top = fed(batches, most=4)

    counts = top.counts["pages"]
    uncounted = top.uncounted.get("pages", [0] * len(counts))
    for (value, count), more in zip(counts.items(), uncounted, strict=True):
        assert count <= truth[value] <= count + more
    assert {value for value, count in truth.items() if count > truth.total() / 4} <= counts.keys()
    assert all(truth[value] <= top.left_out["pages"] for value in truth if value not in counts)
    assert not top.exact or counts == truth


def test_it_is_exact_while_everything_fits() -> None:
    batches = [{f"/{number}": number + 1 for number in range(begin, begin + 10)} for begin in range(0, 100, 10)]

    top = fed(batches * 3, most=100)

    assert top.counts["pages"] == {f"/{number}": 3 * (number + 1) for number in range(100)}
    assert top.exact


def test_long_values_take_no_more_room_than_there_is() -> None:
    value = "\N{GRINNING FACE}" * 196

    top = fed([{f"{number:04d}{value}": number for number in range(1, 200)}] * 5, most=100)

    assert 20 < len(top.counts["pages"]) < 100
    assert f"0199{value}" in top.counts["pages"]
    assert len(msgspec.msgpack.encode(top)) < LIST_BYTES + 500
    assert not top.exact


def test_a_list_of_an_earlier_consumer_is_read_and_lets_later_values_in() -> None:
    earlier = TopCounts(most=3, exact=False)
    earlier.add({"pages": {"/1": 5, "/2": 1, "/3": 1}})

    top = msgspec.msgpack.decode(msgspec.msgpack.encode(earlier), type=Heaviest)
    top.add({"pages": {"/late": 2}})

    assert top.counts["pages"] == {"/1": 5, "/late": 2, "/2": 1}
