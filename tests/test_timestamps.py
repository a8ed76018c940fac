from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.timestamps import UtcClockReader, minute_text, parse, text


@pytest.mark.parametrize(
    ("stamp", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-15T10:30:00Z", 1_768_473_000_000),
        ("2026-01-15T10:30:00.1Z", 1_768_473_000_100),
        ("2026-01-15T10:30:00.123456789Z", 1_768_473_000_123),
        ("2026-01-15T12:30:00+02:00", 1_768_473_000_000),
        ("2026-01-15T05:00:00-05:30", 1_768_473_000_000),
        ("2026-01-15t10:30:00z", 1_768_473_000_000),
        ("2026-01-15 10:30:00Z", 1_768_473_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),  # a leap second is the first instant of the next minute
        ("1969-12-31T23:59:59.999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_rfc_3339_times_are_read(stamp: str, ms: int) -> None:
    assert parse(stamp) == ms


@pytest.mark.parametrize(
    "stamp",
    [
        "", "now", "2026-01-15", "2026-01-15T10:30Z", "2026-01-15T10:30:00", "2026-1-15T10:30:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z", "2026-01-15T24:00:00Z", "2026-01-15T10:60:00Z", "2026-01-15T10:30:61Z",
        "2026-01-15T10:30:00+24:00", "2026-01-15T10:30:00+0200", "2026-01-15T10:30:00.Z", "2026-01-15T10:30:00Z\n",
        "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "٢٠٢٦-01-15T10:30:00Z",
        "2026-01-15T10:30:00,5Z", "1768473000", " 2026-01-15T10:30:00Z",
    ],
)  # fmt: skip
def test_what_is_not_a_time_is_refused_with_the_reason(stamp: str) -> None:
    with pytest.raises(ValueError, match=r"time|zone|offset"):
        parse(stamp)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_text_and_parse_are_inverse_over_all_years(ms: int) -> None:
    assert parse(text(ms)) == ms


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-23 * 60 - 59, 23 * 60 + 59))  # noqa: DTZ001
def test_any_offset_gives_the_same_instant_as_the_standard_library(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (aware - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)

    assert parse(aware.isoformat()) == expected


@given(
    st.one_of(
        st.integers(0, 4_102_444_800_000).map(text),
        st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{0,19})?(Z|z|\+\d\d:\d\d)?", fullmatch=True),
        st.text(max_size=30),
    )
)
def test_the_fast_reader_agrees_with_parse_or_leaves_the_decision_to_it(stamp: str) -> None:
    reader = UtcClockReader()

    ms = reader.canonical_ms(stamp)

    assert ms is None or ms == parse(stamp)
    assert reader.canonical_ms(stamp) == ms  # from memory
    assert reader.all_canonical_ms([stamp, stamp]) == (None if ms is None else [ms, ms])


def test_canonical_times_need_no_second_look() -> None:
    assert UtcClockReader().canonical_ms("2026-01-15T10:30:00.123Z") == 1_768_473_000_123
    assert UtcClockReader().canonical_ms("2026-01-15T10:30:00Z") == 1_768_473_000_000


def test_minutes_are_written_as_full_times() -> None:
    assert minute_text(1_768_473_000_000 // 60_000) == "2026-01-15T10:30:00Z"
