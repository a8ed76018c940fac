"""The fold gives the numbers of a slow and obvious computation, live and replayed, whatever the batches were."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clickstream.backends.local import LocalBackend
from clickstream.events import Event
from clickstream.journal import Quarantine
from clickstream.stats import Stats, snapshot, state
from clickstream.stats.money import as_text, in_cents
from clickstream.stats.recency import RecentIds, RecentMap
from clickstream.stored import StoredEvent
from tests.support.native import NOW_MS
from tests.support.reference import Happening, reference

MINUTE = 60_000
WINDOWS = ("15m", "1h", "24h", "all")

AMOUNTS = st.sampled_from(
    [10, 19.99, "12.50", 0.005, 0.015, 1.005, 2.675, -3.25, 1e13, 1e14, "abc", True, None, [1], "NaN"]
)
STEP = st.sampled_from(["page_view", "add_to_cart", "checkout", "purchase", "click"])


@st.composite
def happenings(draw: st.DrawFn, span_ms: int = 3 * 86_400_000) -> list[Happening]:
    """Events of few people and sessions in order of arrival, at times before and after now, on and off the minutes."""
    times = st.one_of(
        st.integers(NOW_MS - span_ms, NOW_MS + 86_400_000),
        st.integers(NOW_MS - 80 * MINUTE, NOW_MS + 2 * MINUTE),
        st.integers(-100, 3).map(lambda n: NOW_MS + n * 15 * MINUTE),
        st.integers(-6, 1).map(lambda n: NOW_MS + n * MINUTE),
    )
    found = []
    for _ in range(draw(st.integers(0, 25))):
        who = draw(st.sampled_from([("u1", None), ("u2", None), (None, "a1"), ("u1", "a1"), (None, None)]))
        session = draw(st.sampled_from(["s1", "s2", "s3"] if who == (None, None) else [None, None, "s1", "s2"]))
        kind = draw(STEP)
        properties: dict[str, Any] = {"page": draw(st.sampled_from(["/", "/a", "", 5]))}
        if kind == "purchase":
            properties = {
                draw(st.sampled_from(["total", "revenue", "value"])): draw(AMOUNTS),
                "currency": draw(st.sampled_from(["USD", "eur", "dollars", None])),
            }
        event = Event(event_type=kind, user_id=who[0], anonymous_id=who[1], session_id=session, properties=properties)
        found.append((event, draw(times)))
    return found


def folded(batches: list[list[Happening]], now_ms: int | list[int]) -> Stats:
    stats = Stats()
    for number, batch in enumerate(batches):
        at = now_ms if isinstance(now_ms, int) else now_ms[number]
        stats.fold([event for event, _ in batch], [ms for _, ms in batch], at)
    return stats


def shown(stats: Stats, window: str, now_ms: int) -> dict[str, Any]:
    numbers = snapshot(stats, window, now_ms)
    assert [row["step"] for row in numbers["funnel"]] == ["page_view", "add_to_cart", "checkout", "purchase"]
    return {
        "total_events": numbers["total_events"],
        "events_by_type": numbers["events_by_type"],
        "sessions": numbers["sessions"]["total"],
        "users": numbers["users"]["total"],
        "active_sessions": numbers["sessions"]["active"],
        "active_users": numbers["users"]["active"],
        "funnel": [row["sessions"] for row in numbers["funnel"]],
        "revenue": numbers["revenue"]["by_currency"],
        "pages": {row["value"]: row["count"] for row in numbers["top"]["pages"]},
    }


def happening(kind: str, minutes_from_now: float, session: str = "s1") -> Happening:
    return Event(event_type=kind, session_id=session, properties={"total": 5}), NOW_MS + int(minutes_from_now * MINUTE)


@given(happenings())
@example([happening("page_view", -4), happening("add_to_cart", -5)])
@example([happening("page_view", 30), happening("add_to_cart", 31)])
@example(
    [happening("add_to_cart", -3), happening("checkout", -2), happening("page_view", -4), happening("purchase", -2)]
)
@settings(max_examples=300, deadline=None)
def test_every_window_shows_what_a_slow_computation_finds(events: list[Happening]) -> None:
    stats = folded([events], NOW_MS)

    for window in WINDOWS:
        assert shown(stats, window, NOW_MS) == reference(events, window, NOW_MS), window


@given(happenings(), st.data())
@settings(max_examples=150, deadline=None)
def test_replay_gives_the_live_numbers_whatever_the_batches_were(events: list[Happening], data: st.DataObject) -> None:
    live: list[list[Happening]] = []
    rest = events
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        live.append(rest[:size])
        rest = rest[size:]
    clock = sorted(
        data.draw(st.lists(st.integers(NOW_MS - 86_400_000, NOW_MS), min_size=len(live), max_size=len(live)))
    )

    one = folded(live, clock)
    other = folded([events], NOW_MS)

    for window in WINDOWS:
        assert snapshot(one, window, NOW_MS) == snapshot(other, window, NOW_MS), window


@given(happenings(), happenings())
@settings(max_examples=100, deadline=None)
def test_a_checkpoint_continues_as_if_nothing_had_happened(before: list[Happening], after: list[Happening]) -> None:
    through = Stats()
    content = state.encode(folded([before], NOW_MS), ["a", "b"], dedupe_window=10)
    ids = state.decode(content, through, dedupe_window=10)
    through.fold([event for event, _ in after], [ms for _, ms in after], NOW_MS)

    assert ids == ["a", "b"]
    for window in WINDOWS:
        assert snapshot(through, window, NOW_MS) == snapshot(folded([before, after], NOW_MS), window, NOW_MS)


@given(happenings(span_ms=7_200_000))
@settings(max_examples=100, deadline=None)
def test_the_window_before_is_this_window_a_length_earlier(events: list[Happening]) -> None:
    stats = folded([events], NOW_MS)

    for window, minutes in (("15m", 15), ("1h", 60), ("24h", 1440)):
        previous = snapshot(stats, window, NOW_MS)["previous"]
        earlier = reference(events, window, NOW_MS - minutes * MINUTE)
        assert previous["total_events"] == earlier["total_events"]
        assert previous["sessions"] == earlier["sessions"]
        assert previous["purchases"] == earlier["events_by_type"].get("purchase", 0)
        largest = max(earlier["revenue"].items(), key=lambda sum_of: (sum_of[1], sum_of[0]), default=("USD", 0))
        assert (previous["revenue_currency"], previous["revenue_cents"]) == largest


@given(happenings())
@settings(max_examples=100, deadline=None)
def test_the_series_adds_up_to_the_window(events: list[Happening]) -> None:
    stats = folded([events], NOW_MS)

    for window, points, interval in (("15m", 15, 60), ("1h", 60, 60), ("24h", 96, 900), ("all", 60, 60)):
        numbers = snapshot(stats, window, NOW_MS)
        series = numbers["series"]
        assert (len(series["points"]), series["interval_s"]) == (points, interval)
        assert all(point["events"] == sum(point["by_type"].values()) for point in series["points"])
        if window in ("15m", "1h"):
            assert sum(point["events"] for point in series["points"]) == numbers["total_events"]


def test_ratios_of_nothing_are_null_and_the_rest_follow_from_the_funnel() -> None:
    assert set(snapshot(Stats(), "all", NOW_MS)["conversion"].values()) == {None}

    events = [happening("page_view", -3, f"s{n}") for n in range(4)]
    events += [
        happening("add_to_cart", -2, "s0"),
        happening("add_to_cart", -2, "s1"),
        happening("checkout", -1, "s0"),
        happening("purchase", 0, "s0"),
    ]
    conversion = snapshot(folded([events], NOW_MS), "all", NOW_MS)["conversion"]

    assert conversion == {
        "view_to_cart": 0.5,
        "cart_to_checkout": 0.5,
        "checkout_to_purchase": 1.0,
        "view_to_purchase": 0.25,
        "cart_abandonment": 0.5,
    }


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        (10, 1000), (19.99, 1999), ("12.50", 1250), (0.005, 0), (0.015, 2), (1.005, 100), (2.675, 268), (0.1, 10),
        (-3.25, -325), (1e13, 10**15), (1.1e13, None), (True, None), ("", None), ("abc", None), ("inf", None),
        ("nan", None), (None, None), ([1], None), ("1e2", 10_000), (10**400, None), ("9" * 5000, None),
        ("\u0661", None), (float("inf"), None), (float("nan"), None),
        ("25.00500000000000001", 2501), ("25.0050000000000000001", 2500), (25.00500000000000001, 2500),
        ("1234567890123.00500000000000001", 123456789012301), ("10000000000000.000000000000000001", None),
    ],
)  # fmt: skip
def test_money_is_exact_with_halves_to_even(amount: object, cents: int | None) -> None:
    assert in_cents(amount) == cents


@pytest.mark.parametrize(
    ("cents", "shown_as"), [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123405, "1234.05"), (-100, "-1.00")]
)
def test_money_is_shown_with_two_places(cents: int, shown_as: str) -> None:
    assert as_text(cents) == shown_as


def test_an_average_order_is_told_of_one_currency_only() -> None:
    def purchase(total: int, currency: str) -> Happening:
        return Event(event_type="purchase", properties={"total": total, "currency": currency}), NOW_MS

    alone = snapshot(folded([[purchase(30, "EUR"), purchase(10, "EUR")]], NOW_MS), "all", NOW_MS)["revenue"]
    mixed = snapshot(folded([[purchase(30, "EUR"), purchase(10, "USD")]], NOW_MS), "all", NOW_MS)["revenue"]

    assert (alone["orders"], alone["average_order"]) == (2, "20.00")
    assert (mixed["orders"], mixed["average_order"]) == (2, None)
    assert mixed["by_currency"] == {"EUR": 3000, "USD": 1000}


@pytest.mark.parametrize(
    ("totals", "shown_as"), [([2.05, 2.10], "2.08"), ([-2.05, -2.10], "-2.08"), ([1, 1, 2], "1.33")]
)
def test_an_average_order_is_rounded_as_a_page_rounds_it(totals: list[float], shown_as: str) -> None:
    purchases = [(Event(event_type="purchase", properties={"total": total}), NOW_MS) for total in totals]

    assert snapshot(folded([purchases], NOW_MS), "all", NOW_MS)["revenue"]["average_order"] == shown_as


def test_a_million_carts_out_of_order_cost_a_bounded_memory() -> None:
    events = [happening("add_to_cart", -10 - n / 1000) for n in range(1000)]

    stats = folded([events], NOW_MS)

    assert len(stats.sessions.get("s1").early_carts or ()) <= 64  # type: ignore[union-attr]


def test_sessions_beyond_the_exact_window_are_forgotten_and_that_is_said() -> None:
    stats = Stats(exact_window=100)
    events = [(Event(event_type="click", session_id=f"s{n}", user_id=f"u{n}"), NOW_MS) for n in range(350)]
    stats.fold([event for event, _ in events], [ms for _, ms in events], NOW_MS)

    numbers = snapshot(stats, "all", NOW_MS)

    assert (numbers["sessions"]["total"], numbers["sessions"]["exact"]) == (350, False)
    assert (numbers["users"]["total"], numbers["users"]["exact"]) == (350, False)
    assert len(stats.sessions) <= 200


def test_numbers_are_exact_while_there_are_no_more_than_are_remembered() -> None:
    stats = Stats(exact_window=5)
    for minute in range(3):
        for person in "abcde":
            event = StoredEvent(event_type="click", user_id=person)
            stats.fold([event], [NOW_MS + minute * 60_000], NOW_MS)

    numbers = snapshot(stats, "all", NOW_MS)

    assert (numbers["users"]["total"], numbers["users"]["exact"]) == (5, True)
    assert (numbers["sessions"]["total"], numbers["sessions"]["exact"]) == (5, True)


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 20).map(str), max_size=4, unique=True)), max_size=40))
def test_the_last_ids_are_known_and_taken_back_ids_are_not(steps: list[tuple[bool, list[str]]]) -> None:
    recent = RecentIds(8)
    model: list[str] = []
    for forget, ids in steps:
        if forget:
            recent.forget(ids)
            model = [one for one in model if one not in ids]
        else:
            fresh = [one for one in ids if one not in recent]
            recent.add(fresh)
            model = (model + fresh)[-8:]
        assert recent.oldest_first() == model
        assert {str(n) for n in range(21) if str(n) in recent} == set(model)
        assert len(recent) == len(model)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), max_size=40), st.integers(0, 3))
def test_only_ids_that_stay_push_others_out(groups: list[tuple[bool, int]], under_way: int) -> None:
    recent = RecentIds(8)
    model: list[str] = []
    waiting: list[tuple[bool, list[str]]] = []
    for number, (stays, size) in enumerate(groups):
        waiting.append((stays, [f"{number}-{index}" for index in range(size)]))
        recent.hold(waiting[-1][1])
        if len(waiting) <= under_way:
            continue
        was_kept, ids = waiting.pop(0)
        if was_kept:
            recent.settle(len(ids))
            model = (model + ids)[-8:]
        else:
            recent.forget(ids)
        assert recent.oldest_first() == model + [one for _, held in waiting for one in held]
        assert len(recent) == len(model)


@given(st.lists(st.lists(st.integers(0, 20).map(str), max_size=12), max_size=20))
def test_ids_that_are_read_again_are_those_that_were_known_whatever_is_read_at_once(parts: list[list[str]]) -> None:
    recent = RecentIds(8)
    model: list[str] = []
    for ids in parts:
        recent.remember(ids)
        for one in ids:
            model = model if one in model else [*model, one][-8:]
        assert recent.oldest_first() == model


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=100))
def test_at_least_the_last_used_keys_are_kept(steps: list[tuple[int, bool]]) -> None:
    recent: RecentMap[int] = RecentMap(5)
    used: list[int] = []
    for key, write in steps:
        if write:
            recent[str(key)] = key
            used.append(key)
        elif recent.get(str(key)) is not None:
            used.append(key)
        last = list(dict.fromkeys(reversed(used)))[:5]
        assert all(recent.get(str(key)) == key for key in reversed(last))
        used += reversed(last)
        assert len(recent) <= 10


def test_a_sum_beyond_64_bits_is_in_the_checkpoint_exactly(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    quarantine = Quarantine(tmp_path / "rejected.ndjson", max_bytes=10**6)
    backend = LocalBackend(path, quarantine, fsync="always", clock_ms=lambda: NOW_MS)
    backend.recover(lambda *_: None)
    backend._stats.revenue |= {"USD": 2**64, "EUR": -(2**63) - 1, "CHF": 2**64 - 1}
    backend._stats.minutes.at(NOW_MS // MINUTE).revenue["USD"] = 2**70
    backend.close([])

    again = LocalBackend(path, quarantine, fsync="always", clock_ms=lambda: NOW_MS)
    again.recover(lambda *_: None)

    assert again.statistics("all", NOW_MS)["revenue"]["by_currency"] == {
        "CHF": 2**64 - 1,
        "EUR": -(2**63) - 1,
        "USD": 2**64,
    }
    assert again.statistics("15m", NOW_MS)["revenue"]["cents"] == 2**70
    again.close([])


def test_purchases_whose_sum_passes_64_bits_can_be_kept_and_read() -> None:
    event = Event(event_type="purchase", user_id="u", properties={"total": -(10**13)})
    stats = folded([[(event, NOW_MS)] * 5_000, [(event, NOW_MS)] * 5_000], NOW_MS)

    again = Stats()
    state.decode(state.encode(stats, [], dedupe_window=10), again, dedupe_window=10)

    assert again.revenue == {"USD": -10_000 * 10**15}
    assert snapshot(again, "15m", NOW_MS)["revenue"]["cents"] == -10_000 * 10**15


def invented_names() -> list[Happening]:
    """700 types and 700 currencies that nobody else uses, and among the last ones a checkout and an amount in euros."""
    codes = ["".join(letters) for letters in product(ascii_uppercase, ascii_uppercase, "JV")][:700]  # no currency's
    clicks = [Event(event_type=f"kind{number}", user_id="u", properties={}) for number in range(700)]
    orders = [Event(event_type="purchase", user_id="u", properties={"total": 2, "currency": code}) for code in codes]
    real = [
        Event(event_type="checkout", user_id="u", properties={}),
        Event(event_type="purchase", user_id="u", properties={"total": 5, "currency": "EUR"}),
    ]
    return [(event, NOW_MS - MINUTE) for event in [*clicks, *orders, *real]]


@pytest.mark.parametrize("window", ["all", "15m"])
def test_names_beyond_the_bound_count_together_whatever_the_batches_were(window: str) -> None:
    events = invented_names()

    numbers = snapshot(folded([events], NOW_MS), window, NOW_MS)

    types, cents = numbers["events_by_type"], numbers["revenue"]["by_currency"]
    assert numbers["total_events"] == sum(types.values()) == 1402
    assert (types["purchase"], types["checkout"], types["(other)"], len(types)) == (701, 1, 200, 503)
    assert (cents["EUR"], cents["XXX"], len(cents)) == (500, 200 * 200, 502)
    one_by_one = snapshot(folded([[one] for one in events], NOW_MS), window, NOW_MS)
    assert (one_by_one["events_by_type"], one_by_one["revenue"]["by_currency"]) == (types, cents)


def test_a_checkpoint_from_before_names_were_bounded_gives_what_a_replay_gives() -> None:
    events = invented_names()
    earlier = Stats(most_names=10**9)
    earlier.fold([event for event, _ in events], [ms for _, ms in events], NOW_MS)
    assert len(earlier.types) == 702

    again = Stats()
    state.decode(state.encode(earlier, [], dedupe_window=10), again, dedupe_window=10)

    for window in WINDOWS:
        assert snapshot(again, window, NOW_MS) == snapshot(folded([events], NOW_MS), window, NOW_MS)
