"""Appending: what holds after each failure of the system below, and who may write at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clickstream.errors import BackendUnavailable, JournalError, JournalLocked
from clickstream.journal import Journal, JournalReader, Quarantine, layout
from clickstream.journal.quarantine import Refused
from tests.support.journals import array_in, scratch, start, stored_record
from tests.support.processes import ROOT, python
from tests.support.waiting import until


@pytest.fixture
def path() -> Iterator[Path]:
    with scratch() as directory:
        yield directory / "events_backup.json"


def opened(path: Path, **options: str) -> Journal:
    journal = Journal(path, **options)
    journal.resume_at(1, 0)
    return journal


def served(journal: Journal) -> list[bytes]:
    reader = JournalReader(journal)
    try:
        return list(reader.records())
    finally:
        reader.close()


class Failing:
    """The system call `name`, which fails the `nth` time it is called, and the `repeats` times after that."""

    def __init__(self, name: str, error: int | str, nth: int, repeats: int) -> None:
        self.call: Callable[..., Any] = getattr(os, name)
        self.error = error
        self.failures = range(nth, nth + repeats + 1)
        self.calls = 0
        self.failed = 0

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401 - stands for any system call
        self.calls += 1
        if self.calls not in self.failures:
            return self.call(*arguments)
        self.failed += 1
        if self.error == "short":
            fd, payload, offset = arguments
            return self.call(fd, bytes(payload)[: max(1, len(payload) // 3)], offset)
        if self.error == "short, then full":
            fd, payload, offset = arguments
            if self.failed % 2:
                return self.call(fd, bytes(payload)[: len(payload) // 2], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise OSError(self.error, os.strerror(int(self.error)))


FAULTS: list[tuple[str, int | str]] = [
    ("pwrite", errno.EIO),
    ("pwrite", errno.ENOSPC),
    ("pwrite", "short"),
    ("pwrite", "short, then full"),
    ("fdatasync", errno.EIO),
    ("fdatasync", errno.ENOSPC),
    ("ftruncate", errno.EIO),
    ("pread", errno.EIO),
]


@pytest.mark.parametrize(("call", "error"), FAULTS, ids=str)
@pytest.mark.parametrize("repeats", [0, 1, 4])
def test_failing_operation_n_loses_nothing_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int | str, repeats: int
) -> None:
    for nth in range(1, 41):
        path.unlink(missing_ok=True)
        journal = opened(path)
        acknowledged: list[bytes] = []
        attempted: list[bytes] = []
        failing = Failing(call, error, nth, repeats)
        with monkeypatch.context() as patched:
            patched.setattr(os, call, failing)
            if call != "ftruncate" or error != errno.EIO:
                other = "pwrite" if call != "pwrite" else "fdatasync"
                patched.setattr(
                    os, other, Failing(other, errno.EIO, nth + 3, 0) if nth % 3 == 0 else getattr(os, other)
                )
            for n in range(45):
                records = [stored_record(100 * n + k, properties={"fill": "x" * (n * 7)}) for k in range(n % 3 + 1)]
                attempted += records
                try:
                    journal.append(records)
                except BackendUnavailable as problem:
                    assert "again" in str(problem)
                else:
                    acknowledged += records
        # Whatever failed before, the next group is accepted, and readers saw only what was acknowledged.
        journal.append([stored_record(9999)])
        acknowledged.append(stored_record(9999))
        assert served(journal) == acknowledged
        assert array_in(path) == [json.loads(record) for record in acknowledged]
        journal.close()
        assert start(path).served == acknowledged


def test_a_failed_write_leaves_no_half_written_record_in_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(path)
    journal.append([stored_record(1)])

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", Failing("pwrite", "short, then full", 1, 1))
        with pytest.raises(BackendUnavailable, match="make room"):
            journal.append([stored_record(2)])

    assert array_in(path) == [json.loads(stored_record(1))]
    journal.close()


@pytest.mark.parametrize("call", ["pwrite", "ftruncate", "fdatasync"])
def test_a_journal_that_could_not_be_emptied_is_emptied_by_the_next_append(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    journal = opened(path)
    journal.append([stored_record(n) for n in range(3)])
    with monkeypatch.context() as patched:
        patched.setattr(os, call, Failing(call, errno.EIO, 1, 0))
        with pytest.raises(OSError, match="Input/output error"):
            journal.resume_at(layout.START, layout.START_CRC)

    journal.append([stored_record(3)])

    assert array_in(path) == [json.loads(stored_record(3))]
    journal.close()


def test_after_a_failed_sync_the_tail_is_written_again_before_anything_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(path)
    journal.append([stored_record(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", Failing("fdatasync", errno.EIO, 1, 0))
        with pytest.raises(BackendUnavailable, match="check the disk"):
            journal.append([stored_record(2)])
    # The kernel may have dropped the page and called it clean: what our own process wrote is then gone.
    content = path.read_bytes()
    end = content.index(b"\n]\n") if b"\n]\n" in content else len(content)
    with path.open("r+b") as file:
        file.seek(2)
        file.write(bytes(end - 2))

    journal.append([stored_record(3)])

    assert array_in(path) == [json.loads(stored_record(1)), json.loads(stored_record(3))]
    journal.close()


def test_fsync_always_syncs_before_it_returns_and_no_does_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fsync, syncs in (("always", 3), ("no", 0)):
        path.unlink(missing_ok=True)
        journal = opened(path, fsync=fsync)
        counting = Failing("fdatasync", errno.EIO, 10**9, 0)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", counting)
            for n in range(3):
                journal.append([stored_record(n)])
        assert counting.calls == syncs
        journal.close()


def test_fsync_everysec_keeps_everything_and_stops_cleanly(path: Path) -> None:
    journal = opened(path, fsync="everysec")
    for n in range(5):
        journal.append([stored_record(n)])
    journal.close()

    assert start(path).found.records == 5


class ForgetfulDisk:
    """A disk whose second sync fails, and which has then forgotten everything since the first, as kernels do."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sync = os.fdatasync
        self.syncs = 0
        self.kept = b""

    def __call__(self, fd: int) -> None:
        self.syncs += 1
        if self.syncs == 2:
            size = self._path.stat().st_size
            os.pwrite(fd, b"\0" * (size - len(self.kept)), len(self.kept))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._sync(fd)
        self.kept = self._path.read_bytes()


@pytest.mark.parametrize("then", ["append", "close"])
def test_fsync_everysec_has_everything_again_after_a_sync_that_failed(
    path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    journal = opened(path, fsync="everysec")
    disk = ForgetfulDisk(path)
    monkeypatch.setattr(os, "fdatasync", disk)
    journal.append([stored_record(0)])
    until(lambda: disk.syncs == 1)
    records = [stored_record(n, properties={"fill": "x" * 1000}) for n in range(1, 301)]  # several pages
    for record in records:
        journal.append([record])
    until(lambda: disk.syncs == 2)
    until(lambda: journal._sync_error is not None)

    if then == "append":
        journal.append([stored_record(301)])
        records.append(stored_record(301))
        assert served(journal) == [stored_record(0), *records]
    journal.close()

    assert array_in(path) == [json.loads(record) for record in [stored_record(0), *records]]
    assert start(path).found.records == len(records) + 1


def test_fsync_everysec_holds_a_bounded_copy_of_what_is_not_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(path, fsync="everysec")
    syncs = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    monkeypatch.setattr("clickstream.journal.file._MOST_UNSYNCED_BYTES", 300_000)
    monkeypatch.setattr(journal, "_syncer", None)
    journal._closing.set()  # no sync in the background from here on

    for n in range(300):
        journal.append([stored_record(n, properties={"fill": "x" * 3000})])

    assert len(journal._tail) < 400_000
    assert len(syncs) >= 2


def test_a_reader_sees_what_was_durable_when_it_was_made(path: Path) -> None:
    journal = opened(path)
    journal.append([stored_record(1)])
    reader = JournalReader(journal)
    journal.append([stored_record(2)])

    assert list(reader.records()) == [stored_record(1)]
    assert [record for _, record in reader.records_backward()] == [stored_record(1)]

    reader.close()
    journal.close()


def test_readers_that_are_forgotten_give_their_descriptor_back(path: Path) -> None:
    journal = opened(path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths

    for _ in range(20):
        JournalReader(journal)

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count, no paths
    journal.close()


def test_pages_backward_continue_where_they_stopped_while_the_file_grows(path: Path) -> None:
    journal = opened(path)
    records = [stored_record(n, properties={"fill": "é" * (n % 50)}) for n in range(100)]
    journal.append(records)
    found: list[bytes] = []
    before = None
    while True:
        reader = JournalReader(journal)
        page = [
            (offset, record) for (offset, record), _ in zip(reader.records_backward(before), range(7), strict=False)
        ]
        reader.close()
        if not page:
            break
        found += [record for _, record in page]
        before = page[-1][0]
        journal.append([stored_record(1000 + len(found))])

    assert found == records[::-1]
    journal.close()


def test_a_second_process_is_refused_at_once_and_says_why(path: Path) -> None:
    journal = opened(path)
    journal.append([stored_record(1)])
    code = f"from pathlib import Path; from clickstream.journal import Journal; Journal(Path({str(path)!r}))"

    other = subprocess.run(python("-c", code), cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)

    assert "JournalLocked" in other.stderr
    assert "another process" in other.stderr
    with pytest.raises(JournalLocked):
        Journal(path)
    journal.append([stored_record(2)])
    assert served(journal) == [stored_record(1), stored_record(2)]
    journal.close()
    Journal(path).close()


@pytest.mark.parametrize("where", ["missing/events.json", "."])
def test_a_path_that_cannot_hold_a_journal_is_an_error_for_the_operator(path: Path, where: str) -> None:
    with pytest.raises(JournalError, match="EVENTS_FILE"):
        Journal(path.parent / where)


def test_the_quarantine_gives_back_what_was_refused_newest_first(path: Path) -> None:
    quarantine = Quarantine(path, max_bytes=10**6)
    for n, raw in enumerate([b"plain", b"\xff\x00", b"x" * 300_000, "é🙂\n".encode()]):
        quarantine.keep([Refused("2026-01-15T10:30:00.000Z", f"code_{n % 2}", None, "why", "native", raw)])

    entries = quarantine.newest(limit=10)

    assert entries[0]["raw"] == "é🙂\n"
    assert entries[1]["raw_bytes"] == 300_000
    assert len(entries[1]["raw"]) == 262_144
    assert entries[2]["raw_base64"] == "/wA="
    assert entries[3]["raw"] == "plain"
    assert [entry["code"] for entry in quarantine.newest(limit=1, code="code_0")] == ["code_0"]
    assert quarantine.count() == 4
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_quarantine_drops_its_older_half_and_whole_lines_only(path: Path) -> None:
    quarantine = Quarantine(path, max_bytes=20_000)
    for n in range(400):
        quarantine.keep([Refused("2026-01-15T10:30:00.000Z", "invalid_type", None, str(n), "native", b"x" * 40)])
        assert path.stat().st_size <= 20_000

    messages = [int(entry["message"]) for entry in quarantine.newest(limit=1000)]
    assert messages == list(range(399, 399 - len(messages), -1))
    assert len(messages) > 50
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_every_truncation_of_the_quarantine_costs_one_entry_at_most(path: Path) -> None:
    quarantine = Quarantine(path, max_bytes=10**6)
    quarantine.keep([Refused("t", "c", None, "m", "s", b"%d" % n) for n in range(3)])
    content = path.read_bytes()
    last = content.rindex(b"\n", 0, len(content) - 1) + 1

    for length in range(last, len(content)):
        path.write_bytes(content[:length])
        quarantine.keep([Refused("t", "c", None, "m", "s", b"new")])

        raws = [entry["raw"] for entry in quarantine.newest(limit=10)]
        assert raws in (["new", "1", "0"], ["new", "2", "1", "0"])
