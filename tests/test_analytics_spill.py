"""What DuckDB puts on disk for want of memory holds events of people, and belongs where erasure finds it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from clickstream.analytics import catalog, engine, sources
from clickstream.analytics.catalog import Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.scope import EVERYTHING
from clickstream.backends.local import LocalBackend
from clickstream.journal import Quarantine
from tests.support.event_sample import sample_events, write_journal


@pytest.fixture(autouse=True)
def asked_for_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question `top_pages` and the Parquet copy tell where DuckDB would put what does not fit into memory."""
    sql = tmp_path / "sql"
    shutil.copytree(catalog._SQL, sql)
    (sql / "top_pages.sql").write_text("SELECT current_setting('temp_directory') AS place, max(page) FROM events")
    copied = (sql / "copied_events.sql").read_text()
    told = "current_setting('temp_directory') AS page, CAST(properties"
    (sql / "copied_events.sql").write_text(copied.replace("CAST(properties", told, 1))
    monkeypatch.setattr(catalog, "_SQL", sql)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


def test_a_question_of_the_api_and_the_copying_spill_into_a_private_place_that_goes_with_the_copy(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, sample_events(100, seed=3))
    quarantine = Quarantine(tmp_path / "rejected.ndjson", max_bytes=10**6)
    backend = LocalBackend(path, quarantine, fsync="always", clock_ms=lambda: 0)
    backend.recover(lambda *_: None)

    (places,) = backend.ask(Question("top_pages"), EVERYTHING, limit=10).rows
    backend.close([])

    for place in map(Path, places):
        assert place.parent == tmp_path / "events_backup.json.parquet"
        assert place.name.startswith("work-")  # which a start deletes after a kill, as other tests show
        assert not place.exists()


def test_the_place_is_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, [])

    with ColumnCopy(path).workplace() as place:
        assert place.stat().st_mode & 0o777 == place.parent.stat().st_mode & 0o777 == 0o700


def test_a_question_on_a_file_spills_into_a_directory_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    write_journal(path, sample_events(10, seed=3))

    places = {Path(engine.answer(Question("top_pages"), sources.journal(path)).rows[0][0]) for _ in range(2)}

    assert len(places) == 2
    assert {place.parent for place in places} == {tmp_path / "temporary"}
    assert not list((tmp_path / "temporary").iterdir())


def test_a_connection_without_a_place_keeps_everything_in_memory() -> None:
    with engine.connect() as connection:
        assert connection.execute("SELECT current_setting('temp_directory')").fetchall() == [("",)]


def test_what_a_killed_question_has_left_goes_with_the_next_one_and_nothing_that_is_in_use(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    left, young, other = (temporary / name for name in ("clickstream-sql-left", "clickstream-sql-young", "somebodys"))
    for directory in (left, young, other):
        directory.mkdir()
        (directory / "duckdb_temp_storage.tmp").write_text("anna")
    with engine.private(None) as used:
        for directory in (left, used, other):
            os.utime(directory, (0, 0))

        with engine.private(None):
            pass

        assert used.exists()
    assert sorted(temporary.iterdir()) == [young, other]
