"""Days of a time zone against the standard library's, over journal, copy and Athena's statement."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.analytics import engine, own, sources
from clickstream.analytics.catalog import Question
from clickstream.analytics.local_time import in_zone, offsets
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.bounds import parse_since, parse_until
from clickstream.journal import Journal
from clickstream.timestamps import parse, text
from tests.support.answers import answers, kept
from tests.support.event_sample import START_MS, person_of, sample_events, sessions_of, time_of

Event = dict[str, Any]
CONNECTION = engine.connect()

# Three days each in which clocks change: of Berlin, of New York, and of Lord Howe Island, by half an hour.
_ERAS = [parse(f"{day}T00:00:00Z") - START_MS for day in ("2025-10-25", "2025-11-01", "2025-04-05")]
ZONES = ("America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Europe/Berlin")


def _moved(event: Event, index: int) -> Event:
    """`event` in one of the eras, of one of many people, and in a short session: the copy knows those as a whole."""
    people = {name: f"{event[name]}_{index % 20}" for name in ("user_id", "anonymous_id") if name in event}
    session = {"session_id": f"{event['session_id']}_{index // 60}"} if "session_id" in event else {}
    return event | people | session | {"timestamp": text(parse(event["timestamp"]) + _ERAS[index % len(_ERAS)])}


EVENTS = [_moved(event, index) for index, event in enumerate(sample_events(3000, seed=17))]
Days = Callable[[Event], date]


def traffic(days: Days) -> list[list[Any]]:
    found: dict[date, list[Event]] = defaultdict(list)
    for event in EVENTS:
        found[days(event)].append(event)
    return [
        [str(day), len(theirs), sum(event["event_type"] == "page_view" for event in theirs), len(people(theirs))]
        for day, theirs in sorted(found.items())
    ]


def people(events: list[Event]) -> set[str]:
    return {person for event in events if (person := person_of(event))}


def sessions(days: Days) -> list[list[Any]]:
    began = Counter(days(min(session, key=time_of)) for session in sessions_of(EVENTS).values())
    return [[str(day), count] for day, count in sorted(began.items())]


def revenue(days: Days) -> list[list[Any]]:
    orders = Counter(days(event) for event in EVENTS if event["event_type"] == "purchase")
    return [[str(day), count] for day, count in sorted(orders.items())]


def retention(days: Days) -> list[list[Any]]:
    active: dict[str, set[date]] = defaultdict(set)
    for event in EVENTS:
        if person := person_of(event):
            active[person].add(days(event))
    cohorts: dict[date, list[set[date]]] = defaultdict(list)
    for theirs in active.values():
        cohorts[min(theirs)].append(theirs)
    return [
        [str(cohort), len(those), later, back]
        for cohort, those in sorted(cohorts.items())
        for later in range(31)
        if (back := sum(cohort + timedelta(days=later) in theirs for theirs in those))
    ]


EXPECTED = {
    "traffic": (traffic, ["day", "events", "page_views", "people"]),
    "sessions": (sessions, ["day", "sessions"]),
    "revenue": (revenue, ["day", "orders"]),
    "retention": (retention, ["cohort", "cohort_people", "day_number", "people"]),
}


def told(table: engine.Table, columns: list[str]) -> list[list[Any]]:
    """Those `columns`, of one day and several currencies put together."""
    places = [table.columns.index(column) for column in columns]
    rows = [[row[place] for place in places] for row in table.rows]
    if table.name != "revenue":
        return rows
    orders: Counter[str] = Counter()
    for day, count in rows:
        orders[day] += count
    return [[day, count] for day, count in orders.items()]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return kept(tmp_path_factory.mktemp("zones"), EVENTS)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", EXPECTED)
def test_days_are_those_of_the_zone(journal: Journal, name: str, zone: str) -> None:
    expected, columns = EXPECTED[name]
    wanted = expected(lambda event: time_of(event).astimezone(ZoneInfo(zone)).date())

    found = [told(table, columns) for table in answers(journal, Question(name), Scope(zone=ZoneInfo(zone)))]

    assert found == [wanted] * 3
    assert len(wanted) > 8


def test_a_day_of_the_zone_asked_alone_is_that_row_of_all_days(journal: Journal) -> None:
    zone = ZoneInfo("Europe/Berlin")
    everything = answers(journal, Question("traffic"), Scope(zone=zone))[0].rows
    for day in ("2025-10-25", "2025-10-26", "2025-10-27"):
        scope = Scope(parse_since(day, zone), parse_until(day, zone), zone=zone)

        for table in answers(journal, Question("traffic"), scope):
            assert [row[:3] for row in table.rows] == [row[:3] for row in everything if row[0] == day]


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(ZONES), st.sampled_from([0, 1, 15, 400]))
def test_sql_shows_what_a_clock_in_the_zone_shows(ms: int, name: str, days: int) -> None:
    scope = Scope(max(0, ms - days * 86_400_000), ms + 1, zone=ZoneInfo(name))
    query = in_zone("SELECT local_time(t) FROM (SELECT epoch_ms($1) AS t)", scope)

    [(found,)] = CONNECTION.execute(query, [ms]).fetchall()

    moment = time_of({"timestamp": text(ms)})
    assert found == moment.astimezone(scope.zone).replace(tzinfo=None)


def test_clocks_change_at_the_very_second() -> None:
    since, until = parse("2026-01-01T00:00:00Z"), parse("2027-01-01T00:00:00Z")

    found = offsets(ZoneInfo("Europe/Berlin"), since, until)

    assert [(text(ms), ahead) for ms, ahead in found] == [
        ("2026-01-01T00:00:00.000Z", 3600),
        ("2026-03-29T01:00:00.000Z", 7200),
        ("2026-10-25T01:00:00.000Z", 3600),
    ]


def test_without_a_zone_no_time_is_reckoned() -> None:
    assert in_zone("SELECT local_time(e.event_time) FROM e", EVERYTHING) == "SELECT e.event_time FROM e"


def test_texts_and_remarks_are_left_alone() -> None:
    sql = "SELECT 'local_time(a)', 'it''s local_time(b)' -- local_time(c)"

    assert in_zone(sql, Scope(zone=ZoneInfo("Asia/Kathmandu"))) == sql


def test_a_query_of_ones_own_reads_the_zone_too(tmp_path: Path) -> None:
    made = kept(tmp_path, EVENTS)
    query = "SELECT local_time(event_time)::DATE AS day, count(*) AS events FROM events GROUP BY day ORDER BY day"
    scope = Scope(zone=ZoneInfo("America/New_York"))

    answer = own.answer(query, sources.journal(made.path), scope)

    assert answer.rows == [
        row[:2] for row in engine.answer(Question("traffic"), sources.journal(made.path), scope).rows
    ]
