"""The Parquet copy knows most sessions as a whole; with those it does not, its answers are the journal's own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import QUESTIONS, Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.analytics.views import Copied, over_copy, over_source
from clickstream.journal import Journal, layout
from clickstream.timestamps import text

START_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
VISITS: Final = 600  # one every fourteen minutes: nearly six days
EVERY_MS: Final = 840_000
DAY_MS: Final = 86_400_000
STEPS: Final = ["page_view", "page_view", "add_to_cart", "checkout", "purchase"]


ASKED: Final = [
    *map(Question, QUESTIONS),
    Question("funnel", by="device"),
    Question("breakdown", by="property.page", of="purchase"),
]


def visits_in_order_of_arrival(seed: int) -> list[dict[str, Any]]:
    """Most events arrive while their visit lasts; one in fifty comes up to two days late."""
    chance = random.Random(seed)
    arrived = []
    for number in range(VISITS):
        for event in _visit(chance, number):
            late_ms = chance.randrange(2 * DAY_MS) if chance.random() < 0.02 else 0
            arrived.append((event.pop("ms") + late_ms, event))
    arrived.sort(key=lambda one: one[0])
    return [event | {"received_at": text(ms)} for ms, event in arrived]


def _visit(chance: random.Random, number: int) -> Iterator[dict[str, Any]]:
    ms = START_MS + number * EVERY_MS
    ids: dict[str, Any] = {"anonymous_id": f"device-{chance.randrange(60)}"}
    if chance.random() < 0.85:
        ids["session_id"] = f"visit-{number if chance.random() < 0.98 else number // 150}"  # a few ids last for days
    device = chance.choice(["mobile", "desktop"])
    for step in range(chance.randrange(1, 9)):
        if step == 3 and chance.random() < 0.5:
            ids["user_id"] = f"user-{chance.randrange(40)}"  # signs in amid the visit
        if chance.random() < 0.03:
            device = "tablet"  # and goes on elsewhere
        yield {
            "event_id": f"{number}-{step}-{chance.randrange(1000)}",
            "event_type": chance.choice(STEPS[: step + 1] if step < 5 else STEPS),
            "timestamp": text(ms),
            "properties": {
                "page": f"/{chance.randrange(8)}",
                "product_name": chance.choice(["Lamp", "Boots"]),
                "device": device,
                "total": chance.randrange(10_000) / 100,
                **({"utm_source": "newsletter"} if step == 0 and number % 5 == 0 else {}),
            },
            "ms": ms,
            **ids,
        }
        ms += chance.choice([0, 1, 999, 60_000, 400_000])


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    made = Journal(tmp_path_factory.mktemp("visits") / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    made.append([json.dumps(event).encode() for event in visits_in_order_of_arrival(seed=5)])
    yield made
    made.close()


@contextmanager
def copied(journal: Journal) -> Iterator[Copied]:
    copy = ColumnCopy(journal.path, least_part_bytes=75_000, most_part_bytes=75_000)
    with copy.source(journal.end) as source:
        yield source


@pytest.fixture(scope="module")
def of_journal(journal: Journal) -> Callable[[Question, Scope], engine.Table]:
    """The journal's own answers; those that are asked of one scope after another read it once."""
    stands: list[tuple[Scope, duckdb.DuckDBPyConnection]] = []

    def answer(question: Question, scope: Scope) -> engine.Table:
        if not stands or stands[0][0] != scope:
            connection = engine.connect()
            over_source(connection, sources.journal(journal.path), scope)
            stands[:] = [(scope, connection)]
        return engine.asked(stands[0][1], question, scope)

    return answer


@pytest.fixture(scope="module")
def parts(journal: Journal) -> Iterator[Copied]:
    """The copy of it, for all that only ask."""
    with copied(journal) as source:
        yield source


SPANS = {
    "everything": EVERYTHING,
    "whole days": Scope(START_MS + DAY_MS, START_MS + 4 * DAY_MS),
    "from amid a visit": Scope(since_ms=START_MS + 2 * DAY_MS + 7 * EVERY_MS + 1),
    "to amid a visit": Scope(until_ms=START_MS + 3 * DAY_MS + 11 * EVERY_MS + 60_000),
    "an hour": Scope(START_MS + DAY_MS + 1_800_000, START_MS + DAY_MS + 5_400_000),
    "before everything": Scope(until_ms=START_MS),
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
def test_answers_over_any_span_are_those_of_the_journal(
    of_journal: Callable[[Question, Scope], engine.Table], parts: Copied, name: str, span: Scope
) -> None:
    answer = engine.answer(Question(name), parts, span)

    expected = of_journal(Question(name), span)
    assert answer.rows == expected.rows
    assert answer.columns == expected.columns
    assert expected.rows or span == SPANS["before everything"]


@pytest.mark.parametrize("span", SPANS.values(), ids=SPANS)
def test_only_few_sessions_are_put_together_from_events(parts: Copied, span: Scope) -> None:
    with engine.connect() as connection:
        over_copy(connection, parts, span, Question("sessions").sql)
        (loose,) = connection.execute("SELECT count(*) FROM loose_visits").fetchall()[0]

    assert len(parts.parts) > 5
    assert 0 < loose < VISITS / 4


def test_a_session_that_goes_on_behind_the_copy_is_one_session(tmp_path: Path) -> None:
    made = Journal(tmp_path / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    events = visits_in_order_of_arrival(seed=6)
    made.append([json.dumps(event).encode() for event in events])
    with copied(made) as source:
        before = engine.answer(Question("sessions"), source).rows
    first = next(event for event in events if event.get("session_id") == "visit-100")
    made.append([json.dumps(first | {"event_id": "weeks later"}).encode()])

    with copied(made) as source:
        after = engine.answer(Question("sessions"), source).rows
    made.close()

    assert after == engine.answer(Question("sessions"), sources.journal(made.path)).rows != before
    assert sum(row[1] for row in after) == sum(row[1] for row in before)


def test_a_time_that_cannot_be_read_counts_as_in_the_journal(tmp_path: Path) -> None:
    made = Journal(tmp_path / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    events = visits_in_order_of_arrival(seed=7)
    for event in events[::50]:
        event["timestamp"] = "soon"
    made.append([json.dumps(event).encode() for event in events])

    for name in ("sessions", "paths", "breakdown", "retention"):
        with copied(made) as source:
            answer = engine.answer(Question(name), source, Scope(START_MS)).rows
        assert answer == engine.answer(Question(name), sources.journal(made.path), Scope(START_MS)).rows, name
    made.close()


@pytest.mark.parametrize("question", ASKED, ids=str)
@pytest.mark.parametrize(
    ("chosen", "span"),
    [
        pytest.param(Scope(visit={"device": "tablet"}), "everything", id="what is said amid a visit"),
        pytest.param(Scope(visit={"device": "tablet"}), "from amid a visit", id="what is said amid a visit, cut"),
        pytest.param(Scope(visit={"utm_source": "newsletter"}), "whole days", id="what only its first event says"),
        pytest.param(Scope(visit={"utm_source": "newsletter"}), "an hour", id="what only its first event says, cut"),
        pytest.param(
            Scope(visit={"event_type": "purchase", "page": "/3", "device": "mobile"}), "everything", id="several"
        ),
        pytest.param(Scope(visit={"country": "AT"}), "everything", id="what nobody says"),
        pytest.param(Scope(without={"device": "tablet"}), "everything", id="what is not said"),
        pytest.param(Scope(without={"event_type": "purchase"}), "from amid a visit", id="what is not said, cut"),
        pytest.param(
            Scope(visit={"device": "mobile"}, without={"page": "/3"}), "whole days", id="what is said and what is not"
        ),
    ],
)
def test_answers_over_chosen_visits_are_those_of_the_journal(
    of_journal: Callable[[Question, Scope], engine.Table],
    parts: Copied,
    question: Question,
    chosen: Scope,
    span: str,
) -> None:
    scope = replace(SPANS[span], visit=chosen.visit, without=chosen.without)

    answer = engine.answer(question, parts, scope)

    expected = of_journal(question, scope)
    assert answer.rows == expected.rows
    assert answer.columns == expected.columns


def test_a_step_may_be_called_as_a_view_is(journal: Journal, parts: Copied) -> None:
    steps = ("page_view", "session_times", "/session_values")

    answer = engine.answer(Question("funnel", steps), parts)

    assert answer.rows == engine.answer(Question("funnel", steps), sources.journal(journal.path)).rows


def test_sessions_are_put_together_once_to_know_the_chosen_ones(tmp_path: Path) -> None:
    made = Journal(tmp_path / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    events = visits_in_order_of_arrival(seed=8)
    made.append([json.dumps({**event, "session_id": None}).encode() for event in events])
    windows = {}
    for scope in (EVERYTHING, Scope(visit={"device": "mobile"})):
        with copied(made) as source, engine.connect() as connection:
            over_copy(connection, source, scope, Question("funnel").sql)
            (_, plan), *_ = connection.execute(f"EXPLAIN {Question('funnel').sql}").fetchall()
        windows[scope.chooses] = plan.count("PARTITION BY")
    made.close()

    assert 0 < windows[True] <= 2 * windows[False]  # the second time for events of nobody, which are few
