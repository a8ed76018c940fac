from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clickstream.analytics import engine, sources
from clickstream.analytics.catalog import QUESTIONS, Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.errors import Replaying
from clickstream.journal import Journal, layout
from tests.support.event_sample import sample_events, write_ndjson
from tests.support.waiting import until

EVENTS = sample_events(3000, seed=41)


def encoded(events: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(event, ensure_ascii=False).encode() for event in events]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "events_backup.json")
    made.resume_at(layout.START, layout.START_CRC)
    made.append(encoded(EVENTS[:2000]))
    return made


def copy_of(journal: Journal) -> ColumnCopy:
    return ColumnCopy(journal.path, least_part_bytes=100_000, most_part_bytes=200_000)


def ask(copy: ColumnCopy, journal: Journal, name: str) -> Any:  # noqa: ANN401
    with copy.source(journal.end) as source:
        return engine.answer(Question(name), source).as_dict()["rows"]


def parts(journal: Journal) -> list[Path]:
    return sorted(journal.path.with_name(journal.path.name + ".parquet").glob("v*"))


def written(directories: list[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for directory in directories for path in (directory, *directory.iterdir())}


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_those_of_the_journal_itself(journal: Journal, name: str) -> None:
    copy = copy_of(journal)

    assert ask(copy, journal, name) == engine.answer(Question(name), sources.journal(journal.path)).as_dict()["rows"]
    assert len(parts(journal)) > 1


def test_long_events_are_answered_too(tmp_path: Path) -> None:
    long = Journal(tmp_path / "long.json")
    long.resume_at(layout.START, layout.START_CRC)
    fill = {"recording": "x" * 24_000}
    long.append(encoded([{**event, "properties": {**event["properties"], **fill}} for event in EVENTS]))

    write_ndjson(tmp_path / "short.ndjson", EVENTS)
    short = engine.answer(Question("revenue"), sources.ndjson(tmp_path / "short.ndjson"))

    assert ask(ColumnCopy(long.path), long, "revenue") == short.as_dict()["rows"]


def test_no_row_group_of_long_events_is_larger_than_can_be_held(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events_backup.json")
    journal.resume_at(layout.START, layout.START_CRC)
    fill = {"plan": "pro", "recording": "x" * 200_000}
    events = sample_events(300, seed=4)
    for number, event in enumerate(events):
        event["session_id"] = f"in both parts {number % 20}"
        event["properties"] |= fill
    journal.append(encoded(events))
    journal.close()

    with ColumnCopy(journal.path, least_part_bytes=1_000_000, most_part_bytes=40_000_000).source(journal.end) as source:
        answered = engine.answer(Question("breakdown", by="property.plan"), source).rows
        with engine.connect() as connection:
            sizes = [
                size
                for part in source.parts
                for table in ("events", "loose_events")
                for (size,) in connection.execute(
                    "SELECT sum(total_uncompressed_size) FROM "
                    f"parquet_metadata('{part / table}.parquet') GROUP BY row_group_id"
                ).fetchall()
            ]

    assert [row[:3] for row in answered] == [["property.plan", "pro", 300]]
    assert len(source.parts) == 2
    assert sum(sizes) > 300 * 200_000
    assert max(sizes) < 20_000_000


def test_only_what_is_new_is_converted(journal: Journal) -> None:
    copy = copy_of(journal)
    ask(copy, journal, "funnel")
    made = parts(journal)
    before = written(made)

    journal.append(encoded(EVENTS[2000:]))
    answer = ask(copy, journal, "top_pages")

    assert sum(row["views"] for row in answer) == sum(event["event_type"] == "page_view" for event in EVENTS)
    assert written(made) == before
    assert len(parts(journal)) > len(made)


def test_small_parts_become_one_as_soon_as_they_are_a_large_one_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events_backup.json")
    journal.resume_at(layout.START, layout.START_CRC)
    copy = ColumnCopy(journal.path, least_part_bytes=20_000, most_part_bytes=200_000)
    counts = []

    for number in range(0, 1500, 100):
        journal.append(encoded(EVENTS[number : number + 100]))
        answer = ask(copy, journal, "sessions")
        counts.append(len(parts(journal)))

    assert answer == engine.answer(Question("sessions"), sources.journal(journal.path)).as_dict()["rows"]
    assert counts[-1] < max(counts) < 10
    journal.close()


def test_records_behind_the_durable_offset_are_not_seen(journal: Journal) -> None:
    end = journal.end
    journal.append(encoded(EVENTS[2000:]))

    with copy_of(journal).source(end) as source:
        answer = engine.answer(Question("top_pages"), source).as_dict()["rows"]

    assert sum(row["views"] for row in answer) == sum(event["event_type"] == "page_view" for event in EVENTS[:2000])


def test_a_journal_that_was_rewritten_makes_its_copy_anew(journal: Journal, tmp_path: Path) -> None:
    copy = copy_of(journal)
    ask(copy, journal, "funnel")
    stale = parts(journal)
    journal.close()
    kept = [event for event in EVENTS[:2000] if event.get("user_id") != "user_3"]
    journal.path.write_bytes(layout.EMPTY)
    rewritten = Journal(tmp_path / "events_backup.json")
    rewritten.resume_at(layout.START, layout.START_CRC)
    rewritten.append(encoded(kept))

    answer = ask(copy, rewritten, "top_pages")

    assert sum(row["views"] for row in answer) == sum(event["event_type"] == "page_view" for event in kept)
    assert not set(stale) & set(parts(rewritten))


def test_parts_of_another_form_are_made_anew(journal: Journal) -> None:
    copy = copy_of(journal)
    answer = ask(copy, journal, "revenue")
    for number, path in enumerate(parts(journal)):
        other = path.rename(path.with_name(path.name.replace("v9-", "v8-")))
        if number == 0:
            shutil.rmtree(other)
            other.with_name(other.name.replace("v8-", "v7-") + ".parquet").write_bytes(b"a part was one file then")

    assert ask(copy, journal, "revenue") == answer
    assert all(path.name.startswith("v9-") for path in parts(journal))


def test_the_copy_is_deletable(journal: Journal) -> None:
    copy = copy_of(journal)
    answer = ask(copy, journal, "revenue")

    copy.discard()

    assert parts(journal) == []
    assert ask(copy, journal, "revenue") == answer


def test_while_the_copy_is_withheld_there_is_none_and_none_is_made(journal: Journal) -> None:
    copy = copy_of(journal)
    answer = ask(copy, journal, "revenue")

    with copy.withheld():
        with pytest.raises(Replaying):
            ask(copy, journal, "revenue")
        assert not journal.path.with_name(journal.path.name + ".parquet").exists()

    assert ask(copy, journal, "revenue") == answer


def test_a_question_under_way_when_the_copy_is_withheld_leaves_nothing_behind(journal: Journal) -> None:
    copy = ColumnCopy(journal.path, least_part_bytes=1000, most_part_bytes=1000)  # takes seconds to make

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask, copy, journal, "revenue")
        until(lambda: len(parts(journal)) > 3)
        with copy.withheld():
            problem = asking.exception(30)

    assert isinstance(problem, Replaying)
    assert not journal.path.with_name(journal.path.name + ".parquet").exists()


def test_nobody_else_may_read_the_copy(journal: Journal) -> None:
    ask(copy_of(journal), journal, "revenue")

    assert parts(journal)[0].parent.stat().st_mode & 0o777 == 0o700
