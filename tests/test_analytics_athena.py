"""The Athena text of every question: refused where doubtful, and equal in rows after a round trip through Trino."""

from __future__ import annotations

from pathlib import Path

import pytest

from clickstream.analytics import athena, engine, sources
from clickstream.analytics.catalog import QUESTIONS, Question
from clickstream.analytics.scope import Scope
from clickstream.timestamps import text
from tests.support.athena import by_athena
from tests.support.event_sample import START_MS, sample_events, write_journal


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("athena") / "events_backup.json"
    write_journal(path, sample_events(2000, seed=3))
    return sources.journal(path)


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_athena_text_gives_the_same_rows(name: str, journal: str) -> None:
    expected = engine.answer(Question(name), journal).as_dict()["rows"]

    answer = by_athena(Question(name), journal).as_dict()["rows"]

    assert len(answer) == len(expected) > 0
    for row, wanted in zip(answer, expected, strict=True):
        assert row == pytest.approx(wanted)


def test_rows_without_an_id_are_events_of_their_own_in_athena_too(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, [event | {"event_id": None} for event in sample_events(300, seed=3)])
    expected = engine.answer(Question("revenue"), sources.journal(path)).as_dict()["rows"]

    assert by_athena(Question("revenue"), sources.journal(path), times=1).as_dict()["rows"] == expected
    assert sum(row["orders"] for row in expected) > 1


@pytest.mark.parametrize(
    "visit",
    [{"page": "/p/3", "utm_source": "newsletter"}, {"referrer": "example.org"}, {"product": "O'Neill \\' -- \"x\""}],
)
@pytest.mark.parametrize("name", QUESTIONS)
def test_chosen_visits_are_the_same_in_athena(name: str, visit: dict[str, str], journal: str) -> None:
    scope = Scope(visit=visit)
    expected = engine.answer(Question(name), journal, scope).as_dict()["rows"]

    answer = by_athena(Question(name), journal, scope).as_dict()["rows"]

    assert len(answer) == len(expected)
    for row, wanted in zip(answer, expected, strict=True):
        assert row == pytest.approx(wanted)


def test_a_span_limits_the_rows_and_the_partitions_that_are_read(journal: str) -> None:
    scope = Scope(START_MS + 86_400_000, START_MS + 2 * 86_400_000)
    expected = engine.answer(Question("revenue"), journal, scope).as_dict()["rows"]

    answer = by_athena(Question("revenue"), journal, scope).as_dict()["rows"]

    assert [row["revenue_cents"] for row in answer] == [row["revenue_cents"] for row in expected]
    statement = athena.statement(Question("revenue"), scope, database="lake")
    assert f"dt >= '{text(START_MS)[:10]}'" in statement  # one day earlier: a producer's clock may be ahead


@pytest.mark.parametrize(
    "question",
    [
        "SELECT event_type, count(*) AS n FROM events GROUP BY ALL",
        "SELECT quantile_cont(revenue_cents, 0.5) AS median FROM events",
        "SELECT time_bucket(INTERVAL '5' MINUTE, event_time) AS bucket FROM events",
        "SELECT epoch_ms(event_time) AS ms FROM events",
        "SELECT revenue_cents / 2 AS half FROM events",
        "SELECT list(page) AS pages FROM events",
        "SELECT {'a': page} AS pages FROM events",
        "SELECT page[1:2] AS beginning FROM events",
        "SELECT max_by(page, event_time) AS last_page FROM events",
        "SELECT some_function(page) AS unknown FROM events",
        "SELECT * EXCLUDE (page) FROM events",
        "SELECT page FROM events QUALIFY row_number() OVER (PARTITION BY page ORDER BY event_time) = 1",
        "SELECT CAST(event_time AS TIMESTAMPTZ) AS zoned FROM events",
        "SELECT count(*) AS n FROM read_json('events.json')",
        "DROP TABLE events",
    ],
)
def test_what_athena_may_read_differently_is_refused(question: str) -> None:
    with pytest.raises(athena.NotPortable):
        athena.translate(question, {})


def test_only_the_views_that_a_question_stands_on_are_sent() -> None:
    statement = athena.statement(Question("revenue"), database="lake")

    assert "session_funnel" not in statement
    assert "session_events" not in statement


def test_the_text_of_a_json_value_keeps_its_quotes_in_athena() -> None:
    statement = athena.translate("SELECT CAST(json_extract(properties, '$.page') AS VARCHAR) AS page FROM events", {})

    assert " ".join(statement.split()) == "SELECT JSON_FORMAT(JSON_EXTRACT(properties, '$.page')) AS page FROM events"
