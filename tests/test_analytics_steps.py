"""Funnels of one's own steps against a computation in plain Python, over journal, copy and Athena's statement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import Question
from clickstream.analytics.scope import Scope
from clickstream.analytics.steps import SHOP, steps_of
from clickstream.errors import RequestRefused
from clickstream.journal import Journal
from tests.support.answers import answers, kept
from tests.support.event_sample import START_MS, sample_events, sessions_of, time_of

EVENTS = sample_events(3000, seed=13)
FUNNELS = [
    SHOP,
    ("search", "/p/3", "custom.type"),
    ("/p/1", "/p/2", "/p/3", "purchase"),
    ("page_view", "/p/5"),
    ("purchase", "page_view"),
    ("nobody.did", "this's \\ it"),
]


def takes(event: dict[str, Any], step: str) -> bool:
    if step.startswith("/"):
        return event["event_type"] == "page_view" and event["properties"]["page"] == step
    return bool(event["event_type"] == step)


def reached(session: list[dict[str, Any]], steps: tuple[str, ...]) -> int:
    """How many of the steps a session took in order, each at its earliest time."""
    at = None
    for number, step in enumerate(steps):
        times = [time_of(event) for event in session if takes(event, step)]
        later = [time for time in times if at is None or time >= at]
        if not later:
            return number
        at = min(later)
    return len(steps)


def expected(steps: tuple[str, ...], sessions: list[list[dict[str, Any]]]) -> list[list[Any]]:
    depths = [reached(session, steps) for session in sessions]
    counts = [sum(depth > number for depth in depths) for number in range(len(steps))]
    return [
        [step, count, None if not number or not counts[number - 1] else count / counts[number - 1]]
        for number, (step, count) in enumerate(zip(steps, counts, strict=True))
    ]


def says(event: dict[str, Any], by: str) -> str | None:
    """What an event says under a name, of which all values of the sample are texts."""
    text = event["event_type"] if by == "event_type" else event["properties"].get(by.removeprefix("property."))
    return text or None


def expected_by(by: str, steps: tuple[str, ...]) -> list[list[Any]]:
    sessions: dict[str | None, list[list[dict[str, Any]]]] = {}
    for session in sessions_of(EVENTS).values():
        for value in ({says(event, by) for event in session} - {None}) or {None}:
            sessions.setdefault(value, []).append(session)
    none = [(None, expected(steps, sessions.pop(None, [])))]
    funnels: list[tuple[str | None, list[list[Any]]]] = [(value, expected(steps, s)) for value, s in sessions.items()]
    found = sorted(funnels, key=lambda one: (-one[1][0][1], one[0]))[:20] + none
    return [[by, value, *row] for value, funnel in found if funnel[0][1] for row in funnel]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return kept(tmp_path_factory.mktemp("steps"), EVENTS)


@pytest.mark.parametrize("steps", FUNNELS, ids=",".join)
def test_a_funnel_counts_the_sessions_that_took_its_steps_in_order(journal: Journal, steps: tuple[str, ...]) -> None:
    wanted = expected(steps, list(sessions_of(EVENTS).values()))

    of_journal, of_copy, of_lake = answers(journal, Question("funnel", steps))

    assert of_journal.columns == of_copy.columns == of_lake.columns == ["step", "sessions", "conversion"]
    assert of_journal.rows == of_copy.rows == of_lake.rows == [pytest.approx(row) for row in wanted]
    assert wanted[-1][1] > 0 or steps[0] == "nobody.did"


def test_with_the_steps_of_a_shop_it_is_the_funnel(journal: Journal) -> None:
    source = sources.journal(journal.path)

    assert engine.answer(Question("funnel", SHOP), source).rows == engine.answer(Question("funnel"), source).rows


@pytest.mark.parametrize("steps", [(), *FUNNELS], ids=",".join)
@pytest.mark.parametrize("by", ["device", "event_type", "property.page", "property.product_id", "utm_source"])
def test_a_funnel_goes_by_what_events_say_in_journal_copy_and_athena_alike(
    journal: Journal, steps: tuple[str, ...], by: str
) -> None:
    wanted = expected_by(by, steps or SHOP)

    of_journal, of_copy, of_lake = answers(journal, Question("funnel", steps, by))

    assert of_journal.columns == ["dimension", "dimension_value", "step", "sessions", "conversion"]
    assert of_journal.rows == of_copy.rows == of_lake.rows == [pytest.approx(row) for row in wanted]
    assert wanted or steps[:1] == ("nobody.did",)


@pytest.mark.parametrize("steps", FUNNELS, ids=",".join)
def test_chosen_visits_and_a_span_limit_it_in_journal_copy_and_athena_alike(
    journal: Journal, steps: tuple[str, ...]
) -> None:
    scope = Scope(START_MS + 20_000_000, START_MS + 200_000_000, {"utm_source": "newsletter"})
    question = Question("funnel", steps)

    of_journal, of_copy, of_lake = answers(journal, question, scope)

    assert of_copy.rows == of_journal.rows == of_lake.rows
    everything = engine.answer(question, sources.journal(journal.path))
    assert of_journal.rows != everything.rows or steps[0] == "nobody.did"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("purchase", "a funnel has 2 to 10 steps"),
        (",".join(f"step_{number}" for number in range(11)), "a funnel has 2 to 10 steps"),
        ("/pricing, ,purchase", "one of these is empty"),
        ("", "a funnel has 2 to 10 steps"),
        ("click, purchase ,click", 'the step "click" stands twice'),
        ("click,\udcff", "need to be a text in UTF-8"),
    ],
)
def test_what_is_no_funnel_is_refused(text: str, words: str) -> None:
    with pytest.raises(RequestRefused, match=words) as refused:
        steps_of(text)

    assert refused.value.field == "steps"


def test_steps_of_another_question_are_refused(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(RequestRefused, match='only funnel can have "steps", paths can not'):
        engine.answer(Question("paths", SHOP), sources.journal(journal.path))
