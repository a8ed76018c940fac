"""Questions about chosen visits are those about their events alone, chosen here in plain Python."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import QUESTIONS, Question
from clickstream.analytics.dimensions import KNOWN
from clickstream.analytics.scope import VISIT, WITHOUT, Scope, texts_of
from clickstream.errors import RequestRefused
from tests.support.event_sample import person_of, sample_events, sessions_of, write_journal

Event = dict[str, Any]
HOSTILE = "O'Neill\\' -- \"\N{SNOWMAN}\t;"


REFERRERS = [
    *("https://example.org/", "http://WWW.Example.org:8080/x?y#z", "//example.org", "app://user@example.org"),
    *("https://notexample.org/", "https://example.org.evil/", "https://evil/?example.org", "example.org", "", 5, None),
]


def events_of_everybody() -> list[Event]:
    """The sample, with places and campaigns, and with events that belong to nobody."""
    chance = random.Random(5)
    events = sample_events(1500, seed=11)
    for number, event in enumerate(events):
        properties = event["properties"]
        properties["referrer"] = chance.choice(REFERRERS)
        properties["country"] = chance.choice(["AT", "DE", "FR"]) if number % 7 == 0 else None
        if number % 50 == 0:
            properties |= {"browser": HOSTILE, "os": "Linux", "utm_medium": "mail", "utm_campaign": "spring"}
        if number % 11 == 0:
            event["is_bot"] = True
        if number % 9 == 0:
            for name in ("user_id", "anonymous_id", "session_id"):
                event.pop(name, None)
    return events


def is_nobodys(event: Event) -> bool:
    return not event.get("session_id") and person_of(event) is None


EVENTS = events_of_everybody()
SESSIONS = list(sessions_of([event for event in EVENTS if not is_nobodys(event)]).values())


def says(event: Event, name: str, value: str) -> bool:
    found = said(event, name)
    if name == "referrer" and isinstance(found, str):
        return value in {found, (urlsplit(found).hostname or found).removeprefix("www.")}
    return found == value


def said(event: Event, name: str) -> object:
    if name == "event_type":
        return event["event_type"]
    if name == "is_bot":
        return "true" if event.get("is_bot") else None
    properties = event["properties"]
    if name == "product":
        return properties.get("product_name") or properties.get("product_id")
    return properties.get(name)


def chosen(scope: Scope) -> list[Event]:
    """The events of EVENTS that are in the visits of `scope`."""
    kept = [
        event
        for group in [*SESSIONS, *([event] for event in EVENTS if is_nobodys(event))]
        if all(any(says(event, name, value) for event in group) for name, value in scope.visit.items())
        if not any(says(event, name, value) for event in group for name, value in scope.without.items())
        for event in group
    ]
    return sorted(kept, key=lambda event: event["received_at"])


SCOPES = {
    "custom": Scope(visit={"event_type": "custom.type"}),
    "page and device": Scope(visit={"page": "/p/3", "device": "mobile"}),
    "campaign": Scope(visit={"product": "Trail Runner 2", "utm_source": "newsletter", "country": "AT"}),
    "address": Scope(visit={"referrer": "https://example.org/", "event_type": "purchase"}),
    "host": Scope(visit={"referrer": "example.org", "event_type": "checkout"}),
    "hostile": Scope(visit={"browser": HOSTILE}),
    "without": Scope(without={"page": "/p/3"}),
    "without robots": Scope(without={"is_bot": "true"}),
    "without two": Scope(without={"event_type": "purchase", "referrer": "example.org"}),
    "with and without": Scope(visit={"device": "mobile"}, without={"browser": HOSTILE, "country": "AT"}),
}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("visits") / "events_backup.json"
    write_journal(path, EVENTS)
    return sources.journal(path)


@pytest.mark.parametrize("scope", SCOPES.values(), ids=SCOPES)
@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_is_that_over_the_events_of_the_chosen_visits(
    journal: str, name: str, scope: Scope, tmp_path: Path
) -> None:
    events = chosen(scope)
    assert 0 < len(events) < len(EVENTS)
    write_journal(tmp_path / "chosen.json", events)

    answer = engine.answer(Question(name), journal, scope)

    assert answer.rows == engine.answer(Question(name), sources.journal(tmp_path / "chosen.json")).rows


@pytest.mark.parametrize("name", KNOWN)
def test_a_visit_can_be_known_by_each_property(name: str, journal: str) -> None:
    value = max(str(value) for event in EVENTS if isinstance(value := said(event, name), str))
    saying = [group for group in SESSIONS if any(says(event, name, value) for event in group)]

    answer = engine.answer(Question("sessions"), journal, Scope(visit={name: value})).rows

    assert sum(row[1] for row in answer) == len(saying) > 0


@pytest.mark.parametrize("value", ["x\0y", "\0", "💥" * 5000, "a" * 100_000])
def test_an_odd_text_is_only_ever_a_text(value: str, journal: str) -> None:
    assert engine.answer(Question("sessions"), journal, Scope(visit={"page": value})).rows == []


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"visit.colour": "red"}, 'nothing is known by "colour"; known: event_type, page'),
        ({"visit.": "red"}, 'nothing is known by ""'),
        ({"since": "x", "visit.page": ""}, "page needs a text that is not empty"),
        ({"without.colour": "red"}, 'nothing is known by "colour"'),
    ],
)
def test_what_no_visit_can_say_is_refused(parameters: dict[str, str], words: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        for prefix in (VISIT, WITHOUT):
            texts_of(prefix, parameters)

    assert words in str(refused.value)
    assert refused.value.field == list(parameters)[-1]
