"""The journal as json, ndjson and csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream.export import CSV_COLUMNS, MEDIA_TYPES, export
from clickstream.journal import Journal, JournalReader
from clickstream.query import Query
from tests.support.journals import journal_of, scratch, start, stored_record
from tests.support.native import encoded, good_events


@pytest.fixture
def path() -> Iterator[Path]:
    with scratch() as directory:
        yield directory / "events_backup.json"


def exported(path: Path, form: str, query: Query | None = None) -> bytes:
    """The whole export of the journal at `path`."""
    end = len(path.read_bytes().removesuffix(b"\n]\n") if start(path).served else b"[")
    journal = Journal(path)
    journal.resume_at(end, 0)
    try:
        return b"".join(export(JournalReader(journal), query or Query(), form))
    finally:
        journal.close()


def events_of(content: bytes, form: str) -> list[dict[str, Any]]:
    if form == "json":
        found: list[dict[str, Any]] = json.loads(content)
        return found
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_json_export_is_the_file_itself(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(n) for n in range(10)]))

    assert exported(path, "json") == path.read_bytes()


@pytest.mark.parametrize("form", MEDIA_TYPES)
def test_an_empty_journal_exports_as_an_empty_collection(path: Path, form: str) -> None:
    empty = exported(path, form)

    if form == "csv":
        assert rows_of(empty) == []
        assert empty.count(b"\n") == 1
    else:
        assert events_of(empty, form) == []
    nothing = exported(path, form, Query(fields={"user_id": "nobody"}))
    assert nothing == empty


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

    assert [row["event_id"] for row in rows] == [event["event_id"] for event in events]
    for row, event in zip(rows, events, strict=True):
        assert json.loads(row["properties"]) == event.get("properties", {})
        other = {name: value for name, value in event.items() if name not in CSV_COLUMNS}
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


@pytest.mark.parametrize("start_with", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula_for_a_spreadsheet(path: Path, start_with: str) -> None:
    path.write_bytes(
        journal_of([stored_record(1, user_id=f"{start_with}cmd|' /C calc'!A0", session_id=f"{start_with}1")])
    )

    [row] = rows_of(exported(path, "csv"))

    assert row["user_id"] == f"'{start_with}cmd|' /C calc'!A0"
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())


def test_an_export_that_is_given_up_gives_its_descriptor_back(path: Path) -> None:
    path.write_bytes(journal_of([stored_record(n) for n in range(9_000)]))
    journal = Journal(path)
    journal.resume_at(path.stat().st_size - 3, 0)
    reader = JournalReader(journal)
    parts = export(reader, Query(), "ndjson")
    next(parts)

    parts.close()  # type: ignore[attr-defined]

    assert reader._fd == -1
    journal.close()
