from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest

from clickstream.simulation.clocks import Curve
from clickstream.simulation.moments import MomentWriter
from clickstream.simulation.traffic import Traffic
from clickstream.timestamps import text
from tests.support.simulated import EPOCH_MS, backfill, model, plan

DAY_MS = 86_400_000


def moment(record: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(record)["timestamp"].replace("Z", "+00:00"))


@pytest.mark.parametrize("events", [1, 7, 1_000, 4_999])
def test_a_backfill_has_exactly_the_events_asked_for(events: int) -> None:
    outgoing = backfill(events, days=3.0)

    assert len(outgoing) == events
    assert all(0 <= one.at_ms < 3 * DAY_MS for one in outgoing)


def test_a_backfill_reaches_from_the_start_to_the_end_of_its_period() -> None:
    moments = [one.at_ms for one in backfill(5_000, days=5.0)]

    assert moments == sorted(moments)
    assert moments[0] < DAY_MS / 24
    assert moments[-1] > 5 * DAY_MS - DAY_MS / 24


def test_a_backfill_follows_the_hours_of_the_day() -> None:
    hours = Counter(moment(one.record).hour for one in backfill(40_000, days=14.0))
    mean = 40_000 / 24

    assert hours[4] / mean == pytest.approx(0.23, abs=0.06)
    assert hours[13] / mean == pytest.approx(1.5, abs=0.12)
    assert hours[21] / mean == pytest.approx(1.34, abs=0.12)


def test_the_curve_turns_a_share_of_the_traffic_into_a_moment() -> None:
    night_and_day = Curve([0.0] * 12 + [1.0] * 12, [1.0] * 7)
    moments = night_and_day.over(EPOCH_MS, DAY_MS)

    assert moments.at(0.0) == DAY_MS // 2
    assert moments.at(0.5) == DAY_MS * 3 // 4
    assert moments.at(1.0) == DAY_MS


def test_the_curve_knows_the_days_of_the_week() -> None:
    only_friday = Curve([1.0] * 24, [0, 0, 0, 0, 1.0, 0, 0])

    assert only_friday.weight(EPOCH_MS) == 0
    assert only_friday.weight(EPOCH_MS + DAY_MS) == 1.0


def test_live_traffic_reaches_the_rate_that_is_announced() -> None:
    shop = plan(users=500, duration_s=30.0, speed=240.0)
    at_ms = [one.at_ms for one in Traffic(shop).outgoing()]

    assert len(at_ms) / 30 == pytest.approx(shop.expected_rate(), rel=0.05)
    assert sum(one < 2_000 for one in at_ms) / 2 > 0.6 * shop.expected_rate()


def test_speed_compresses_the_time_between_events() -> None:
    slow = [one.at_ms for one in Traffic(plan(speed=1.0, duration_s=2_000.0)).outgoing()]
    quick = [one.at_ms for one in Traffic(plan(speed=100.0, duration_s=20.0)).outgoing()]

    assert quick == pytest.approx([one / 100 for one in slow], abs=1.0)


def test_timestamps_are_the_start_plus_the_moment() -> None:
    for outgoing in Traffic(plan(duration_s=5.0)).outgoing():
        assert json.loads(outgoing.record)["timestamp"] == text(EPOCH_MS + outgoing.at_ms)


def test_moments_are_written_as_the_api_writes_them() -> None:
    write = MomentWriter().text

    for ms in (0, 999, 59_999, 60_000, EPOCH_MS + 7, 4_102_444_799_999):
        assert write(ms) == text(ms)


def test_days_and_hours_of_the_model_average_to_one() -> None:
    assert sum(model().day_curve) / 24 == pytest.approx(1.0, abs=0.03)
    assert sum(model().week_curve) / 7 == pytest.approx(1.0, abs=0.03)
