"""The SQL questions against a computation in plain Python that shares no code with them."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from clickstream import parquet
from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import QUESTIONS, Question
from clickstream.analytics.scope import Scope
from clickstream.aws.packing import line_of
from clickstream.errors import RequestRefused
from tests.support.event_sample import (
    START_MS,
    person_of,
    sample_events,
    sessions_of,
    time_of,
    write_journal,
    write_ndjson,
)

Event = dict[str, Any]

EVENTS = sample_events(3000, seed=7)
STEPS = ["page_view", "add_to_cart", "checkout", "purchase"]


def steps_in_order(session: list[Event]) -> int:
    """Brute force: the longest prefix of STEPS for which non-decreasing times exist."""
    latest_start = [time_of(event) for event in session if event["event_type"] == STEPS[0]]
    reached = 0
    while latest_start:
        reached += 1
        if reached == len(STEPS):
            break
        latest_start = [
            time_of(event)
            for event in session
            if event["event_type"] == STEPS[reached] and any(before <= time_of(event) for before in latest_start)
        ]
    return reached


def cents_of(event: Event) -> int | None:
    properties = event["properties"]
    amount = next(
        (properties[name] for name in ("total", "revenue", "value") if properties.get(name) is not None), None
    )
    if amount is None or isinstance(amount, (bool, list)):
        return None
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return None
    if abs(value) > 10**13:
        return None
    return int((value * 100).to_integral_value(rounding=ROUND_HALF_EVEN))


def currency_of(event: Event) -> str:
    code = event["properties"].get("currency")
    return code.upper() if isinstance(code, str) and len(code) == 3 else "USD"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("analytics") / "events_backup.json"
    write_journal(path, EVENTS)
    return sources.journal(path)


def rows(name: str, source: str, **span: int) -> list[dict[str, Any]]:
    return engine.answer(Question(name), source, Scope(**span)).as_dict()["rows"]


def test_the_funnel_counts_sessions_that_reach_each_step_in_order_of_event_time(journal: str) -> None:
    depths = [steps_in_order(session) for session in sessions_of(EVENTS).values()]

    answer = rows("funnel", journal)

    assert [row["step"] for row in answer] == STEPS
    assert [row["sessions"] for row in answer] == [sum(depth > step for depth in depths) for step in range(4)]
    assert answer[3]["sessions"] > 5  # the sample reaches the end, so the comparison means something
    assert answer[0]["conversion"] is None
    assert answer[1]["conversion"] == pytest.approx(answer[1]["sessions"] / answer[0]["sessions"])


@pytest.mark.parametrize(
    ("times", "purchases"),
    [
        (["10:00", "10:01", "10:02", "10:03"], 1),
        (["10:00", "10:00", "10:00", "10:00"], 1),
        (["10:03", "10:02", "10:01", "10:00"], 0),
        (["10:00", "10:02", "10:01", "10:03"], 0),
    ],
)
def test_a_step_before_its_predecessor_does_not_count_and_a_tie_does(
    tmp_path: Path, times: list[str], purchases: int
) -> None:
    events = [
        {
            "event_id": step,
            "event_type": step,
            "session_id": "s",
            "timestamp": f"2026-01-15T{time}:00Z",
            "properties": {},
            "received_at": "2026-01-15T11:00:00.000Z",
        }
        for step, time in zip(STEPS, times, strict=True)
    ]
    path = tmp_path / "events.json"
    write_journal(path, events)

    answer = rows("funnel", sources.journal(path))

    assert answer[3]["sessions"] == purchases


@pytest.mark.parametrize(("gap_ms", "sessions"), [(1_800_000, 1), (1_800_001, 2)])
def test_events_without_session_id_split_after_more_than_thirty_minutes(
    tmp_path: Path, gap_ms: int, sessions: int
) -> None:
    begin = dt.datetime(2026, 1, 15, 10, tzinfo=dt.timezone.utc)
    later = begin + dt.timedelta(milliseconds=gap_ms)
    path = tmp_path / "events.ndjson"
    write_ndjson(
        path,
        [
            {
                "event_id": str(index),
                "event_type": "click",
                "user_id": "u",
                "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "properties": None,
                "received_at": "2026-01-15T11:00:00.000Z",
            }
            for index, moment in enumerate([begin, later])
        ],
    )

    answer = rows("sessions", sources.ndjson(path))

    assert sum(row["sessions"] for row in answer) == sessions


def test_traffic_by_day_agrees_with_python(journal: str) -> None:
    days = sorted({time_of(event).date() for event in EVENTS})
    of_day = {day: [event for event in EVENTS if time_of(event).date() == day] for day in days}

    assert rows("traffic", journal) == [
        {
            "day": day.isoformat(),
            "events": len(events),
            "page_views": sum(event["event_type"] == "page_view" for event in events),
            "people": len({person_of(event) for event in events} - {None}),
        }
        for day, events in of_day.items()
    ]
    assert len(days) > 2


def test_sessions_by_day_agree_with_python(journal: str) -> None:
    by_day: dict[str, list[list[Event]]] = defaultdict(list)
    for session in sessions_of(EVENTS).values():
        by_day[min(map(time_of, session)).date().isoformat()].append(session)

    answer = rows("sessions", journal)

    assert [row["day"] for row in answer] == sorted(by_day)
    for row in answer:
        of_day = by_day[row["day"]]
        seconds = [(max(map(time_of, session)) - min(map(time_of, session))).total_seconds() for session in of_day]
        assert row["sessions"] == len(of_day)
        assert row["bounced"] == sum(len(session) == 1 for session in of_day)
        assert row["events_per_session"] == pytest.approx(sum(map(len, of_day)) / len(of_day))
        assert row["average_duration_s"] == pytest.approx(sum(seconds) / len(of_day))


def test_revenue_is_exact_in_cents_per_day_and_currency(journal: str) -> None:
    expected: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    for event in EVENTS:
        if event["event_type"] == "purchase":
            expected[time_of(event).date().isoformat(), currency_of(event)].append(cents_of(event))

    answer = rows("revenue", journal)

    assert {(row["day"], row["currency"]): (row["orders"], row["revenue_cents"]) for row in answer} == {
        key: (len(cents), sum(filter(None, cents))) for key, cents in expected.items()
    }
    assert any(None in cents for cents in expected.values())  # an order without an amount is an order
    assert len({currency for _, currency in expected}) == 3


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        ("0.005", 0),
        ("0.015", 2),
        ("0.025", 2),
        ("-0.005", 0),
        ("-0.015", -2),
        ("19.005000000000003", 1901),
        ("1e3", 100000),
        ('"12.345"', 1234),
        ("10000000000000", 10**15),
    ],
)
def test_an_amount_is_rounded_half_to_even(tmp_path: Path, amount: str, cents: int) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text(
        '{"event_id":"1","event_type":"purchase","user_id":"u","timestamp":"2026-01-15T10:00:00Z",'
        f'"properties":{{"total":{amount}}},"received_at":"2026-01-15T10:00:00Z"}}\n'
    )

    answer = rows("revenue", sources.ndjson(path))

    assert [(row["currency"], row["revenue_cents"]) for row in answer] == [("USD", cents)]


def test_retention_agrees_with_python(journal: str) -> None:
    days: dict[Any, set[dt.date]] = defaultdict(set)
    for event in EVENTS:
        if person_of(event):
            days[person_of(event)].add(time_of(event).date())
    expected = Counter(
        (min(active).isoformat(), (day - min(active)).days) for active in days.values() for day in active
    )

    answer = rows("retention", journal)

    assert {(row["cohort"], row["day_number"]): row["people"] for row in answer} == expected
    assert all(row["retained"] == 1 for row in answer if row["day_number"] == 0)


def test_conversion_by_hour_agrees_with_python(journal: str) -> None:
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for session in sessions_of(EVENTS).values():
        views = [time_of(event) for event in session if event["event_type"] == "page_view"]
        if views:
            hour = f"{min(views):%Y-%m-%dT%H:00:00.000Z}"
            for step in range(steps_in_order(session)):
                expected[hour][step] += 1

    answer = rows("conversion_by_hour", journal)

    assert {
        row["hour"]: [row[name] for name in ("sessions", "carted", "checked_out", "purchased")] for row in answer
    } == expected


def test_paths_follow_page_views_inside_a_session(tmp_path: Path) -> None:
    walk = [("s1", "/"), ("s1", "/products"), ("s1", "/cart"), ("s2", "/"), ("s2", "/products")]
    events = [
        {
            "event_id": str(index),
            "event_type": "page_view",
            "session_id": session,
            "timestamp": f"2026-01-15T10:00:0{index}Z",
            "properties": {"page": page},
            "received_at": "2026-01-15T10:00:00.000Z",
        }
        for index, (session, page) in enumerate(walk)
    ]
    path = tmp_path / "events.json"
    write_journal(path, events)

    answer = rows("paths", sources.journal(path))

    assert [(row["page"], row["next_page"], row["transitions"], row["share"]) for row in answer] == [
        ("/", "/products", 2, 1.0),
        ("/cart", None, 1, 1.0),
        ("/products", "/cart", 1, 0.5),
        ("/products", None, 1, 0.5),
    ]


def test_top_pages_agree_with_python(journal: str) -> None:
    views = Counter(event["properties"]["page"] for event in EVENTS if event["event_type"] == "page_view")
    people: dict[str, set[Any]] = defaultdict(set)
    for event in EVENTS:
        if event["event_type"] == "page_view" and person_of(event):
            people[event["properties"]["page"]].add(person_of(event))

    answer = rows("top_pages", journal)

    assert [(row["page"], row["views"]) for row in answer] == sorted(
        views.items(), key=lambda item: (-item[1], item[0])
    )
    assert {row["page"]: row["people"] for row in answer} == {page: len(seen) for page, seen in people.items()}


def entries_and_exits(events: list[Event]) -> dict[str, tuple[int, int]]:
    """Per page the visits that began and that ended with it."""
    entries, exits = Counter[str](), Counter[str]()
    for session in sessions_of(events).values():
        views = [event for event in session if event["event_type"] == "page_view"]
        if views:
            views.sort(key=lambda event: (time_of(event), event["received_at"], event["event_id"]))
            entries[views[0]["properties"]["page"]] += 1
            exits[views[-1]["properties"]["page"]] += 1
    return {page: (entries[page], exits[page]) for page in {*entries, *exits}}


@pytest.mark.parametrize("hours", [None, 25], ids=["everything", "a span that cuts visits"])
def test_entries_and_exits_agree_with_python(journal: str, hours: int | None) -> None:
    until = hours and START_MS + hours * 3_600_000
    inside = [event for event in EVENTS if until is None or round(time_of(event).timestamp() * 1000) < until]
    expected = entries_and_exits(inside)

    answer = rows("top_pages", journal, **({} if until is None else {"until_ms": until}))

    assert {row["page"]: (row["entries"], row["exits"]) for row in answer} == expected
    visits = [session for session in sessions_of(inside).values() if any(map(is_view, session))]
    assert sum(row["entries"] for row in answer) == sum(row["exits"] for row in answer) == len(visits)
    assert 0 < len(visits) < len(sessions_of(inside))  # some have no page view
    assert any(entries != exits for entries, exits in expected.values())


def is_view(event: Event) -> bool:
    return bool(event["event_type"] == "page_view")


@pytest.mark.parametrize(
    ("views", "ends"),
    [
        pytest.param([("/a", 0, 0, "1")], {"/a": (1, 1)}, id="one page"),
        pytest.param(
            [("/a", 0, 0, "1"), ("/b", 1, 0, "2"), ("/c", 2, 0, "3")],
            {"/a": (1, 0), "/b": (0, 0), "/c": (0, 1)},
            id="three",
        ),
        pytest.param([("/a", 1, 0, "1"), ("/b", 0, 1, "2")], {"/a": (0, 1), "/b": (1, 0)}, id="came late"),
        pytest.param([("/a", 0, 1, "1"), ("/b", 0, 0, "2")], {"/a": (0, 1), "/b": (1, 0)}, id="received first"),
        pytest.param([("/a", 0, 0, "2"), ("/b", 0, 0, "10")], {"/a": (0, 1), "/b": (1, 0)}, id="lower event_id"),
        pytest.param([(5, 0, 0, "1"), ("/a", 1, 0, "2"), ("", 2, 0, "3")], {"/a": (1, 1)}, id="between no pages"),
        pytest.param([(5, 0, 0, "1")], {}, id="no page"),
    ],
)
def test_a_visit_begins_and_ends_with_its_views_in_their_order(
    tmp_path: Path, views: list[tuple[Any, int, int, str]], ends: dict[str, tuple[int, int]]
) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, [seen(*view, session_id="visit") for view in views])

    answer = rows("top_pages", sources.journal(path))

    assert {row["page"]: (row["entries"], row["exits"]) for row in answer} == ends


def test_a_view_outside_of_visits_is_neither_entry_nor_exit(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, [seen("/a", 0, 0, "1")])

    (row,) = rows("top_pages", sources.journal(path))

    assert row == {"page": "/a", "views": 1, "sessions": 0, "people": 0, "entries": 0, "exits": 0}


def seen(page: object, second: int, received_s: int, event_id: str, **ids: str) -> Event:
    return {
        "event_id": event_id,
        "event_type": "page_view",
        **ids,
        "timestamp": f"2026-01-15T10:00:0{second}Z",
        "properties": {"page": page},
        "received_at": f"2026-01-15T10:00:0{received_s}.000Z",
    }


def test_top_products_count_views_and_units(journal: str) -> None:
    views: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for event in EVENTS:
        properties = event["properties"]
        if event["event_type"] == "page_view":
            views[properties.get("product_name") or properties.get("product_id")] += 1
        elif event["event_type"] == "purchase":
            for item in properties.get("items", [properties]):
                units[item.get("product_name") or item.get("product_id")] += item.get("quantity", 1)
    expected = {name: (views[name], units[name]) for name in {*views, *units} if name and (views[name] or units[name])}

    answer = rows("top_products", journal)

    assert {row["product"]: (row["views"], row["units"]) for row in answer} == expected
    assert any(row["product"] == 'Lamp "Größe" 🙂' for row in answer)


@pytest.mark.parametrize(("dimension", "value"), [("device", "mobile"), ("utm_source", "newsletter")])
def test_breakdown_counts_events_and_sessions_of_each_value_and_all_orders_of_these(
    journal: str, dimension: str, value: str
) -> None:
    saying = [visit for visit in sessions_of(EVENTS).values() if any(map(says, visit, repeat((dimension, value))))]

    answer = rows("breakdown", journal)

    row = next(row for row in answer if (row["dimension"], row["dimension_value"]) == (dimension, value))
    assert row["events"] == sum(says(event, (dimension, value)) for event in EVENTS)
    assert row["sessions"] == len(saying)
    assert row["orders"] == sum(event["event_type"] == "purchase" for visit in saying for event in visit) > 0


def says(event: Event, wanted: tuple[str, str]) -> bool:
    return bool(event["properties"].get(wanted[0]) == wanted[1])


def test_an_event_without_a_session_has_its_own_orders_alone(tmp_path: Path) -> None:
    alone = {"timestamp": "2026-01-01T00:00:00Z", "received_at": "2026-01-01T00:00:00Z"}
    bought = {"event_type": "purchase", "properties": {"device": "phone", "country": "AT"}}
    viewed = {"event_type": "page_view", "properties": {"device": "phone", "country": "DE"}}
    path = tmp_path / "events_backup.json"
    write_journal(path, [alone | bought | {"event_id": "1"}, alone | viewed | {"event_id": "2"}])

    answer = rows("breakdown", sources.journal(path))

    assert {(row["dimension_value"], row["events"], row["sessions"], row["orders"]) for row in answer} == {
        ("phone", 2, 0, 1),
        ("AT", 1, 0, 1),
        ("DE", 1, 0, 0),
    }


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_journal_ndjson_and_duplicated_parquet_give_the_same_rows(name: str, journal: str, tmp_path: Path) -> None:
    path, copies = tmp_path / "events.ndjson", tmp_path / "events.parquet"
    write_ndjson(path, EVENTS)
    twice = f"SELECT * FROM ({journal}) UNION ALL SELECT * FROM ({journal})"
    with engine.connect() as connection:
        connection.execute(f"COPY ({twice}) TO '{copies}' (FORMAT parquet)")

    expected = rows(name, journal)

    assert rows(name, sources.of_file(path)) == expected
    assert rows(name, sources.of_file(copies)) == expected


def test_robots_are_known_in_an_export_as_parquet_too(tmp_path: Path) -> None:
    events = [event | {"is_bot": True} if number % 3 == 0 else event for number, event in enumerate(EVENTS)]
    write_journal(tmp_path / "events.json", events)
    exported = parquet.write([line_of(json.dumps(event).encode()) for event in events], tmp_path)
    question = Question("breakdown", by="is_bot")

    of_journal, of_export = (
        engine.answer(question, source).rows
        for source in (sources.journal(tmp_path / "events.json"), sources.of_file(exported))
    )

    assert of_export == of_journal
    assert [row[1:3] for row in of_journal] == [["true", len(events[::3])]]


def test_a_span_includes_its_start_and_excludes_its_end(journal: str) -> None:
    first = min(map(time_of, EVENTS))
    start_ms = round(first.timestamp() * 1000)
    day_ms = 86_400_000

    pages = rows("top_pages", journal, since_ms=start_ms, until_ms=start_ms + day_ms)

    inside = [event for event in EVENTS if first <= time_of(event) < first + dt.timedelta(days=1)]
    assert sum(row["views"] for row in pages) == sum(event["event_type"] == "page_view" for event in inside)


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_answers_an_empty_journal(name: str, tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    path.write_text("[\n]\n")

    assert sum(row.get("sessions", 0) for row in rows(name, sources.journal(path))) == 0


def test_an_unknown_question_is_refused_with_the_known_ones(journal: str) -> None:
    with pytest.raises(RequestRefused, match='no question "funel"; there are funnel, '):
        engine.answer(Question("funel"), journal)


def test_a_quote_in_a_path_cannot_leave_its_string(tmp_path: Path) -> None:
    path = tmp_path / "a'b.json"
    write_journal(path, EVENTS[:1])

    assert len(rows("sessions", sources.journal(path))) == 1


@pytest.mark.parametrize("form", ["json", "ndjson", "parquet"])
def test_a_path_that_looks_like_a_pattern_means_that_file_alone(form: str, tmp_path: Path) -> None:
    path, matched = tmp_path / f"day-*[1]?.{form}", tmp_path / f"day-2-11.{form}"
    for target, events in ((matched, EVENTS[:2]), (path, EVENTS[:1])):
        write_ndjson(target, events)
        if form == "json":
            write_journal(target, events)
        elif form == "parquet":
            parquet.write([line_of(json.dumps(event).encode()) for event in events], tmp_path).replace(target)

    assert sum(row["sessions"] * row["events_per_session"] for row in rows("sessions", sources.of_file(path))) == 1


def test_a_damaged_file_is_an_error_not_an_empty_answer(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text('[\n{"event_id":\n]\n')

    with pytest.raises(engine.SourceUnreadable):
        engine.answer(Question("funnel"), sources.journal(path))


def test_a_value_that_overflows_is_told_as_unreadable(tmp_path: Path) -> None:
    with pytest.raises(engine.SourceUnreadable, match="Out of Range"), engine.readable():
        engine.connect().execute("SELECT CAST(1e18 AS DECIMAL(38, 18)) * 100").fetchall()
