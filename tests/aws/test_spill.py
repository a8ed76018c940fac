from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from clickstream.aws.spill import Spill
from clickstream.errors import BackendUnavailable, JournalDamaged, JournalError, JournalLocked
from clickstream.journal import Quarantine
from tests.support.processes import ROOT


def records(begin: int, count: int, *, padding: int = 0) -> list[bytes]:
    return [
        json.dumps({"event_id": f"e{index}", "event_type": "click", "padding": "x" * padding}).encode()
        for index in range(begin, begin + count)
    ]


def opened(path: Path, *, cap: int = 10**9) -> tuple[Spill, list[str]]:
    spill, ids = Spill(path, cap=cap, clock_ms=lambda: time.time_ns() // 10**6), []
    spill.recover(Quarantine(path.with_name("rejected.ndjson"), max_bytes=10**6), ids.extend)
    return spill, ids


class Stream:
    def __init__(self, *, refuses: int = 0) -> None:
        self.taken: list[bytes] = []
        self.refuses = refuses

    def send(self, part: Sequence[bytes]) -> Sequence[int]:
        refused = list(range(len(part)))[len(part) - self.refuses :] if self.refuses else []
        self.taken += [record for index, record in enumerate(part) if index not in refused]
        return refused


def drain_all(spill: Spill, stream: Stream) -> None:
    while not spill.is_empty:
        assert spill.drain(stream.send)


def test_what_was_spilled_drains_in_order_and_leaves_an_empty_journal(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    stream = Stream()
    spill.append(records(0, 100))
    spill.append(records(100, 50))

    drain_all(spill, stream)

    assert stream.taken == records(0, 150)
    assert spill.state().size == 0
    assert json.loads((tmp_path / "spill.json").read_text()) == []


def test_many_megabytes_drain_part_by_part_without_losing_a_record(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    stream = Stream()
    spill.append(records(0, 300, padding=30_000))
    spill.append(records(300, 1, padding=3_000_000))
    spill.append(records(301, 2))

    drain_all(spill, stream)

    assert [json.loads(record)["event_id"] for record in stream.taken] == [f"e{index}" for index in range(303)]


def test_only_what_was_refused_is_sent_again(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    stream = Stream(refuses=30)
    spill.append(records(0, 100))

    assert not spill.drain(stream.send)
    spill.append(records(100, 10))
    stream.refuses = 0
    drain_all(spill, stream)

    assert stream.taken == records(0, 110)


def test_a_restart_goes_on_behind_what_was_drained(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    stream = Stream()
    spill.append(records(0, 100, padding=30_000))
    assert spill.drain(stream.send)
    spill.close(["a", "b"])

    again, ids = opened(tmp_path / "spill.json")
    drain_all(again, stream)

    assert stream.taken == records(0, 100, padding=30_000)
    assert ids[:2] == ["a", "b"]
    assert set(ids[2:]) == {f"e{index}" for index in range(100)}


def test_a_crash_before_the_drained_journal_is_emptied_sends_nothing_again(tmp_path: Path) -> None:
    path = tmp_path / "spill.json"
    spill, _ = opened(path)
    spill.append(records(0, 10))
    full = path.read_bytes()
    drain_all(spill, Stream())
    spill._segments.close()  # a kill
    path.write_bytes(full)

    again, _ = opened(path)
    assert again.is_empty
    assert json.loads(path.read_text()) == []
    again.append(records(10, 5))
    stream = Stream()
    drain_all(again, stream)

    assert stream.taken == records(10, 5)


def test_a_power_cut_that_brings_an_older_offset_file_back_skips_nothing(tmp_path: Path) -> None:
    """A rename lasts only once its directory is on the disk, and the journal may be ahead of it."""
    path = tmp_path / "spill.json"
    drained = path.with_name("spill.json.drained")
    spill, _ = opened(path)
    spill.append(records(0, 900, padding=5_000))
    assert spill.drain(Stream().send)
    older = drained.read_bytes()
    drain_all(spill, Stream())
    spill.append(records(1_000, 900, padding=5_000))
    spill._segments.close()  # a kill
    drained.write_bytes(older)

    again, _ = opened(path)
    stream = Stream()
    drain_all(again, stream)

    assert stream.taken == records(1_000, 900, padding=5_000)


@pytest.mark.parametrize(
    "content", [b"\xff{", b"", b"[]", b'{"drained": 40}', b'{"file": "spill.json", "drained": -7, "crc": 0}']
)
def test_an_offset_file_that_does_not_hold_means_from_the_beginning(tmp_path: Path, content: bytes) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.append(records(0, 5))
    spill.close([])
    (tmp_path / "spill.json.drained").write_bytes(content)

    again, _ = opened(tmp_path / "spill.json")
    stream = Stream()
    drain_all(again, stream)

    assert stream.taken == records(0, 5)


def test_where_the_offset_cannot_be_written_draining_goes_on_and_empties_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.append(records(0, 300, padding=30_000))
    in_the_way = tmp_path / "spill.json.drained.new"
    in_the_way.mkdir()
    stream = Stream()

    drain_all(spill, stream)

    assert stream.taken == records(0, 300, padding=30_000)
    assert json.loads((tmp_path / "spill.json").read_text()) == []
    assert caplog.text.count("drained offset not written") == 1

    in_the_way.rmdir()
    spill.append(records(300, 5))
    drain_all(spill, stream)
    assert stream.taken[300:] == records(300, 5)
    assert (tmp_path / "spill.json.drained").exists()


@pytest.mark.parametrize("spilled_between", [0, 7])
def test_a_journal_that_could_not_be_emptied_is_emptied_later_and_nothing_is_sent_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spilled_between: int
) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.append(records(0, 10))
    stream = Stream()

    def fails(*_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", fails)
        with pytest.raises(OSError, match="Input/output error"):
            spill.drain(stream.send)
    spill.append(records(10, spilled_between))
    drain_all(spill, stream)

    assert stream.taken == records(0, 10 + spilled_between)
    assert json.loads((tmp_path / "spill.json").read_text()) == []


def test_a_stop_that_cannot_keep_the_ids_gives_up_the_journal_all_the_same(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.append(records(0, 5))
    (tmp_path / "spill.json.ids.new").mkdir()

    spill.close(["a"])

    again, ids = opened(tmp_path / "spill.json")
    assert ids == [f"e{index}" for index in range(5)]
    assert not again.is_empty


def test_at_the_cap_nothing_more_is_taken_and_nothing_is_lost(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json", cap=2_000)
    spill.append(records(0, 20))

    with pytest.raises(BackendUnavailable, match="MAX_SPILL_BYTES"):
        spill.append(records(20, 40))

    stream = Stream()
    drain_all(spill, stream)
    assert stream.taken == records(0, 20)
    spill.append(records(20, 20))


def test_where_nothing_waits_a_group_beyond_the_cap_is_taken(tmp_path: Path) -> None:
    """A part of it may be in the stream: refused, that part would come again with every repeat."""
    spill, _ = opened(tmp_path / "spill.json", cap=100)
    spill.append(records(0, 50))

    with pytest.raises(BackendUnavailable, match="MAX_SPILL_BYTES"):
        spill.append(records(50, 1))

    stream = Stream()
    drain_all(spill, stream)
    assert stream.taken == records(0, 50)


def test_damaged_known_ids_do_not_stop_a_start_and_are_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spill.json.ids").write_bytes(b"e1\n\xff\xfe\xfa")

    spill, ids = opened(tmp_path / "spill.json")

    assert ids == []
    assert "known ids damaged" in caplog.text
    (aside,) = tmp_path.glob("spill.json.ids.damaged-*")
    assert aside.read_bytes() == b"e1\n\xff\xfe\xfa"
    spill.close(["e2"])
    assert opened(tmp_path / "spill.json")[1] == ["e2"]


def test_known_ids_that_cannot_be_read_do_not_stop_a_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "spill.json.ids").mkdir()

    _, ids = opened(tmp_path / "spill.json")

    assert ids == []
    assert "known ids not read" in caplog.text


def test_ids_come_back_as_they_were_whatever_characters_they_have(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.close(["a\u2028b", "c\x85d", "e f", "ü🙂"])

    assert opened(tmp_path / "spill.json")[1] == ["a\u2028b", "c\x85d", "e f", "ü🙂"]


def test_a_stop_that_knows_no_ids_leaves_those_of_the_last_one(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.close(["a", "b"])
    again, _ = opened(tmp_path / "spill.json")
    again.close(None)

    assert opened(tmp_path / "spill.json")[1] == ["a", "b"]


def test_a_file_that_cannot_be_used_is_refused_with_the_name_of_its_setting(tmp_path: Path) -> None:
    held, _ = opened(tmp_path / "spill.json")
    with pytest.raises(JournalLocked, match=r"spill\.json is being written by another .* choose another SPILL_FILE$"):
        opened(tmp_path / "spill.json")
    held.close([])

    (tmp_path / "notes.txt").write_text("not a journal")
    with pytest.raises(JournalDamaged, match=r"notes\.txt is not a JSON array .* choose another SPILL_FILE$"):
        opened(tmp_path / "notes.txt")

    (tmp_path / "lines.ndjson").write_bytes(b"\n".join(records(0, 2)))
    with pytest.raises(JournalDamaged, match=r"lines\.ndjson is NDJSON, .* Choose another SPILL_FILE, and"):
        opened(tmp_path / "lines.ndjson")

    with pytest.raises(JournalError, match=r"No such file or directory; mend that, or choose another SPILL_FILE$"):
        opened(tmp_path / "nowhere" / "spill.json")


def parts(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if ".part-" in path.name)


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_the_cap_is_on_what_waits_and_the_disk_gets_back_what_was_drained(tmp_path: Path) -> None:
    """Nearly the cap always waits while nine times the cap goes through: no refusal, the disk takes a segment more."""
    backlog = 9_500_000
    spill, _ = opened(tmp_path / "spill.json", cap=10_000_000)
    stream = Stream()
    count, largest = 0, 0
    while len(stream.taken) < 3_000:
        while spill.state().size < backlog:
            spill.append(records(count, 10, padding=30_000))
            count += 10
        assert spill.drain(stream.send)
        largest = max(largest, on_disk(tmp_path))

    assert largest < backlog + 4 * 1024 * 1024 + 2 * 300_000
    assert not spill.is_empty
    drain_all(spill, stream)
    assert stream.taken == records(0, count, padding=30_000)
    assert parts(tmp_path) == []
    assert json.loads((tmp_path / "spill.json").read_text()) == []


def test_segments_of_an_earlier_process_drain_in_order_from_where_it_was(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json", cap=5 * 10**7)
    for begin in range(0, 500, 10):
        spill.append(records(begin, 10, padding=30_000))
    stream = Stream()
    for _ in range(3):  # the first segment's 4 MiB
        assert spill.drain(stream.send)
    assert parts(tmp_path) == [f"spill.json.part-00000{number}" for number in (1, 2, 3)]
    spill._segments.close()  # a kill

    again, ids = opened(tmp_path / "spill.json", cap=5 * 10**7)
    again.append(records(500, 10))
    drain_all(again, stream)

    assert stream.taken == [*records(0, 500, padding=30_000), *records(500, 10)]
    assert ids[-1] == "e499"
    assert parts(tmp_path) == []


def test_where_no_segment_can_be_begun_the_last_one_grows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spill, _ = opened(tmp_path / "spill.json", cap=10**7)
    (tmp_path / "spill.json.part-000001").mkdir()
    spill.append(records(0, 200, padding=30_000))
    spill.append(records(200, 10))
    spill.append(records(210, 10))
    assert caplog.text.count("no new segment of the spill journal") == 1
    (tmp_path / "spill.json.part-000001").rmdir()
    spill.append(records(220, 10))

    assert parts(tmp_path) == ["spill.json.part-000001"]
    stream = Stream()
    drain_all(spill, stream)
    assert stream.taken == [*records(0, 200, padding=30_000), *records(200, 30)]


def test_a_segment_that_cannot_be_deleted_keeps_what_is_spilled_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill, _ = opened(tmp_path / "spill.json", cap=10**7)
    spill.append(records(0, 200, padding=30_000))
    spill.append(records(200, 10))
    stream = Stream()

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fails)
        with pytest.raises(OSError, match="Read-only"):
            drain_all(spill, stream)
        spill.append(records(210, 5))
    spill._segments.close()  # a kill

    again, _ = opened(tmp_path / "spill.json", cap=10**7)
    drain_all(again, stream)
    assert stream.taken == [*records(0, 200, padding=30_000), *records(200, 15)]
    assert parts(tmp_path) == []


KILLED = """
import sys, time
from pathlib import Path
from tests.aws.test_spill import opened, records
path, begin = Path(sys.argv[1]), int(sys.argv[2])
spill, _ = opened(path, cap=10**8)
with path.with_name("sent.txt").open("a") as sent:
    def send(part):
        print(*(record[14:record.index(b'"', 14)].decode() for record in part), sep="\\n", file=sent, flush=True)
        return []
    while True:
        if spill.state().size < 12_000_000:
            spill.append(records(begin, 20, padding=30_000))
            begin += 20
            print(begin, flush=True)
        else:
            spill.drain(send)
"""


def test_kills_between_appending_draining_and_deleting_segments_lose_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "spill"
    directory.mkdir()
    path, acknowledged = directory / "spill.json", 0
    for steps in (25, 40, 41, 47, 60):
        arguments = [sys.executable, "-c", KILLED, str(path), str(acknowledged)]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(steps):
                acknowledged = int(process.stdout.readline())
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])

    assert on_disk(directory) < 12_000_000 + 4 * 1024 * 1024 + 2 * 600_000 + 10**6
    spill, _ = opened(path, cap=10**8)
    stream = Stream()
    drain_all(spill, stream)
    rest = [int(json.loads(record)["event_id"][1:]) for record in stream.taken]
    sent = {int(line[1:]) for line in path.with_name("sent.txt").read_text().split()}
    assert len(sent) > 1_000
    assert {*sent, *rest} >= set(range(acknowledged))
    assert rest == sorted(rest)
