"""Breakdowns by one thing, and visits chosen by a property of one's own, against plain Python."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import Question, question_of
from clickstream.analytics.dimensions import KNOWN
from clickstream.analytics.scope import EVERYTHING, VISIT, Scope, texts_of
from clickstream.errors import RequestRefused
from clickstream.journal import Journal, layout
from clickstream.option_values import visit_argument
from tests.support.answers import answers, kept
from tests.support.event_sample import START_MS, person_of, sample_events, sessions_of

Event = dict[str, Any]
TEXTS = ["pro", "free", "5", 'a "quote" \\ and {', "größe \N{SNOWMAN}", "{not an object}", "null", "O'Neill"]
VALUES = [*TEXTS, "", 5, -2.5, True, False, None, {"plan": "pro"}, ["pro"], "pro", "pro", "free"]
REFERRERS = [
    *VALUES,
    *("https://example.org/", "http://WWW.Example.org:8080/x?y#z", "//example.org", "app://user@example.org"),
    *(
        "https://notexample.org/",
        "https://example.org.evil/",
        "https://evil/?example.org",
        "example.org",
        "www.O'Neill",
    ),
]
NAMES = ["plan", "my key", "a.b", "$current_url", "größe", "it's", "Plan", "0"]


def events_with_own_properties() -> list[Event]:
    chance = random.Random(8)
    events = sample_events(2500, seed=17)
    for number, event in enumerate(events):
        for name in NAMES:
            if chance.random() < (0.5 if name == "plan" else 0.05):
                event["properties"][name] = chance.choice(VALUES)
        if chance.random() < 0.1:
            event["properties"]["referrer"] = chance.choice(REFERRERS)
        for name in ("browser", "os", "country", "utm_source", "utm_medium", "utm_campaign"):
            if chance.random() < 0.1:
                event["properties"][name] = chance.choice(VALUES)
        if chance.random() < 0.1:
            event["is_bot"] = chance.choice([True, True, "maybe"])
        if number % 9 == 0:  # of nobody
            for name in ("user_id", "anonymous_id", "session_id"):
                event.pop(name, None)
    return events


EVENTS = events_with_own_properties()


def is_nobodys(event: Event) -> bool:
    return not event.get("session_id") and person_of(event) is None


SESSIONS = list(sessions_of([event for event in EVENTS if not is_nobodys(event)]).values())
GROUPS = [*SESSIONS, *([event] for event in EVENTS if is_nobodys(event))]


def host_of(referrer: str) -> str:
    return (urlsplit(referrer).hostname or referrer).removeprefix("www.")


def said(event: Event, by: str) -> str | None:
    """What an event says under a name of its properties or of KNOWN, as text; a referrer as its host."""
    properties = event["properties"]
    if by == "event_type":
        return str(event["event_type"])
    if by == "is_bot":
        return {True: "true", None: None}.get(event.get("is_bot"), event.get("is_bot"))
    if by == "product":
        found = properties.get("product_name") or properties.get("product_id")
    else:
        found = properties.get(by.removeprefix("property."))
    if isinstance(found, str):
        return (host_of(found) if by == "referrer" else found) or None
    if found is None or isinstance(found, dict | list) or not by.startswith("property."):
        return None
    return json.dumps(found)


def broken_down(by: str, groups: list[list[Event]], of: str = "") -> list[list[Any]]:
    events: Counter[str] = Counter()
    sessions: Counter[str] = Counter()
    orders: Counter[str] = Counter()
    for group in groups:
        counted = [event for event in group if of in ("", event["event_type"])]
        values = Counter(value for event in counted if (value := said(event, by)) is not None)
        events.update(values)
        bought = sum(event["event_type"] == "purchase" for event in group)
        for value in values:
            sessions[value] += not is_nobodys(group[0])
            orders[value] += bought
    ranked = sorted(events, key=lambda value: (-events[value], value))[:100]
    return [[by, value, events[value], sessions[value], orders[value]] for value in ranked]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return kept(tmp_path_factory.mktemp("own"), EVENTS)


def rows(journal: Journal, question: Question, scope: Scope = EVERYTHING) -> list[list[list[Any]]]:
    return [table.rows for table in answers(journal, question, scope)]


@pytest.mark.parametrize("by", [*KNOWN, *(f"property.{name}" for name in NAMES), "property.page"])
def test_a_breakdown_by_one_thing_counts_who_says_it(journal: Journal, by: str) -> None:
    wanted = broken_down(by, GROUPS)

    of_journal, of_copy, of_lake = rows(journal, Question("breakdown", by=by))

    assert of_journal == of_copy == of_lake == wanted
    assert len(wanted) > 1


@pytest.mark.parametrize(("by", "of"), [("property.plan", "purchase"), ("device", "custom.type"), ("page", "it's")])
def test_it_counts_the_events_of_one_type(journal: Journal, by: str, of: str) -> None:
    wanted = broken_down(by, GROUPS, of)

    of_journal, of_copy, of_lake = rows(journal, Question("breakdown", by=by, of=of))

    assert of_journal == of_copy == of_lake == wanted
    assert bool(wanted) is (of != "it's")


@pytest.mark.parametrize("of", ["", "purchase"])
def test_without_one_thing_it_goes_by_what_every_breakdown_goes_by(journal: Journal, of: str) -> None:
    source = sources.journal(journal.path)
    dimensions = sorted({row[0] for row in engine.answer(Question("breakdown"), source).rows})
    wanted = [row for by in dimensions for row in broken_down(by, GROUPS, of)[:20]]

    for found in rows(journal, Question("breakdown", of=of)):
        assert found == wanted


@pytest.mark.parametrize("by", ["device", "utm_source"])
def test_it_says_of_what_every_breakdown_has_the_same(journal: Journal, by: str) -> None:
    source = sources.journal(journal.path)
    everything = engine.answer(Question("breakdown"), source).rows

    assert engine.answer(Question("breakdown", by=by), source).rows == [row for row in everything if row[0] == by]


@pytest.mark.parametrize(
    "scope",
    [
        Scope(visit={"property.plan": "pro"}),
        Scope(visit={"property.plan": "5"}),
        Scope(visit={"property.plan": "true", "event_type": "purchase"}),
        Scope(visit={"property.my key": TEXTS[3]}),
        Scope(visit={"property.größe": TEXTS[4], "property.plan": "free"}),
        Scope(without={"property.plan": "pro"}),
        Scope(without={"is_bot": "true"}),
        Scope(visit={"property.plan": "free"}, without={"property.my key": "free", "device": "tablet"}),
    ],
    ids=lambda scope: "+".join([*scope.visit, *("not " + name for name in scope.without)]),
)
@pytest.mark.parametrize("question", [Question("breakdown", by="property.plan"), Question("sessions")], ids=str)
def test_visits_are_chosen_by_a_property_of_ones_own(journal: Journal, scope: Scope, question: Question) -> None:
    chosen = [
        group
        for group in GROUPS
        if all(any(said(event, name) == value for event in group) for name, value in scope.visit.items())
        if not any(said(event, name) == value for event in group for name, value in scope.without.items())
    ]
    assert 0 < len(chosen) < len(GROUPS)

    of_journal, of_copy, of_lake = rows(journal, question, scope)

    assert of_copy == of_lake == of_journal
    if question.by:
        assert of_journal == broken_down(question.by, chosen)
    else:
        assert sum(row[1] for row in of_journal) == sum(not is_nobodys(group[0]) for group in chosen)


def test_a_number_is_one_value_however_it_is_written(tmp_path: Path) -> None:
    made = Journal(tmp_path / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    fill = "x" * 50_000  # so that there are parts
    for number, written in enumerate(["1.10", "1.1", "1E5", "1e5", "100000.0", "1", '"1"', "1.0", "-0", "0"]):
        event = {"event_id": str(number), "event_type": "click", "user_id": "u", "timestamp": "2026-01-15T10:30:00Z"}
        line = json.dumps(event | {"received_at": event["timestamp"], "properties": {"fill": fill, "size": None}})
        made.append([line.replace("null", written).encode()])
    made.close()

    of_journal, of_copy, of_lake = rows(made, Question("breakdown", by="property.size"))

    assert of_journal == of_copy == of_lake
    assert [row[1:3] for row in of_journal] == [["100000.0", 3], ["0", 2], ["1", 2], ["1.1", 2], ["1.0", 1]]


def test_a_span_limits_it_in_all_three_alike(journal: Journal) -> None:
    scope = Scope(START_MS + 20_000_000, START_MS + 200_000_000, {"property.plan": "free"})

    of_journal, of_copy, of_lake = rows(journal, Question("breakdown", by="property.plan"), scope)

    assert of_journal == of_copy == of_lake
    assert 0 < sum(row[2] for row in of_journal) < sum(row[2] for row in broken_down("property.plan", GROUPS))


@pytest.mark.parametrize(
    ("name", "parameters", "words", "field"),
    [
        ("breakdown", {"by": "plan"}, 'nothing is known by "plan"; known: event_type, page', "by"),
        ("breakdown", {"by": ""}, 'nothing is known by ""', "by"),
        ("breakdown", {"by": "property."}, "property. needs the name of a property", "by"),
        ("breakdown", {"by": 'property.a"b'}, "none of them a quote", "by"),
        ("breakdown", {"by": "property.a*"}, "none of them a quote", "by"),
        ("breakdown", {"by": "property.a=b"}, "bracket, =, ", "by"),
        ("breakdown", {"by": "property.a\tb"}, "or control character", "by"),
        ("breakdown", {"by": "property." + "x" * 129}, "1 to 128 characters", "by"),
        ("breakdown", {"by": "property.\udcff"}, "1 to 128 characters", "by"),
        ("paths", {"by": "device"}, 'only funnel and breakdown can have "by", paths can not', "by"),
        ("breakdown", {"of": "", "by": "device"}, "of needs a type of events", "of"),
        ("funnel", {"of": "signup", "by": "device"}, 'only breakdown can have "of", funnel can not', "of"),
        ("breakdown", {"steps": "click,purchase"}, 'only funnel can have "steps", breakdown can not', "steps"),
    ],
)
def test_what_nothing_can_be_broken_down_by_is_refused(
    name: str, parameters: dict[str, str], words: str, field: str
) -> None:
    with pytest.raises(RequestRefused, match=words.replace("*", r"\*")) as refused:
        question_of(name, parameters)

    assert refused.value.field == field


def test_a_visit_of_no_property_is_refused() -> None:
    with pytest.raises(RequestRefused, match="needs the name of a property") as refused:
        texts_of(VISIT, {"visit.property.": "pro"})

    assert refused.value.field == "visit.property."


def test_a_name_that_a_command_line_would_end_elsewhere_is_refused_there_and_in_an_address() -> None:
    with pytest.raises(RequestRefused, match="none of them a quote, bracket, =, "):
        texts_of(VISIT, {"visit.property.a=b": "pro"})  # --visit property.a=b=pro asks for "b=pro" of "a"

    assert visit_argument("property.a=b=pro") == ("property.a", "b=pro")
