"""Whatever valid events come, no item grows beyond what DynamoDB takes, and the totals stay exact."""

from __future__ import annotations

from itertools import product
from string import ascii_uppercase
from typing import Any

import msgspec
import pytest

from clickstream.aws.consumer.adding import MAX_ITEM_BYTES, add_minutes, add_state
from clickstream.aws.consumer.table import CountedMinute, CounterTable, Put, ShardState, decode_state, shard_key
from clickstream.aws.local.resources import Names
from clickstream.stats import Stats
from clickstream.stats.minutes import Minute
from clickstream.stats.top import DIMENSIONS, TopCounts
from clickstream.timestamps import DAY_MS, text
from tests.support.consuming import DONE, NOW_MS, SHARD, Setting, expected_numbers, packed
from tests.support.event_sample import START_MS, sample_events

pytestmark = [pytest.mark.aws, pytest.mark.usefixtures("aws_environment")]

EMOJI = "\N{GRINNING FACE}" * 196
CODES = ["".join(letters) for letters in product(ascii_uppercase, ascii_uppercase, "JV")][:900]  # no currency's


class Measured(CounterTable):
    """The table, and how large its largest item and its largest transaction were."""

    item = transaction = 0

    def commit(self, puts: Any) -> None:  # noqa: ANN401
        sizes = [len(put.body) for put in puts]
        self.item, self.transaction = max(self.item, *sizes), max(self.transaction, sum(sizes))
        super().commit(puts)


@pytest.fixture
def at(names: Names) -> Setting:
    return Setting(names)


@pytest.fixture
def table(at: Setting) -> Measured:
    return Measured(at.dynamodb, at.table._name)


def event(number: int, kind: str, ms: int = START_MS, **properties: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "v": 1,
        "event_id": f"{ms}-{number}",
        "event_type": kind,
        "user_id": "u",
        "session_id": "s",
        "timestamp": text(ms),
        "received_at": text(ms),
        "properties": properties,
    }


def full(ms: int, kinds: int) -> list[dict[str, Any]]:
    """What fills every list of its minute: values of 800 bytes, types of 64, and three times as many as are kept."""
    views = [
        event(
            number,
            "page_view",
            ms,
            page=f"p{number}{EMOJI}",
            device=f"d{number}{EMOJI}",
            referrer=f"r{number}{EMOJI}",
            product_name=f"n{number}{EMOJI}",
        )
        for number in range(100)
    ]
    bought = [
        event(100 + number, "purchase", ms, product_name=f"b{number}{EMOJI}", total=10**13, currency=code)
        for number, code in enumerate(CODES[:kinds])
    ]
    custom = [event(2000 + number, f"kind{number:05d}".ljust(64, "a"), ms) for number in range(kinds)]
    return [*views, *bought, *custom]


@pytest.mark.parametrize("ms", [START_MS, NOW_MS - 60_000], ids=["of three days ago", "of now, by minute as well"])
def test_no_values_types_or_currencies_overfill_an_item(at: Setting, table: Measured, ms: int) -> None:
    events = full(ms, kinds=900)

    assert at.make(table).consume(packed(events)) == DONE

    assert table.item < MAX_ITEM_BYTES
    numbers = at.numbers("all" if ms == START_MS else "15m")
    assert numbers["total_events"] == 1900
    assert numbers["events_by_type"]["page_view"] == 100
    assert numbers["events_by_type"]["purchase"] == 900
    assert numbers["events_by_type"]["(other)"] == 402  # two standard ones and 498 others stand by themselves
    assert sum(numbers["revenue"]["by_currency"].values()) == 900 * 10**15
    assert numbers["revenue"]["by_currency"]["XXX"] == 400 * 10**15
    assert numbers["top"]["exact"] is False


def test_the_stated_bound_holds_for_the_longest_of_everything() -> None:
    """More than the API lets in: types of four bytes a character, and sums that a day would not come to."""
    everything = Stats(most_names=10**9)
    everything.types = {f"{number:04d}".ljust(64, "\N{GRINNING FACE}"): 2**40 for number in range(2000)}
    everything.revenue = {"".join(code): 10**30 for code in product(ascii_uppercase, repeat=3)}
    everything.top = TopCounts(most=10**9)
    everything.top.counts = {
        name: {f"{number:04d}".ljust(200, "x"): 2**40 + number for number in range(2000)} for name in DIMENSIONS
    }
    delta = Minute(everything.types, everything.revenue)
    state, minute = ShardState(), CountedMinute()

    for _ in range(3):
        state = add_state(state, everything, range(NOW_MS // 60_000), [b"8 bytes."] * 1000, NOW_MS)
        minute = add_minutes(minute, delta, everything.top, dict.fromkeys(range(60), 10**6))

    for item in (state, minute):
        assert 250_000 < len(msgspec.msgpack.encode(item.storable())) < MAX_ITEM_BYTES
        assert sum(item.types.values()) == 3 * 2000 * 2**40
        assert sum(item.revenue.values()) == 3 * 26**3 * 10**30


def test_money_of_real_currencies_is_exact_whatever_codes_are_invented(at: Setting) -> None:
    invented = [event(number, "purchase", total=1, currency=code) for number, code in enumerate(CODES)]
    real = [event(1000, "purchase", total="19.99", currency="EUR"), event(1001, "checkout")]

    at.consumer.consume(packed([*invented, *real]))

    numbers = at.numbers()
    assert numbers["revenue"]["by_currency"]["EUR"] == 1999
    assert numbers["events_by_type"]["checkout"] == 1


def test_a_transaction_over_many_full_minutes_stays_below_what_dynamodb_takes(at: Setting, table: Measured) -> None:
    consumer, minutes = at.make(table), [NOW_MS - minute * 60_000 for minute in range(1, 31)]
    for number, ms in enumerate(minutes):
        assert consumer.consume(packed(full(ms, kinds=200), first=(50 + number) * 10**54)) == DONE
    spread = [event(9000 + number, "click", ms) for number, ms in enumerate(minutes)]

    assert consumer.consume(packed(spread, first=9 * 10**55)) == DONE

    assert table.transaction < 4_000_000
    assert at.numbers("1h")["events_by_type"]["click"] == 30


def test_revenue_beyond_64_bits_is_written_and_read_exactly(at: Setting) -> None:
    before = [event(number, "purchase", NOW_MS - 60_000, total=-(10**13)) for number in range(9_300)]
    after = [event(9_999, "purchase", NOW_MS - 60_000, total="-0.01")]

    for begin in range(0, len(before), 1000):
        records = packed(before[begin : begin + 1000], at_once=500, first=(5 * 10**6 + begin) * 10**49)
        assert at.consumer.consume(records) == DONE
    assert at.consumer.consume(packed(after, first=9 * 10**55)) == DONE

    expected = -9_300 * 10**15 - 1
    assert expected < -(2**63)
    for window in ("all", "15m"):
        assert at.numbers(window)["revenue"]["cents"] == expected


def test_a_line_of_the_far_future_is_quarantined_and_nothing_else_changes(at: Setting) -> None:
    """Other producers and API hosts with a wrong clock write into the stream what no API would take."""
    events = sample_events(40, seed=50)
    latest = [event(500, "click", NOW_MS + DAY_MS)]
    far = [event(501, "click", NOW_MS + DAY_MS + 1), event(502, "click", 253_402_214_400_000)]

    assert at.consumer.consume(packed([*events, *far, *latest])) == DONE

    reasons = sorted(one["reason"] for one in at.quarantined())
    assert reasons == [f"timestamp {one['timestamp']} is more than a day ahead" for one in far]
    tomorrow = NOW_MS + DAY_MS
    assert at.numbers("24h", now_ms=tomorrow) == expected_numbers([*events, *latest], "24h", now_ms=tomorrow)


def test_windows_that_a_far_future_has_emptied_fill_again(at: Setting) -> None:
    """An earlier consumer kept the hours before the newest one that it had seen, and that was one of the year 9999."""
    events = [
        {**one, "timestamp": text(NOW_MS - 9_000 * index)} for index, one in enumerate(sample_events(200, seed=51))
    ]
    hour = NOW_MS // 3_600_000
    at.consumer.consume(packed([event(1, "click", NOW_MS - 20 * 3_600_000)]))
    at.consumer.consume(packed(events[:100], first=5 * 10**55))
    key = shard_key(SHARD)
    stored = at.table.load([key])[key]
    state = decode_state(stored.body)
    state.hours = {70_389_480: 1}
    at.table.commit([Put(key, msgspec.msgpack.encode(state), position=stored.position, position_read=stored.position)])
    assert at.numbers("24h")["total_events"] == 0

    at.consumer.consume(packed(events[100:], first=6 * 10**55))

    assert at.numbers("24h")["total_events"] == 201
    assert at.numbers("1h") == expected_numbers(events, "1h")
    state = decode_state(at.table.load([key])[key].body)
    assert (min(state.hours), max(state.hours)) == (hour - 49, hour + 24)


def test_hours_that_no_window_reaches_are_dropped(at: Setting) -> None:
    hour = NOW_MS // 3_600_000
    at.consumer.consume(packed([event(1, "click", NOW_MS), event(2, "click", NOW_MS + DAY_MS)]))

    at.make(now_ms=NOW_MS + 3 * DAY_MS).consume(packed([event(3, "click", NOW_MS + 3 * DAY_MS)], first=9 * 10**55))

    key = shard_key(SHARD)
    assert set(decode_state(at.table.load([key])[key].body).hours) == {hour + 24, hour + 72}


def test_a_bestseller_that_comes_after_a_hundred_others_leads_the_list_of_all_time(at: Setting) -> None:
    old = [event(number, "page_view", page=f"/old-{number}", product_name=f"old {number}") for number in range(100)]
    late = [event(1000 + number, "page_view", page="/late", product_name="late") for number in range(300)]

    at.consumer.consume(packed(old))
    assert at.numbers()["top"] == expected_numbers(old, "all")["top"]  # exact while there are no more than 100
    at.consumer.consume(packed(late, first=9 * 10**55))

    top = at.numbers()["top"]
    assert top["pages"][0] == {"value": "/late", "count": 300}
    assert top["products"][0] == {"value": "late", "count": 300, "purchases": 0}
    assert top["exact"] is False


def test_an_item_that_is_too_full_already_is_counted_on_and_shrinks(at: Setting, table: Measured) -> None:
    """As an earlier consumer left it: not every name that it has is kept, but every count."""
    at.consumer.consume(packed([event(0, "page_view", page="/")]))
    key = shard_key(SHARD)
    stored = at.table.load([key])[key]
    state = decode_state(stored.body)
    assert state.top is not None
    state.types |= {f"kind{number:05d}".ljust(64, "a"): 1 for number in range(5000)}
    state.top.counts["pages"] |= {f"p{number}{EMOJI}": 1 for number in range(50)}
    at.table.commit([Put(key, msgspec.msgpack.encode(state), position=stored.position, position_read=stored.position)])

    assert at.make(table).consume(packed([event(1, "click")], first=9 * 10**55)) == DONE

    assert table.item < 70_000
    numbers = at.numbers()
    assert (numbers["total_events"], numbers["events_by_type"]["click"]) == (5002, 1)
    assert numbers["events_by_type"]["(other)"] == 4501
