from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from clickstream.aws.spill import Spill
from clickstream.errors import BackendUnavailable
from clickstream.journal import Quarantine


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


def test_a_crash_between_the_two_steps_of_emptying_skips_nothing_that_comes_later(tmp_path: Path) -> None:
    """The remembered offset is put back before the journal is emptied; with the reverse order this fails."""
    path = tmp_path / "spill.json"
    spill, _ = opened(path)
    spill.append(records(0, 10))
    drained = path.with_name("spill.json.drained")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    spill._journal.resume_at = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        spill.drain(Stream().send)
    assert json.loads(drained.read_text()) == {"drained": 1}
    spill._journal.close()

    again, _ = opened(path)
    again.append(records(10, 5))
    stream = Stream()
    drain_all(again, stream)

    assert stream.taken[-5:] == records(10, 5)


def test_a_damaged_offset_file_means_from_the_beginning(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json")
    spill.append(records(0, 5))
    spill.close([])
    (tmp_path / "spill.json.drained").write_bytes(b"\xff{")

    again, _ = opened(tmp_path / "spill.json")
    stream = Stream()
    drain_all(again, stream)

    assert stream.taken == records(0, 5)


def test_at_the_cap_nothing_more_is_taken_and_nothing_is_lost(tmp_path: Path) -> None:
    spill, _ = opened(tmp_path / "spill.json", cap=2_000)
    spill.append(records(0, 20))

    with pytest.raises(BackendUnavailable, match="MAX_SPILL_BYTES"):
        spill.append(records(20, 40))

    stream = Stream()
    drain_all(spill, stream)
    assert stream.taken == records(0, 20)
    spill.append(records(20, 20))
