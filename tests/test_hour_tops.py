"""Top lists of windows: sums of minutes, exact up to 2,000 values of a dimension an hour."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as some

from clickstream.events import Event
from clickstream.stats import Stats, snapshot
from clickstream.stats.hour_tops import MOST_VALUES, HourTops
from clickstream.timestamps import MINUTE_MS
from tests.support.native import NOW_MS

OCCURRENCES = some.lists(
    some.tuples(some.integers(0, 59), some.sampled_from(["pages", "devices"]), some.text("abc", max_size=2))
)


@given(OCCURRENCES, some.integers(0, 59), some.integers(0, 59))
def test_any_span_is_the_sum_of_its_minutes(occurrences: list[tuple[int, str, str]], first: int, last: int) -> None:
    tops = HourTops()
    for minute, name, value in occurrences:
        tops.add(minute, {name: {value: 1}})

    found = tops.between(first, last)

    for name in ("pages", "devices"):
        assert found.counts[name] == Counter(v for m, n, v in occurrences if n == name and first <= m <= last)
        assert tops.between(-5, 90).counts[name] == Counter(v for _, n, v in occurrences if n == name)
    assert found.exact
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(tops), type=HourTops, strict=False) == tops


def test_of_too_many_values_the_first_are_counted_and_the_rest_is_said_to_be_missing() -> None:
    tops = HourTops()
    tops.add(3, {"pages": {f"/{number}": 1 for number in range(MOST_VALUES)}})
    assert tops.between(0, 59).exact

    tops.add(4, {"pages": {"/0": 5, "/late": 9}})

    assert tops.between(4, 4).counts["pages"] == {"/0": 5}
    assert not tops.between(4, 4).exact


def test_a_page_that_comes_after_hundreds_of_others_in_its_minute_is_at_the_top_of_every_window() -> None:
    stats = Stats()
    pages = [f"/products/{number}" for number in range(600)] + ["/news"] * 50
    views = [Event(event_type="page_view", user_id="u", properties={"page": page}) for page in pages]
    for start in range(0, len(views), 100):
        part = views[start : start + 100]
        stats.fold(part, [NOW_MS - MINUTE_MS] * len(part), NOW_MS)

    for window in ("15m", "1h", "24h", "all"):
        top = snapshot(stats, window, NOW_MS)["top"]
        assert top["pages"][0] == {"value": "/news", "count": 50}
        assert top["exact"] is True
