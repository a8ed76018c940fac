from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from clickstream.errors import BackendUnavailable
from clickstream.group_commit import MAX_GROUP_BYTES, GroupCommit


@dataclass
class Entry:
    records: Sequence[bytes]
    size: int


class Recorder:
    """Collects what is written and reported; writing waits at the gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.groups: list[list[bytes]] = []
        self.reports: list[tuple[list[bytes], str | None]] = []
        self.failing: set[bytes] = set()
        self.commits: GroupCommit[Entry] = GroupCommit(self.write, self.report)

    def write(self, entries: Sequence[Entry]) -> None:
        self.begun.set()
        assert self.gate.wait(5)
        records = [record for entry in entries for record in entry.records]
        if self.failing & set(records):
            raise BackendUnavailable("no")
        self.groups.append(records)

    def report(self, entries: list[Entry], problem: BackendUnavailable | None) -> None:
        self.reports.append(
            ([record for entry in entries for record in entry.records], None if problem is None else str(problem))
        )

    def submit(self, *names: bytes, size: int = 10) -> None:
        for name in names:
            self.commits.submit(Entry([name], size))


def test_what_arrives_during_a_write_is_the_next_group() -> None:
    recorder = Recorder()
    recorder.commits.start()
    recorder.submit(b"a")
    assert recorder.begun.wait(5)
    recorder.submit(b"b", b"c", b"d")
    recorder.gate.set()
    recorder.commits.stop()

    assert recorder.groups == [[b"a"], [b"b", b"c", b"d"]]
    assert recorder.reports == [([b"a"], None), ([b"b", b"c", b"d"], None)]


def test_a_failure_that_lasts_is_logged_once_and_once_that_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    recorder = Recorder()
    recorder.failing = {b"bad"}
    recorder.submit(*[b"bad"] * 50, size=MAX_GROUP_BYTES)
    recorder.commits.submit(Entry([], MAX_GROUP_BYTES))  # nothing was kept: it is not over
    recorder.submit(b"bad", b"good", b"good", size=MAX_GROUP_BYTES)
    recorder.gate.set()
    recorder.commits.start()
    recorder.commits.stop()

    assert caplog.messages == ["events not kept error=no", "over: events not kept"]


def test_groups_are_bounded_in_bytes() -> None:
    recorder = Recorder()
    recorder.submit(*[b"%d" % n for n in range(10)], size=MAX_GROUP_BYTES // 3)
    recorder.gate.set()
    recorder.commits.start()
    recorder.commits.stop()

    assert [len(group) for group in recorder.groups] == [4, 4, 2]


def test_a_failed_group_is_reported_and_the_next_one_goes_on() -> None:
    recorder = Recorder()
    recorder.failing = {b"b"}
    recorder.submit(b"a", b"b", size=MAX_GROUP_BYTES)
    recorder.submit(b"c")
    recorder.gate.set()
    recorder.commits.start()
    recorder.commits.stop()

    assert recorder.reports == [([b"a"], None), ([b"b"], "no"), ([b"c"], None)]


def test_stopping_commits_what_waits() -> None:
    recorder = Recorder()
    recorder.submit(b"a", b"b")
    recorder.gate.set()
    recorder.commits.start()
    recorder.commits.stop()

    assert recorder.groups == [[b"a", b"b"]]
