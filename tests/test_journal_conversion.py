"""An events file of an older version becomes a journal once; its original stays beside it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clickstream.commands import repair, verify
from clickstream.errors import JournalDamaged
from clickstream.journal import Journal
from tests.support.journals import array_in, scratch, start, stored_record
from tests.support.native import native_event


@pytest.fixture
def directory() -> Iterator[Path]:
    with scratch() as place:
        yield place


EVENTS = [native_event(f"e{n}", properties={"t": "é🙂 {[,", "n": n}) for n in range(5)]


def originals(path: Path) -> list[bytes]:
    return [other.read_bytes() for other in path.parent.iterdir() if ".before-conversion-" in other.name]


def converted(path: Path) -> list[Any]:
    """Events served after a start, which must be the array in the file, one event a line."""
    Journal(path).close()
    kept = originals(path)
    started = start(path)
    events = [json.loads(record) for record in started.served]
    assert array_in(path) == events
    assert path.read_bytes().count(b"\n") == len(events) + 2
    for original in kept:
        (path.parent / "original").write_bytes(original)
    return events


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"indent": 2},
        {"indent": 4},
        {"indent": 0},
        {"indent": "\t"},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
    ],
)
def test_arrays_as_json_dump_writes_them_are_converted(directory: Path, options: dict[str, Any]) -> None:
    path = directory / "events_backup.json"
    old = json.dumps(EVENTS, **options).encode()
    path.write_bytes(old)

    assert converted(path) == EVENTS
    assert (directory / "original").read_bytes() == old


@pytest.mark.parametrize("old", [b"[]", b"[ ]", b"[]\n", b" [\n\n] "])
def test_an_empty_array_is_converted(directory: Path, old: bytes) -> None:
    path = directory / "events_backup.json"
    path.write_bytes(old)

    assert converted(path) == []


@pytest.mark.parametrize("indent", [None, 2])
def test_every_truncation_of_an_old_array_keeps_its_whole_events(directory: Path, indent: int | None) -> None:
    path = directory / "events_backup.json"
    old = json.dumps(EVENTS[:3], indent=indent).encode()

    for length in range(len(old)):
        path.write_bytes(old[:length])

        events = converted(path)

        assert events == EVENTS[: len(events)]
        separator = ",\n  " if indent else ", "
        opening = "[\n  " if indent else "["
        ends = [
            len(opening + separator.join(json.dumps(e, indent=indent).replace("\n", "\n  ") for e in EVENTS[: n + 1]))
            for n in range(3)
        ]
        assert len(events) == sum(end <= length for end in ends), old[:length]


def test_a_journal_is_not_converted(directory: Path) -> None:
    path = directory / "events_backup.json"
    path.write_bytes(b"[\n" + stored_record(1) + b",\n" + stored_record(2) + b"\n]\n")

    assert start(path).served == [stored_record(1), stored_record(2)]
    assert originals(path) == []


README = (Path(__file__).parent.parent / "README.md").read_bytes()
FOREIGN = {
    "CSV": b"id,name\n1,a\n",
    "an object": b"{}",
    "a request": b'{"records":[]}',
    "words": b"nonsense",
    "zeros": b"\x00" * 100,
    "a string": b'"text"',
    "this project's README": README,
    "a README with an event in it": README + b'\n```json\n{"event_type":"click","user_id":"u"}\n```\n',
    "settings": b"[section]\nkey=value\n",
    "Python": b"__all__ = [\n    'a',\n]\n",
    "an array of other things": b'[\n{"name":"a"},\n{"name":"b"}\n]\n',
    "the beginning of an array of other things": b'[\n{"name":"a"},\n{"name":"b"},\n{"na',
    "an array of numbers": b"[1, 2, 3]",
    "JSON with comments": b'[\n// one\n{"name":"a"},\n]\n',
    "JSON5": b'[\n{name: "x"},\n{name: "y"},\n]\n',
    "the torn beginning of something else": b'[\n{"a":1',
    "Python about events": b'# "received_at": now\nEVENTS = [\n    dict(a=1),\n]\n',
    "a request with one event a line": b'{"records":[\n' + stored_record(1) + b",\n" + stored_record(2) + b"\n]}\n",
    "Markdown with an array of events": b"# Events\n\n[\n" + stored_record(1) + b",\n" + stored_record(2) + b"\n]\n",
    "one event": stored_record(1),
    "NDJSON": b"".join(stored_record(number) + b"\n" for number in range(5)),
    "long NDJSON": b"".join(stored_record(number) + b"\n" for number in range(1000)) * 20,
    "NDJSON without a last newline": stored_record(1) + b"\n" + stored_record(2),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_array_of_events_is_refused_and_left_as_it_is(
    directory: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = directory / "events_backup.json"
    path.write_bytes(content)

    with pytest.raises(JournalDamaged, match="EVENTS_FILE"):
        Journal(path)
    assert verify.run(argparse.Namespace(file=path)) == 2
    assert repair.run(argparse.Namespace(file=path)) == 2

    assert path.read_bytes() == content
    assert [other.name for other in directory.iterdir()] == ["events_backup.json"]
    if content.startswith(b'{"event_id"'):
        assert capsys.readouterr().out.count("NDJSON") == 1


def test_a_journal_of_very_long_lines_is_not_converted(directory: Path) -> None:
    path = directory / "events_backup.json"
    long = [stored_record(n)[:-1] + b',"text":"' + b"x" * 1_500_000 + b'"}' for n in (1, 2)]
    path.write_bytes(b"[\n" + b",\n".join(long) + b"\n]\n")

    assert start(path).served == long
    assert originals(path) == []


@pytest.mark.parametrize(("count", "kept"), [(5, 5), (5, 3), (1, 1)])
def test_a_journal_with_other_line_ends_is_converted(directory: Path, count: int, kept: int) -> None:
    path = directory / "events_backup.json"
    records = [stored_record(n) for n in range(count)]
    changed = b"[\r\n" + b",\r\n".join(records) + b"\r\n]\r\n"
    path.write_bytes(changed if kept == count else changed[: changed.index(records[kept]) + 20])

    assert converted(path) == [json.loads(record) for record in records[:kept]]
    assert path.read_bytes() == b"[\n" + b",\n".join(records[:kept]) + b"\n]\n"
    assert start(path).found.damaged == 0


@pytest.mark.parametrize("blank", [b"\t", b"\x0b", b"\x0c", b" ", b" \t "])
def test_blanks_behind_the_opening_bracket_never_become_a_comma(directory: Path, blank: bytes) -> None:
    path = directory / "events_backup.json"
    records = [stored_record(n) for n in range(3)]
    path.write_bytes(b"[" + blank + b"\n" + b",\n".join(records) + b"\n]\n")

    for _ in range(2):
        assert start(path).served == records
        assert array_in(path) == [json.loads(record) for record in records]


def test_a_second_conversion_does_not_overwrite_the_original_of_the_first(directory: Path) -> None:
    path = directory / "events_backup.json"
    for events in (EVENTS[:1], EVENTS[1:2]):
        path.write_text(json.dumps(events))
        Journal(path).close()

    assert sorted(json.loads(original)[0]["event_id"] for original in originals(path)) == ["e0", "e1"]
