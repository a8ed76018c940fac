"""The journal as json, ndjson, csv and Parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream.analytics.engine import connect
from clickstream.aws.packing import COLUMNS, Line
from clickstream.csv_rows import COLUMNS as CSV_COLUMNS
from clickstream.csv_rows import columns_of
from clickstream.errors import RequestRefused
from clickstream.export import MEDIA_TYPES, export
from clickstream.journal import Journal, JournalReader
from clickstream.query import Query
from tests.support.event_sample import sample_events, write_journal
from tests.support.journals import journal_of, scratch, start, stored_record
from tests.support.native import encoded, good_events
from tests.support.platform import Platform, platform
from tests.support.waiting import until


@pytest.fixture
def path() -> Iterator[Path]:
    with scratch() as directory:
        yield directory / "events_backup.json"


def exported(path: Path, form: str, query: Query | None = None, columns: Sequence[str] = CSV_COLUMNS) -> bytes:
    """The whole export of the journal at `path`."""
    end = len(path.read_bytes().removesuffix(b"\n]\n") if start(path).served else b"[")
    journal = Journal(path)
    journal.resume_at(end, 0)
    try:
        return b"".join(export(JournalReader(journal), query or Query(), form, scratch, columns=columns))
    finally:
        journal.close()


def events_of(content: bytes, form: str) -> list[dict[str, Any]]:
    if form == "json":
        found: list[dict[str, Any]] = json.loads(content)
        return found
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def lines_of(content: bytes) -> list[Line]:
    """The rows of a Parquet export, as the lake's are read."""
    with scratch() as directory, connect(threads=1) as connection:
        path = directory / "export.parquet"
        path.write_bytes(content)
        connection.execute("SET preserve_insertion_order = true")
        result = connection.execute(f"SELECT * FROM read_parquet('{path}')")
        assert tuple(column[0] for column in result.description or []) == COLUMNS
        return [Line(**dict(zip(COLUMNS, row, strict=True))) for row in result.fetchall()]


def event_of(line: Line) -> dict[str, Any]:
    """The event that a row says, of older versions too."""
    texts = {name: getattr(line, name) for name in COLUMNS[1:-2] if getattr(line, name) is not None}
    return {**texts, "properties": json.loads(line.properties or "{}"), **json.loads(line.extra or "{}")}


def test_the_json_export_is_the_file_itself(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(n) for n in range(10)]))

    assert exported(path, "json") == path.read_bytes()


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_an_empty_journal_exports_as_an_empty_collection(path: Path, form: str) -> None:
    empty = exported(path, form)

    if form == "parquet":
        assert lines_of(empty) == []
    elif form == "csv":
        assert rows_of(empty) == []
        assert empty.count(b"\n") == 1
    else:
        assert events_of(empty, form) == []
    nothing = exported(path, form, Query(fields={"user_id": "nobody"}))
    assert nothing == empty or form == "parquet"


@given(st.lists(good_events(), max_size=8))
@settings(max_examples=60, deadline=None)
def test_every_form_holds_every_event_whatever_is_in_it(events: list[dict[str, Any]]) -> None:
    for number, event in enumerate(events):
        event["event_id"] = f"e{number}"
    with scratch() as directory:
        path = directory / "events_backup.json"
        path.write_bytes(journal_of([encoded(event) for event in events]))

        for form in ("json", "ndjson"):
            assert events_of(exported(path, form), form) == events
            chosen = events_of(exported(path, form, Query(fields={"event_type": "page_view"})), form)
            assert chosen == [event for event in events if event["event_type"] == "page_view"]
        rows = rows_of(exported(path, "csv"))
        lines = lines_of(exported(path, "parquet"))

    assert list(map(event_of, lines)) == [{"properties": {}, **event} for event in events]
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in events]
    for row, event in zip(rows, events, strict=True):
        assert json.loads(row["properties"]) == event.get("properties", {})
        other = {name: value for name, value in event.items() if name not in CSV_COLUMNS[:-1]}
        assert (json.loads(row["other"]) if row["other"] else {}) == other


@pytest.mark.parametrize("size", [1, 100, 262_000])
def test_events_across_the_blocks_of_a_large_file_are_whole(path: Path, size: int) -> None:
    count = 3_000_000 // (size + 250) + 3
    records = [stored_record(n, properties={"fill": chr(97 + n % 26) * size}) for n in range(count)]
    path.write_bytes(journal_of(records))

    assert exported(path, "ndjson") == b"".join(record + b"\n" for record in records)
    assert events_of(exported(path, "json", Query(fields={"user_id": "user_1"})), "json") == [
        json.loads(r) for r in records
    ]


def test_blanks_of_mended_lines_are_in_no_export(path: Path) -> None:
    records = [stored_record(n) for n in range(6)]
    content = bytearray(journal_of(records))
    for n in (0, 2, 3):
        content[len(journal_of(records[:n])) + 5] = 0xFF
    path.write_bytes(content)

    for form in ("json", "ndjson"):
        assert [event["event_id"] for event in events_of(exported(path, form), form)] == [
            "event-1",
            "event-4",
            "event-5",
        ]
    assert len(rows_of(exported(path, "csv"))) == 3
    assert b"\n\n" not in exported(path, "ndjson")


def test_the_first_record_may_stand_on_the_line_of_the_opening(path: Path) -> None:
    records = [stored_record(n) for n in range(3)]
    path.write_bytes(journal_of(records).replace(b"[\n", b"[", 1))

    for form in ("json", "ndjson"):
        assert events_of(exported(path, form), form) == [json.loads(record) for record in records]
    assert len(rows_of(exported(path, "csv"))) == len(lines_of(exported(path, "parquet"))) == 3


def test_a_field_called_as_the_column_of_further_fields_is_in_it(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(1, other="kept", plan="pro")]))

    [row] = rows_of(exported(path, "csv"))

    assert json.loads(row["other"]) == {"other": "kept", "plan": "pro"}


@pytest.mark.parametrize("start_with", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula_for_a_spreadsheet(path: Path, start_with: str) -> None:
    path.write_bytes(
        journal_of([stored_record(1, user_id=f"{start_with}cmd|' /C calc'!A0", session_id=f"{start_with}1")])
    )

    [row] = rows_of(exported(path, "csv"))

    assert row["user_id"] == f"'{start_with}cmd|' /C calc'!A0"
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())


def test_chosen_columns_stand_in_their_order_with_a_property_in_each(path: Path) -> None:
    values: list[Any] = ["pro", "", 25.5, -5, True, False, None, ["a", 1], {"a": "ü"}, "=1+1", "a,b\n", 10**20]
    records = [stored_record(n, properties={"plan": value, "page": "/p"}) for n, value in enumerate(values)]
    old = [stored_record(90, properties=None), stored_record(91, properties="text"), stored_record(92, plan="a field")]
    path.write_bytes(journal_of([*records, *old]))
    columns = columns_of("property.page, property.plan,event_id,property.nothing,property.user_id,properties,other")

    content = exported(path, "csv", columns=columns)

    rows = rows_of(content)
    header = '"property.page","property.plan","event_id","property.nothing","property.user_id","properties","other"'
    assert content.decode().split("\r\n")[0] == header
    assert [row["property.plan"] for row in rows] == [
        *("pro", "", "25.5", "-5", "true", "false", "", '["a",1]', '{"a":"ü"}', "'=1+1", "a,b\n", str(10**20)),
        *("", "", ""),
    ]
    assert [row["property.page"] for row in rows] == ["/p"] * len(values) + ["", "", "/products"]
    assert {row["property.nothing"] + row["property.user_id"] for row in rows} == {""}
    assert [row["event_id"] for row in rows] == [json.loads(record)["event_id"] for record in [*records, *old]]
    assert json.loads(rows[2]["properties"]) == {"plan": 25.5, "page": "/p"}
    assert json.loads(rows[-1]["other"]) == {"plan": "a field"}


def test_all_columns_chosen_are_those_of_a_csv_without_a_choice(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(n, plan="pro") for n in range(5)]))

    assert exported(path, "csv", columns=columns_of(",".join(CSV_COLUMNS))) == exported(path, "csv")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plan", 'there is no column "plan"; known: event_id, event_type, timestamp, user_id'),
        ("timestamp,,user_id", 'there is no column ""; known: '),
        ("", 'there is no column ""'),
        ("property.", 'there is no column "property."'),
        ("Timestamp", "and property.NAME for the property NAME of your events"),
        (",".join(["user_id"] * 101), "101 columns: there may be 100"),
    ],
)
def test_columns_that_there_are_not_are_refused_with_the_known_ones(text: str, told: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        columns_of(text)

    assert told in str(refused.value)
    assert refused.value.field == "columns"
    assert len(columns_of(",".join(["user_id"] * 100))) == 100


def test_an_export_that_is_given_up_gives_its_descriptor_back(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(n) for n in range(9_000)]))
    journal = Journal(path)
    journal.resume_at(path.stat().st_size - 3, 0)
    reader = JournalReader(journal)
    parts = export(reader, Query(), "ndjson", scratch)
    next(parts)

    parts.close()  # type: ignore[attr-defined]

    assert reader._fd == -1
    journal.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    directory = tmp_path_factory.mktemp("export")
    write_journal(directory / "events_backup.json", sample_events(2000, seed=5))
    with platform(directory) as running:
        yield running


def downloaded(api: Platform, **parameters: str) -> requests.Response:
    return requests.get(f"{api.url}/export", params={"format": "parquet", **parameters}, timeout=30)


def in_vain(api: Platform) -> None:
    with contextlib.suppress(requests.RequestException):
        downloaded(api)


def test_the_parquet_download_holds_what_the_statistics_count(api: Platform) -> None:
    stats = api.get("/stats")

    answer = downloaded(api)

    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert re.search(r'filename="clickstream_export_\d{8}_\d{6}\.parquet"$', answer.headers["Content-Disposition"])
    lines = lines_of(answer.content)
    assert len(lines) == stats["total_events"]
    assert Counter(line.event_type for line in lines) == stats["events_by_type"]
    assert [event_of(line) for line in lines] == api.events()


def test_the_parquet_download_takes_the_same_filters(api: Platform) -> None:
    asked = {"event_type": "purchase", "property.device": "mobile", "since": "2026-01-02T00:00:00Z"}

    lines = lines_of(downloaded(api, **asked).content)

    assert [event_of(line) for line in lines] == [
        event
        for event in api.events()
        if (event["event_type"], event["properties"]["device"]) == ("purchase", "mobile")
        and event["timestamp"] >= "2026-01-02"
    ]
    assert lines
    assert requests.head(f"{api.url}/export?format=parquet", timeout=5).headers["Content-Disposition"]
    assert downloaded(api, format="orc").json()["error"]["field"] == "format"


def test_a_parquet_export_leaves_nothing_behind_also_when_it_is_killed(tmp_path: Path) -> None:
    write_journal(tmp_path / "events_backup.json", sample_events(60_000, seed=5))
    place = tmp_path / "events_backup.json.parquet"
    with platform(tmp_path) as running:
        assert len(lines_of(downloaded(running).content)) == 60_000
        assert list(place.iterdir()) == []
        asking = threading.Thread(target=in_vain, args=(running,))
        asking.start()
        until(lambda: list(place.glob("*/lines.ndjson")))
        running.process.send_signal(signal.SIGKILL)
        asking.join()
    assert list(place.iterdir())

    with platform(tmp_path):
        assert list(place.iterdir()) == []


def test_an_erasure_during_a_parquet_export_leaves_nothing_of_the_person(tmp_path: Path) -> None:
    events = [{**event, "user_id": f"u{number % 100}"} for number, event in enumerate(sample_events(60_000, seed=5))]
    write_journal(tmp_path / "events_backup.json", events)
    place = tmp_path / "events_backup.json.parquet"
    answers: list[requests.Response] = []
    with platform(tmp_path) as running:
        asking = threading.Thread(target=lambda: answers.append(downloaded(running)))
        asking.start()
        until(lambda: list(place.glob("*/lines.ndjson")))

        erased = requests.delete(f"{running.url}/users/u7", timeout=30).json()["events"]
        asking.join()

        assert erased >= 600
        assert answers[0].json()["error"]["code"] == "replaying"
        assert not place.exists()
        assert len(lines_of(downloaded(running).content)) == 60_000 - erased
