"""Answers by referrer name it as /stats does, in DuckDB and in Athena's statement, and each name chooses its visits."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from clickstream.analytics import engine, sources
from clickstream.analytics.athena import statement
from clickstream.analytics.catalog import Question
from clickstream.analytics.dimensions import counted_as
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.journal import Journal
from clickstream.stats.top import host_of
from tests.support.answers import answers, kept

REFERRERS = [
    *(
        "https://example.org/",
        "http://WWW.Example.org:8080/x?y#z",
        "//example.org",
        "app://user@example.org",
        "HTTP://A_b",
    ),
    *("https://notexample.org/", "https://example.org.evil/", "https://evil/?example.org", "https://evil/@example.org"),
    *("example.org", "www.example.org", "WWW.example.org", "Example.org", "/checkout", "mailto:a@b", "www.", "it's"),
    *("//user@:80", "//a@b@C/", "http://a:b:c/", "http://host:", "//h?x", "//h#x", "http:///x", "http://", " ", "?"),
    *("http://[::1]:80/x", "http://[2001:DB8::1]", "http://[::1", "http://::1]", "http://u[@h/"),
    *("http://Ex%41MPLE.org/", "http://%41/", "http://www.www.x/", "http://a b/", "http://ä.Ö/ü", "http://a\\b/"),
    *("ht\ntp://Ex\tample/", "http://x.org\n", "1http://x/", "android-app://com.Example.mail/"),
    *("x" * 300, "http://" + "h" * 300 + "/", "http://www." + "w" * 300, "www." + "é" * 300),
]
EVENTS = [
    {
        **{"event_id": f"e{number}", "event_type": "page_view", "session_id": f"s{number}"},
        **{"timestamp": "2026-01-15T10:30:00Z", "received_at": "2026-01-15T10:30:00Z"},
        "properties": {"page": "/start", "referrer": referrer},
    }
    for number, referrer in enumerate([*REFERRERS, *REFERRERS[::3], *REFERRERS[::5]])
]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return kept(tmp_path_factory.mktemp("referrers"), EVENTS)


def rows(journal: Journal, question: Question, scope: Scope = EVERYTHING) -> list[list[list[Any]]]:
    return [table.rows for table in answers(journal, question, scope, part_bytes=3_000)]


HOSTS = Counter(host_of(str(event["properties"]["referrer"])) for event in EVENTS)  # type: ignore[index]


def test_a_breakdown_by_referrer_lists_the_hosts_of_stats(journal: Journal) -> None:
    ranked = sorted(HOSTS, key=lambda host: (-HOSTS[host], host))

    for found in rows(journal, Question("breakdown", by="referrer")):
        assert found == [["referrer", host, HOSTS[host], HOSTS[host], 0] for host in ranked]


def test_a_funnel_by_referrer_has_the_same_hosts(journal: Journal) -> None:
    ranked = sorted(HOSTS, key=lambda host: (-HOSTS[host], host))[:20]
    question = Question("funnel", steps=("/start", "purchase"), by="referrer")

    for found in rows(journal, question):
        assert [(host, count) for _, host, step, count, _ in found if step == "/start"] == [
            (host, HOSTS[host]) for host in ranked
        ]


@pytest.mark.parametrize("host", [host for host in HOSTS if host])
def test_each_host_of_a_breakdown_chooses_its_visits(journal: Journal, host: str) -> None:
    scope = Scope(visit={"referrer": host})
    source = sources.journal(journal.path)

    by_host = engine.answer(Question("breakdown", by="referrer"), source, scope).rows

    # A host in other letters, or a www. more, is chosen along: a host is typed in many ways.
    assert [host, HOSTS[host]] in [[row[1], row[3]] for row in by_host]
    assert all(row[1] == host or row[1] == host.lower().removeprefix("www.") or host in REFERRERS for row in by_host)


@pytest.mark.parametrize("value", ["https://example.org/", "www.EXAMPLE.org", "example.org", "//a@b@C/"])
def test_an_address_chooses_its_visits_and_a_host_those_of_all_its_addresses(journal: Journal, value: str) -> None:
    given = [str(event["properties"]["referrer"]) for event in EVENTS]  # type: ignore[index]
    host = None if "/" in value else value.lower().removeprefix("www.")
    chosen = [referrer for referrer in given if referrer == value or host_of(referrer) == host]

    for found in rows(journal, Question("sessions"), Scope(visit={"referrer": value})):
        assert sum(row[1] for row in found) == len(chosen) > 0


def test_addresses_made_of_what_separates_them_have_the_same_host(tmp_path: Path) -> None:
    chance = random.Random(3)
    starts = ["", "http://", "HTTPS://www.", "//", "a+b.c:", "www."]
    texts = [chance.choice(starts) + "".join(chance.choices("aZw.:/@?#%&\\ -+1é\t\n\r", k=7)) for _ in range(20_000)]
    read = "SELECT " + counted_as("referrer") + " AS host FROM given"
    of_athena = sqlglot.transpile(sqlglot.transpile(read, "duckdb", "athena")[0], "trino", "duckdb")[0]

    path = tmp_path / "given.json"
    path.write_text(json.dumps([{"referrer": text} for text in texts]))
    with engine.connect() as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(
            f"CREATE TABLE given AS SELECT referrer FROM read_json('{path}', columns = {{referrer: 'VARCHAR'}})"
        )
        found = [[row[0] for row in connection.execute(sql).fetchall()] for sql in (read, of_athena)]

    wanted = list(map(host_of, texts))
    assert [(text, host) for text, host in zip(texts, found[0], strict=True) if host != host_of(text)] == []
    assert found[1] == wanted


def test_the_statement_for_athena_is_made_of_what_is_known_there() -> None:
    assert "REGEXP_EXTRACT" in statement(Question("breakdown", by="referrer"), database="lake")
