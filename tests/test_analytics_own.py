"""SQL of one's own over the views of the questions: what it may be, what it sees, and how its values are written."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest

from clickstream.analytics import engine, own, sources
from clickstream.analytics.catalog import VIEWS, Question
from clickstream.analytics.scope import EVERYTHING, Scope
from clickstream.errors import RequestRefused
from clickstream.timestamps import parse
from tests.support.event_sample import person_of, sample_events, write_journal
from tests.support.processes import ROOT, environment, python

EVENTS = sample_events(900, seed=5)
for _number, _event in enumerate(EVENTS):  # of nobody, of people without a session_id, and of a plan
    for _name in (
        ("user_id", "anonymous_id", "session_id") if _number % 11 == 0 else ("session_id",) * (_number % 3 == 0)
    ):
        _event.pop(_name, None)
    if _number % 4 == 0:
        _event["event_type"] = "signup"
        _event["properties"]["plan"] = "pro"
SIGNUPS = sum(event["event_type"] == "signup" for event in EVENTS)
for _number, _type in enumerate(("page_view", "add_to_cart", "checkout", "purchase")):
    _event = {**EVENTS[1], "event_id": f"bought-{_number}", "event_type": _type, "user_id": "u", "session_id": "bought"}
    EVENTS.append({**_event, "properties": {"page": "/shoes", "total": 25.5}})


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "events_backup.json"
    write_journal(path, EVENTS)
    return path


def answer(journal: Path, query: str, scope: Scope = EVERYTHING) -> engine.Table:
    return own.answer(query, sources.of_file(journal), scope)


def run(journal: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    command = python("-m", "clickstream", "sql", "--file", str(journal), *arguments)
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment(), cwd=ROOT, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def documented() -> str:
    return (ROOT / "docs" / "event-log.md").read_text().partition("### SQL of your own")[2].partition("\n## ")[0]


def test_a_query_is_answered_in_each_form(journal: Path) -> None:
    query = "SELECT 2026 AS year, 0.12345 AS share, true AS is_so, NULL AS nothing, count(*) AS cents_cents FROM events"

    code, table, told = run(journal, "--query", query)
    _, document, _ = run(journal, "--format", "json", "--query", query)
    _, lines, _ = run(journal, "--format", "csv", "--query", "-", stdin=query.encode())

    assert (code, told) == (0, "")
    assert table.splitlines()[0] == f"query of {journal}"
    assert re.search(r"│ +2026 │ +0.12345 │ +true │ - +│ +904 │", table)
    assert re.search(r"┃ cents_cents ┃", table)
    assert json.loads(document)["rows"] == [
        {"year": 2026, "share": 0.12345, "is_so": True, "nothing": None, "cents_cents": 904}
    ]
    assert lines.splitlines() == ["year,share,is_so,nothing,cents_cents", "2026,0.12345,true,,904"]


VALUES = {
    "1::TINYINT": 1,
    "170141183460469231731687303715884105727::HUGEINT": 170141183460469231731687303715884105727,
    "'nan'::DOUBLE": "NaN",
    "1 / 0": "Infinity",
    "-1 / 0": "-Infinity",
    "0.5::FLOAT": 0.5,
    "0.1::DOUBLE + 0.2": 0.30000000000000004,
    "1.50::DECIMAL(9, 2)": 1.5,
    "12345678901234567890.12::DECIMAL(38, 2)": "12345678901234567890.12",
    "TIMESTAMP '2026-01-15 10:30:00'": "2026-01-15T10:30:00.000Z",
    "TIMESTAMP '2026-01-15 10:30:00.123456'": "2026-01-15T10:30:00.123456Z",
    "TIMESTAMPTZ '2026-01-15 10:30:00+02'": "2026-01-15T08:30:00.000Z",
    "'infinity'::TIMESTAMP": "infinity",
    "TIMESTAMP_NS '2026-01-15 10:30:00.123456789'": "2026-01-15T10:30:00.123456789Z",
    "[TIMESTAMP '2026-01-15 10:30:00', NULL]": ["2026-01-15 10:30:00", None],
    "array_value(TIMESTAMPTZ '2026-01-15 10:30:00+02')": ["2026-01-15 08:30:00+00"],
    "DATE '2026-01-15'": "2026-01-15",
    "TIME '10:30:00'": "10:30:00",
    "INTERVAL 14 MONTH": "1 year 2 months",
    "[1, NULL, 3]": [1, None, 3],
    "{'a': 'nan'::DOUBLE, 'b': [{'c': 1}]}": {"a": "NaN", "b": [{"c": 1}]},
    "MAP {'a': 1}": {"a": 1},
    "'\\xAA\\x01'::BLOB": "\\xAA\\x01",
    "'x'::ENUM('x', 'y')": "x",
    "'00000000-0000-0000-0000-000000000001'::UUID": "00000000-0000-0000-0000-000000000001",
    "'{\"a\": [1, 2.5, null]}'::JSON": {"a": [1, 2.5, None]},
    "NULL": None,
    "''": "",
    "'größe ☃'": "größe ☃",
}


@pytest.mark.parametrize("written", VALUES)
def test_a_value_of_every_type_is_json(journal: Path, written: str) -> None:
    assert answer(journal, f"SELECT {written} AS value").rows == [[VALUES[written]]]


def test_rows_keep_the_order_that_the_query_gives_them(journal: Path) -> None:
    rows = answer(journal, "SELECT i * 7919 % 100003 AS x FROM range(300000) AS t(i) ORDER BY x DESC -- the last").rows

    assert rows == sorted(rows, reverse=True)
    assert len(rows) == 300_000


def test_columns_of_one_name_are_all_there(journal: Path) -> None:
    assert answer(journal, "SELECT 1 AS a, 2 AS a").as_dict()["rows"] == [{"a": 1, "a_1": 2}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELCT 1", 'the query fails: Parser Error: syntax error at or near "SELCT"'),
        (
            "SELECT paeg FROM events",
            'the query fails: Binder Error: Referenced column "paeg" not found in FROM clause!',
        ),
        ("FROM evnts", 'Did you mean "events"?'),
        ("SELECT CAST(page AS INTEGER) FROM events", "the query fails: Conversion Error: Could not convert string"),
        ("FROM 'nowhere.csv'", 'No files found that match the pattern "nowhere.csv"'),
        ("SELECT ?", "Values were not provided for the following parameters"),
        ("", "the query is empty"),
        ("-- nothing", "the query is empty"),
        ("SELECT 1; SELECT 2", "the query has 2 statements, not one"),
        ("COPY events TO 'stolen.csv'", "the query is COPY, which does not only read: ask with SELECT"),
        ("ATTACH 'stolen.db'", "the query is ATTACH, which"),
        ("INSTALL httpfs", "the query is LOAD, which"),
        ("PRAGMA database_list", "the query is PRAGMA, which"),
        ("SET threads = 9", "the query is SET, which"),
        ("DELETE FROM events", "the query is DELETE, which"),
        ("EXPORT DATABASE 'stolen'", "the query is EXPORT, which"),
        ("PIVOT events ON device", "the query is a PIVOT without IN (…), which"),
        ("WITH a AS (DELETE FROM events RETURNING *) SELECT * FROM a", "the query fails: "),
        ("SELECT '\udcff'", "the query needs to be a text in UTF-8"),
    ],
)
def test_what_cannot_be_answered_or_does_more_than_read_is_refused(journal: Path, query: str, told: str) -> None:
    with pytest.raises(RequestRefused, match=re.escape(told)) as refused:
        answer(journal, query)

    assert "\n" not in str(refused.value)
    assert "own(" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "FROM events LIMIT 1",
        "DESCRIBE events",
        "SHOW TABLES;",
        "(SELECT 1) ; ",
        "SELECT 'größe' AS \";\"; -- the größe; all of it",
        "-- it ends\nSELECT 1;;\n/* here; */ ; -- and here",
        "SELECT 1 -- without a semicolon;",
    ],
)
def test_whatever_only_reads_is_answered(journal: Path, query: str) -> None:
    assert answer(journal, query).rows


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["funnel", "--query", "SELECT 1"], "either the question funnel or --query, not both\n"),
        (["--query", "SELECT 1", "funnel"], "either the question funnel or --query, not both\n"),
        (["--query", "SELECT 1", "--athena"], "--athena prints ready questions only: "),
        (["--query", "SELECT 1", "--by", "device"], "--query has no --by: say it in its SQL\n"),
        (["--query", "SELECT 1", "--steps", "a,b"], "--query has no --steps: say it in its SQL\n"),
        (["--query", "SELECT paeg FROM events"], 'the query fails: Binder Error: Referenced column "paeg"'),
        (["SELECT 1"], "'SELECT 1' is no name of a question; SQL of yours goes behind --query\n"),
        ([], "the following arguments are required: NAME\n"),
    ],
)
def test_options_that_do_not_fit_are_told_in_a_sentence(journal: Path, arguments: list[str], told: str) -> None:
    code, printed, complaint = run(journal, *arguments)

    assert (code, printed) == (2, "")
    assert told in complaint
    assert "Traceback" not in complaint


def test_standard_input_that_is_no_utf8_is_refused(journal: Path) -> None:
    assert run(journal, "--query", "-", stdin=b"SELECT '\xff'") == (2, "", "the query needs to be a text in UTF-8\n")


SCOPES = [
    EVERYTHING,
    Scope(visit={"device": "mobile"}),
    Scope(without={"event_type": "signup"}),
    Scope(parse("2026-01-02T00:00:00Z"), parse("2026-01-04T00:00:00Z"), {"device": "mobile"}, {"page": "/p/1"}),
]


@pytest.mark.parametrize("scope", SCOPES, ids=str)
@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("traffic", "SELECT sum(events)::BIGINT, sum(page_views)::BIGINT FROM ({})"),
        ("sessions", "SELECT sum(sessions)::BIGINT, sum(bounced)::BIGINT FROM ({})"),
        ("revenue", "SELECT sum(orders)::BIGINT, sum(revenue_cents)::BIGINT FROM ({})"),
    ],
)
def test_it_sees_the_time_and_the_visits_that_a_question_sees(
    journal: Path, scope: Scope, question: str, query: str
) -> None:
    ready = Question(question).sql
    columns, rows = (table := engine.answer(Question(question), sources.of_file(journal), scope)).columns, table.rows
    wanted = [sum(row[columns.index(name)] for row in rows) for name in re.findall(r"sum\((\w+)\)", query)]
    by_hand = {
        "traffic": "SELECT count(*), count(*) FILTER (WHERE event_type = 'page_view') FROM events",
        "sessions": "SELECT count(DISTINCT session_key), (SELECT count(*) FROM session_spans WHERE events = 1) "
        "FROM session_events",
        "revenue": "SELECT count(*), sum(revenue_cents) FROM session_events WHERE event_type = 'purchase'",
    }

    assert answer(journal, query.format(ready), scope).rows == [wanted]
    assert answer(journal, by_hand[question], scope).rows == [wanted]
    assert wanted[0] > 0


def test_events_keep_who_sent_them_where_visits_are_chosen(journal: Path) -> None:
    query = "SELECT count(*), count(user_id), count(anonymous_id), count(session_id) FROM events"
    chosen = [event for event in EVENTS if not event.get("session_id") and person_of(event) is None]

    everyone = answer(journal, query).rows[0]
    mine, others = (
        answer(journal, query, scope).rows[0]
        for scope in (Scope(visit={"device": "mobile"}), Scope(without={"device": "mobile"}))
    )

    assert [a + b for a, b in zip(mine, others, strict=True)] == everyone
    assert everyone[0] == len(EVENTS)
    assert everyone[1:] == [
        sum(bool(event.get(name)) for event in EVENTS) for name in ("user_id", "anonymous_id", "session_id")
    ]
    assert chosen


def test_a_parquet_export_is_asked_alike(journal: Path, tmp_path: Path) -> None:
    exported = tmp_path / "events.parquet"
    with duckdb.connect() as connection:
        stored = sources.of_file(journal)
        connection.execute(
            f"COPY (SELECT * REPLACE (properties::VARCHAR AS properties) FROM ({stored})) TO '{exported}'"
        )
    query = "SELECT event_id, properties FROM events ORDER BY event_id LIMIT 3"

    assert answer(exported, query).rows == answer(journal, query).rows


def test_another_file_can_be_joined(journal: Path, tmp_path: Path) -> None:
    (tmp_path / "plans.csv").write_text("plan,price\npro,20\n")
    plans = "SELECT properties->>'$.plan' AS plan FROM events"
    query = f"SELECT sum(price)::BIGINT FROM ({plans}) JOIN '{tmp_path}/plans.csv' USING (plan)"

    assert answer(journal, query).rows == [[20 * SIGNUPS]]


def test_the_documented_views_have_the_documented_columns(journal: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", documented(), re.MULTILINE)
    told: dict[str, list[str]] = {}
    for view, columns in rows:
        told[view] = re.findall(r"`(\w+)`", columns.replace("and those of `events`", "")) + (
            told["events"] if "those of `events`" in columns else []
        )

    there = {view: answer(journal, f"FROM {view} LIMIT 0").columns for view in VIEWS if not view.startswith("chosen_")}

    assert told == there


def test_the_documented_queries_are_answered(journal: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", documented(), re.DOTALL)

    answers: list[list[list[Any]]] = [answer(journal, query).rows for query in queries]

    assert len(answers) == 3
    assert all(answers)
    assert [row[2] for row in answers[0]] == [SIGNUPS]


def test_csv_is_read_back_as_it_was(journal: Path) -> None:
    _, printed, _ = run(journal, "--format", "csv", "--query", "SELECT ['a', 'b,\"c'] AS list, {'a': 1} AS struct")

    header, row = csv.reader(io.StringIO(printed))

    assert header == ["list", "struct"]
    assert [json.loads(cell) for cell in row] == [["a", 'b,"c'], {"a": 1}]
