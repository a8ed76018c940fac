from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.bounds import UTC, parse_since, parse_until, zone_of
from clickstream.timestamps import text

ZONES = ("Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "Etc/GMT+12")


def test_a_day_is_a_whole_one_in_utc_as_the_bounds_of_a_span() -> None:
    assert (parse_since("2026-01-15"), parse_until("2026-01-15")) == (1_768_435_200_000, 1_768_521_600_000)
    assert parse_since("2026-01-15T10:30:00Z") == parse_until("2026-01-15T10:30:00Z") == 1_768_473_000_000
    assert text(parse_until("9999-12-31"))[:10] == "9999-12-31"


@pytest.mark.parametrize("stamp", ["", "2026", "2026-1-15", "2026-02-30", "2026-01-15 ", "2026-01-15Z", "today"])
def test_what_is_neither_a_time_nor_a_day_is_no_bound(stamp: str) -> None:
    for bound in (parse_since, parse_until):
        with pytest.raises(ValueError, match="time"):
            bound(stamp)


@pytest.mark.parametrize(
    ("day", "zone", "since", "until"),
    [
        ("2026-01-15", "Europe/Berlin", "2026-01-14T23:00:00.000Z", "2026-01-15T23:00:00.000Z"),
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"),  # 23 hours long
        ("2026-10-25", "Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"),  # 25 hours long
        ("2026-01-15", "Asia/Kathmandu", "2026-01-14T18:15:00.000Z", "2026-01-15T18:15:00.000Z"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00.000Z", "2018-11-05T02:00:00.000Z"),  # has no midnight
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00.000Z", "2011-12-30T10:00:00.000Z"),  # was left out there
        ("0001-01-01", "Asia/Tokyo", "0001-01-01T00:00:00.000Z", "0001-01-01T14:41:01.000Z"),
        ("9999-12-31", "America/New_York", "9999-12-31T05:00:00.000Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_day_is_a_whole_one_of_its_time_zone(day: str, zone: str, since: str, until: str) -> None:
    assert text(parse_since(day, zone_of(zone))) == since
    assert text(parse_until(day, zone_of(zone))) == until


@given(st.dates(date(1975, 1, 1), date(2037, 1, 1)), st.sampled_from(ZONES))
def test_the_first_and_the_last_moment_of_a_day_are_of_that_day_and_those_beside_them_are_not(
    day: date, name: str
) -> None:
    zone = ZoneInfo(name)
    since, until = parse_since(str(day), zone), parse_until(str(day), zone)

    def at(ms: int) -> date:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(zone).date()

    if since == until:
        assert at(since) == day + timedelta(days=1)
    else:
        assert (at(since), at(until - 1)) == (day, day)
    assert at(since - 1) < day < at(until)


def test_a_time_is_the_same_in_every_zone() -> None:
    assert parse_since("2026-01-15T10:30:00Z", ZoneInfo("Asia/Tokyo")) == 1_768_473_000_000
    assert parse_until("2026-01-15T12:30:00+02:00", ZoneInfo("Asia/Tokyo")) == 1_768_473_000_000


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("", "one is Europe/Berlin"),
        ("Mars/Olympus_Mons_City", "one is Europe/Berlin"),
        ("../../etc/passwd", "one is Europe/Berlin"),
        ("/etc/localtime", "one is Europe/Berlin"),
        ("localtime", "is no time zone"),
        ("right/Europe/Berlin", "is no time zone"),  # there a day of a leap second is longer
        ("Europe", "is no time zone"),
        ("\ud800", "is no time zone"),
        ("x" * 10_000, "is no time zone"),
    ],
)
def test_what_is_no_time_zone_is_refused_with_what_may_have_been_meant(name: str, told: str) -> None:
    with pytest.raises(ValueError, match="is no time zone") as refused:
        zone_of(name)
    assert told in str(refused.value)


def test_zones_have_the_names_that_browsers_tell() -> None:
    assert {str(zone_of(name)) for name in ("Asia/Calcutta", "Asia/Kolkata", "Etc/GMT-1", "UTC")} == {
        "Asia/Calcutta",
        "Asia/Kolkata",
        "Etc/GMT-1",
        "UTC",
    }
    assert zone_of("UTC") is UTC
