"""The times that SDKs send, by clocks that are wrong."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from clickstream.wire.clocks import epoch_ms, skew_ms
from tests.support.wire import events, request

TP2 = "/com.snowplowanalytics.snowplow/tp2"
NONSENSE = 79_999_999_999_999  # as milliseconds the year 4505
VIEW = {"event": "s", "type": "track", "messageId": "m", "userId": "u", "timestamp": "2026-11-24T09:19:00.000Z"}


def tracked(stamp: str) -> dict[str, Any]:
    sent = {"type": "track", "event": "s", "messageId": "m-1", "userId": "u-1", "timestamp": stamp}
    (ours,) = events(request("/v1/batch", {"batch": [sent], "writeKey": "k"}))
    return ours


@pytest.mark.parametrize(
    ("stamp", "ms"),
    [
        ("2026-11-24T09:19:00Z", 1795511940000),
        ("2026-11-24T10:19:00.5+01:00", 1795511940500),
        ("2026-11-24T09:19:00", 1795511940000),
        (1795511940, 1795511940000),
        (1795511940000, 1795511940000),
        ("1795511940000", 1795511940000),
        ("yesterday", None),
        (True, None),
        (1e300, None),
        (None, None),
    ],
)
def test_times_are_read_as_sdks_write_them(stamp: object, ms: int | None) -> None:
    assert epoch_ms(stamp) == ms


def test_a_clock_within_the_tolerance_is_left_alone() -> None:
    received = int(datetime(2026, 11, 24, 9, 19, 4, tzinfo=timezone.utc).timestamp() * 1000)

    assert skew_ms("2026-11-24T09:19:00Z", received) == 0
    assert skew_ms("2026-11-24T08:19:00Z", received) == 3_604_000
    assert skew_ms("never", received) == 0


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/batch", {"sentAt": NONSENSE, "batch": [VIEW]}),
        ("/batch/", {"sent_at": NONSENSE, "batch": [{"event": "s", "distinct_id": "u", "timestamp": 1795511940000}]}),
        (
            "/com.snowplowanalytics.snowplow/tp2",
            {"data": [{"e": "pv", "eid": "m", "uid": "u", "dtm": "1795511940000", "stm": str(NONSENSE)}]},
        ),
        (
            f"/collect?upload_timestamp={NONSENSE}",
            [{"event_type": "s", "event_id": "m", "device_id": "d", "timestamp": 1795511940000}],
        ),
    ],
)
def test_a_moment_of_sending_that_no_clock_shows_changes_no_time(path: str, document: object) -> None:
    (event,) = events(request(path, document))

    assert event["timestamp"] == "2026-11-24T09:19:00.000Z"
    assert "clock_skew_ms" not in event["sdk"]


@pytest.mark.parametrize(
    ("stamp", "ours"),
    [
        ("0001795511940", "2026-11-24T09:19:00.000Z"),  # seconds, by its value
        ("1795511940123", "2026-11-24T09:19:00.123Z"),
        ("2026-11-24T09:18:60.123Z", "2026-11-24T09:19:00.123Z"),
        ("2026-11-24 09:18:00.123Z", "2026-11-24T09:18:00.123Z"),
        ("2026-11-24t09:18:00.123Z", "2026-11-24T09:18:00.123Z"),
        ("2026-11-24T09:18:00.123456+00:00", "2026-11-24T09:18:00.123Z"),
    ],
)
def test_a_time_written_otherwise_is_rewritten_and_kept_as_it_came(stamp: str, ours: str) -> None:
    event = tracked(stamp)

    assert (event["timestamp"], event["sdk"]["original_timestamp"]) == (ours, stamp)


@pytest.mark.parametrize("stamp", ["2026-11-24T09:18:00.123Z", "2026-11-24T09:18:00.123+00:00"])
def test_a_time_of_which_nothing_is_lost_is_not_kept_twice(stamp: str) -> None:
    event = tracked(stamp)

    assert event["timestamp"] == "2026-11-24T09:18:00.123Z"
    assert "original_timestamp" not in event["sdk"]
