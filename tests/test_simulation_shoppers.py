from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream.events import STANDARD_TYPES, Limits, validate
from clickstream.simulation import journeys
from clickstream.simulation.journeys import Model, Persona
from clickstream.simulation.shopper import Session
from clickstream.simulation.simulator import Simulator
from clickstream.simulation.traffic import Traffic
from tests.support.simulated import EPOCH_MS, backfill, catalogue, events_of, model, plan, sessions

LIMITS = Limits(max_event_bytes=262_144, max_nesting=32)


def digest(records: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(records)).hexdigest()[:16]


def test_a_seed_gives_the_same_bytes_on_every_machine_and_day() -> None:
    records = [outgoing.record for outgoing in backfill(2_000)]

    assert digest(records) == "8cfbd8c43c5c44d0"


def test_another_seed_preset_or_model_gives_other_ids() -> None:
    ids = {
        Traffic(plan()).run_id,
        Traffic(plan(seed=2)).run_id,
        Traffic(plan(preset="realistic")).run_id,
        Traffic(plan(model=_with_longer_dwell())).run_id,
    }

    assert len(ids) == 4


def _with_longer_dwell() -> Model:
    return msgspec.structs.replace(model(), longest_dwell_s=1_700.0)


def test_fewer_users_are_a_subset_of_more() -> None:
    few = {one.record for one in Traffic(plan(users=10, duration_s=20)).outgoing()}
    many = {one.record for one in Traffic(plan(users=20, duration_s=20)).outgoing()}

    assert few < many


def test_speed_and_backfill_change_the_times_and_nothing_else() -> None:
    def content(records: list[bytes]) -> set[str]:
        return {json.dumps({**json.loads(record), "timestamp": None}) for record in records}

    live = content([one.record for one in Traffic(plan(speed=60, duration_s=20)).outgoing()])
    faster = content([one.record for one in Traffic(plan(speed=120, duration_s=10)).outgoing()])
    past = content([one.record for one in backfill(5_000)])

    assert live == faster
    assert live < past


def test_the_batch_size_and_the_way_of_reading_change_nothing() -> None:
    whole = [one.record for one in Traffic(plan(duration_s=10)).outgoing()]
    stream = Traffic(plan(duration_s=10)).outgoing()
    piecewise: list[bytes] = []
    while piece := [one.record for one in islice(stream, 7)]:
        piecewise += piece

    assert piecewise == whole


def test_every_event_is_valid_and_all_seven_types_occur() -> None:
    records = [outgoing.record for outgoing in backfill(5_000)]

    batch = validate(records, LIMITS, EPOCH_MS + 8 * 86_400_000)

    assert batch.rejections == []
    assert {event.event_type for event in batch.events} == set(STANDARD_TYPES)


def test_no_id_is_given_twice() -> None:
    ids = [json.loads(outgoing.record)["event_id"] for outgoing in backfill(20_000)]

    assert len(set(ids)) == len(ids) == 20_000


def test_sessions_come_ordered_by_start_and_steps_by_time() -> None:
    several = sessions(3_000)

    assert [one.start_ms for one in several] == sorted(one.start_ms for one in several)
    for session in several:
        offsets = [step.offset_ms for step in session.steps]
        assert offsets == sorted(offsets)
        assert offsets[0] == 0
        assert session.end_ms - session.start_ms >= offsets[-1]


def test_a_user_never_has_two_sessions_at_once() -> None:
    ends: dict[int, int] = {}
    for session in sessions(3_000):
        assert session.start_ms >= ends.get(session.user, 0)
        ends[session.user] = session.end_ms


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**63), preset=st.sampled_from(["default", "realistic"]))
def test_every_session_is_coherent(seed: int, preset: str) -> None:
    for session in sessions(40, seed=seed, users=7, preset=preset):
        check_coherence(events_of(session))


def check_coherence(events: list[dict[str, Any]]) -> None:
    """Replays a session with a till of its own: what is carted was viewed, the cart adds up, a purchase is its cart."""
    viewed: set[str] = set()
    cart: dict[str, int] = {}
    cents: dict[str, int] = {}
    checked_out = False

    def value() -> float:
        return sum(quantity * cents[product] for product, quantity in cart.items()) / 100

    for event in events:
        properties, event_type = event["properties"], event["event_type"]
        if event_type == "page_view" and "product_id" in properties:
            viewed.add(properties["product_id"])
            cents[properties["product_id"]] = round(properties["price"] * 100)
        elif event_type == "add_to_cart":
            assert properties["product_id"] in viewed
            cart[properties["product_id"]] = cart.get(properties["product_id"], 0) + properties["quantity"]
            checked_out = False
        elif event_type == "remove_from_cart":
            assert cart.pop(properties["product_id"]) == properties["quantity"]
            checked_out = False
        elif event_type == "checkout":
            assert cart
            checked_out = True
        elif event_type == "purchase":
            assert checked_out
            assert {item["product_id"]: item["quantity"] for item in properties["items"]} == cart
            assert properties["total"] == value() > 0
            cart, checked_out = {}, False
        if "cart_value" in properties:
            assert properties["cart_value"] == value()


def test_who_buys_twice_pays_each_cart_once() -> None:
    rows = {"enter_product": "add", "add": "checkout", "checkout": "purchase"}
    persona = Persona(
        start={"enter_product": 1.0},
        transitions={
            **{state: {following: 1.0} for state, following in rows.items()},
            "purchase": {"enter_product": 0.5, "end": 0.5},
        },
        dwell={"default": (3.0, 1.0)},
    )
    loyal = msgspec.structs.replace(model(), personas={"Loyal": persona}, presets={"default": {"Loyal": 1.0}})
    several = list(islice(Simulator(loyal, catalogue(), seed=1, users=5).sessions(), 50))

    assert journeys.check(loyal) == []
    assert max(sum(step.event_type == "purchase" for step in one.steps) for one in several) > 2
    for session in several:
        check_coherence(events_of(session))


def test_the_coherence_check_notices_a_wrong_total() -> None:
    bought = next(events_of(one) for one in sessions(500) if any(step.event_type == "purchase" for step in one.steps))
    purchase = next(event for event in bought if event["event_type"] == "purchase")
    purchase["properties"]["total"] += 0.01

    with pytest.raises(AssertionError):
        check_coherence(bought)


def test_one_person_keeps_name_and_sessions_keep_their_context() -> None:
    for session in sessions(300):
        events = events_of(session)
        assert len({event.get("user_id", event.get("anonymous_id")) for event in events}) == 1
        assert (
            len({(e["properties"]["device"], e["properties"]["browser"], e["properties"]["country"]) for e in events})
            == 1
        )
        assert {event["session_id"] for event in events} == {session.session_id}


def test_some_people_come_back_and_some_stay_anonymous() -> None:
    visits: Counter[str] = Counter()
    for session in sessions(3_000, users=20):
        event = events_of(session)[0]
        visits[event.get("user_id") or event["anonymous_id"]] += 1

    anonymous = sum(name.startswith("anon-") for name in visits) / len(visits)
    returning = 1 - len(visits) / sum(visits.values())
    assert 0.35 < anonymous < 0.45
    assert 0.25 < returning < 0.35


def test_most_who_come_back_do_so_soon_and_some_after_long() -> None:
    days, each = 20, 1_000
    seen: dict[str, set[int]] = {}
    for number, session in enumerate(sessions(days * each, users=40)):
        event = events_of(session)[0]
        seen.setdefault(event.get("user_id") or event["anonymous_id"], set()).add(number // each)

    def back(later: int) -> float:
        """Share of the people first seen on a day who were there again so many days later."""
        could = [theirs for theirs in seen.values() if min(theirs) + later < days]
        return sum(min(theirs) + later in theirs for theirs in could) / len(could)

    assert 0.06 < back(1) < 0.12
    assert 0.03 < back(2) < 0.06
    assert 0.008 < back(7) < 0.018
    assert 0.004 < back(14) < 0.012


def test_events_carry_what_a_shop_would_send() -> None:
    by_type: dict[str, set[str]] = {}
    for session in sessions(2_000):
        for event in events_of(session):
            by_type.setdefault(event["event_type"], set()).update(event["properties"])
    everywhere = {"page", "device", "browser", "os", "locale", "country"}
    product = {"product_id", "product_name", "category", "price"}

    assert by_type["page_view"] >= everywhere | product | {
        "title",
        "referrer",
        "utm_source",
        "utm_medium",
        "utm_campaign",
    }
    assert by_type["search"] >= everywhere | {"query", "results_count"}
    assert by_type["click"] >= everywhere | {"element"}
    assert by_type["add_to_cart"] >= everywhere | product | {"quantity", "cart_value", "currency"}
    assert by_type["remove_from_cart"] >= everywhere | product | {"quantity", "cart_value", "currency"}
    assert by_type["checkout"] >= everywhere | {"cart_value", "currency", "items"}
    assert by_type["purchase"] >= everywhere | {"order_id", "items", "total", "currency"}


def test_popular_products_take_half_of_the_views() -> None:
    views: Counter[str] = Counter()
    for session in sessions(8_000):
        for event in events_of(session):
            if event["event_type"] == "page_view" and "product_id" in event["properties"]:
                views[event["properties"]["product_id"]] += 1
    top = sum(count for _, count in views.most_common(100))

    assert 0.42 < top / views.total() < 0.58


def test_a_fresh_demo_shows_every_type_and_a_purchase_within_20_seconds() -> None:
    seen: Counter[str] = Counter()
    for seed in range(20):
        simulator = Simulator(model(), catalogue(), seed=seed, users=40)
        early = (one for session in islice(simulator.sessions(), 400) for one in timed(session))
        types = {event_type for at_ms, event_type in early if at_ms < 20_000 * 60}
        seen[",".join(sorted(set(STANDARD_TYPES) - types))] += 1

    assert seen == {"": 20}


def timed(session: Session) -> list[tuple[int, str]]:
    return [(session.start_ms + step.offset_ms, step.event_type) for step in session.steps]
