"""A copy of a journal that another process writes ends at a commit, however the end looks when it is begun."""

from __future__ import annotations

import fcntl
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from clickstream.errors import failure
from clickstream.journal import layout
from clickstream.journal import settled as module
from clickstream.journal.settled import settled
from tests.support.journals import journal_of, stored_record
from tests.support.small_disk import small_disk

RECORDS = [stored_record(number) for number in range(4)]
WHOLE = journal_of(RECORDS)
IN_PROGRESS = WHOLE[:-60]  # the last record is half written, nothing closes the array


@pytest.fixture
def written(tmp_path: Path) -> Iterator[BinaryIO]:
    """A journal amid a commit, and whose writer has it for itself."""
    with (tmp_path / "events_backup.json").open("w+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(IN_PROGRESS)
        yield file


def test_a_commit_in_progress_is_waited_for(
    written: BinaryIO, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("copies")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    ending = threading.Timer(0.3, written.write, [WHOLE[-60:]])
    ending.start()

    with settled(Path(written.name)) as copy:
        ending.join()
        written.write(b"what comes later")
        assert json.loads(copy.read_bytes()) == [json.loads(record) for record in RECORDS]
        assert copy.stat().st_mode & 0o077 == 0
        assert list(place.iterdir()) == []  # so a kill leaves nothing of it


def test_a_full_directory_for_the_copy_is_named(
    written: BinaryIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written.write(b"\n".ljust(40_000) + layout.CLOSING)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))

    with small_disk(tmp_path / "full", "16k"), pytest.raises(OSError) as told, settled(Path(written.name)):
        pass

    assert failure(told.value).startswith(f"{tmp_path / 'full'}: No space left on device, for a copy of the journal")


def test_a_commit_that_never_ends_is_told(written: BinaryIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)

    with pytest.raises(OSError, match="no commit of it has ended"), settled(Path(written.name)):
        pass


def test_what_nobody_writes_is_read_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    path.write_bytes(IN_PROGRESS)

    with settled(path) as itself:
        assert itself == path
