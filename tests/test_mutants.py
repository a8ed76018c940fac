"""The tests can fail: each promise is broken once, in a copy of the source, and its test must notice.

A mutant is one place of the code, what it becomes, and the test that catches it. When a change of the code
makes a place disappear, this file says so: find the new place that keeps the promise and break that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import ROOT

pytestmark = pytest.mark.crash


@dataclass(frozen=True)
class Mutant:
    """`place` in `file` becomes `instead`; `caught_by` are the tests that must fail."""

    name: str
    file: str
    place: str
    instead: str
    caught_by: str
    needs_root: bool = False


MUTANTS = [
    Mutant(
        "acknowledge before the write",
        "clickstream/pipeline.py",
        "        self._commits.submit(entry)\n        return receipt",
        "        self._commits.submit(entry)\n        when_kept(None)\n        return receipt",
        "test_pipeline.py::test_events_are_acknowledged_only_once_they_are_kept_and_counted",
    ),
    Mutant(
        "acknowledge before the write, on a real disk",
        "clickstream/pipeline.py",
        "        self._commits.submit(entry)\n        return receipt",
        "        self._commits.submit(entry)\n        when_kept(None)\n        return receipt",
        "test_crash.py::test_writes_cut_short_by_the_system_are_503_and_leave_no_half_event",
    ),
    Mutant(
        "no fsync, in the machine that loses power",
        "clickstream/journal/disk.py",
        "        os.fdatasync(fd)",
        "        pass",
        "test_crash.py::test_power_cuts_lose_nothing_acknowledged",
        needs_root=True,
    ),
    Mutant(
        "no fsync",
        "clickstream/journal/disk.py",
        "        os.fdatasync(fd)",
        "        pass",
        "test_journal_file.py::test_fsync_always_syncs_before_it_returns_and_no_does_not",
    ),
    Mutant(
        "truncate at the first bad line",
        "clickstream/journal/recovery.py",
        "                elif line.strip(b\" \"):\n",
        "                elif line.strip(b\" []\"):\n                    break\n"
        "                elif line.strip(b\" \"):\n",
        "test_journal_recovery.py::test_a_mended_journal_is_whole_at_the_next_start",
    ),
    Mutant(
        "throw the torn tail away",
        "clickstream/journal/recovery.py",
        "    if not found.torn_bytes:\n        return None\n",
        "    if found:\n        return None\n",
        "test_journal_recovery.py::test_every_truncation_of_the_last_fifty_records_loses_only_the_cut_one",
    ),
    Mutant(
        "blank a damaged line without keeping it",
        "clickstream/journal/recovery.py",
        "            self._quarantine.keep(\n",
        "            list(\n",
        "test_journal_recovery.py::test_a_damaged_line_that_does_not_fit_one_entry_of_the_quarantine_is_kept_whole",
    ),
    Mutant(
        "no deduplication",
        "clickstream/stats/recency.py",
        "        if len(distinct) == len(ids) and not self.has_any(distinct):\n            return range",
        "        if distinct:\n            return range",
        "test_pipeline.py::test_a_whole_batch_sent_again_stores_nothing_and_is_a_success",
    ),
    Mutant(
        "no deduplication across a restart",
        "clickstream/readiness.py",
        "        self._remember(ids)\n",
        "",
        "test_restart.py::test_everything_is_there_after_a_restart",
    ),
    Mutant(
        "count before the commit",
        "clickstream/pipeline.py",
        "        self._commits.submit(entry)\n        return receipt",
        "        self.backend.count(entry.events, entry.records, entry.times_ms, now_ms)\n"
        "        self._commits.submit(entry)\n        return receipt",
        "test_pipeline.py::test_a_failed_group_is_not_acknowledged_not_counted_and_can_be_sent_again",
    ),
    Mutant(
        "remember ids whose events were not kept",
        "clickstream/pipeline.py",
        "        self._ids.forget([ids[index] for index in sorted(set(range(len(ids))).difference(kept))])\n",
        "",
        "test_pipeline.py::test_a_failed_group_is_not_acknowledged_not_counted_and_can_be_sent_again",
    ),
    Mutant(
        "forget ids whose events were kept although their group failed",
        "clickstream/pipeline.py",
        "sorted(set(range(len(ids))).difference(kept))",
        "range(len(ids))",
        "test_pipeline.py::test_what_was_kept_of_a_failed_group_is_counted_once_and_a_duplicate_when_it_is_sent_again",
    ),
    Mutant(
        "acknowledge a duplicate of an event that was lost",
        "clickstream/pipeline.py",
        "if receipt.duplicates and entry.generation != self._generation:",
        "if receipt.duplicates and entry.generation > self._generation:",
        "test_pipeline.py::test_a_duplicate_of_an_event_in_flight_is_not_acknowledged_when_that_event_fails",
    ),
    Mutant(
        "trust the page cache after a failed sync",
        "clickstream/journal/file.py",
        "                self._doubtful = True\n                raise _unavailable(self.path, \"sync\"",
        "                raise _unavailable(self.path, \"sync\"",
        "test_journal_file.py::test_after_a_failed_sync_the_tail_is_written_again_before_anything_is_acknowledged",
    ),
    Mutant(
        "take a short write for a whole one",
        "clickstream/journal/disk.py",
        "    while written < len(payload):\n",
        "    while written < 0:\n",
        "test_journal_file.py::test_failing_operation_n_loses_nothing_acknowledged",
    ),
    Mutant(
        "leave half an event behind a failed write",
        "clickstream/journal/file.py",
        "            self._cut_back()\n",
        "",
        "test_journal_file.py::test_a_failed_write_leaves_no_half_written_record_in_the_file",
    ),
    Mutant(
        "two writers on one file",
        "clickstream/journal/file.py",
        "            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        "test_journal_file.py::test_a_second_process_is_refused_at_once_and_says_why",
    ),
    Mutant(
        "read beyond the durable offset",
        "clickstream/journal/reading.py",
        "        self.end = journal.end\n",
        "        self.end = journal.size()\n",
        "test_journal_file.py::test_a_reader_sees_what_was_durable_when_it_was_made",
    ),
    Mutant(
        "lose what was refused",
        "clickstream/pipeline.py",
        "                self.quarantine.keep(refused)\n",
        "                pass\n",
        "test_pipeline.py::test_rejected_records_reach_the_quarantine_with_reason_and_bytes",
    ),
    Mutant(
        "a window that is a minute too long",
        "clickstream/stats/snapshot.py",
        "_windowed(stats, now - WINDOWS[window] + 1, now)",
        "_windowed(stats, now - WINDOWS[window], now)",
        "test_stats.py::test_every_window_shows_what_a_slow_computation_finds",
    ),
    Mutant(
        "a funnel that ignores the order",
        "clickstream/stats/sessions.py",
        "        if self.view_ms is None or ms < self.view_ms:\n            self.early_carts",
        "        if self.view_ms is None:\n            self.early_carts",
        "test_stats.py::test_every_window_shows_what_a_slow_computation_finds",
    ),
    Mutant(
        "halves of a cent rounded up",
        "clickstream/stats/money.py",
        "rounding=ROUND_HALF_EVEN",
        "rounding=\"ROUND_HALF_UP\"",
        "test_stats.py::test_money_is_exact_with_halves_to_even",
    ),
    Mutant(
        "a key that may be repeated",
        "clickstream/events/record.py",
        "    _check_unique_keys(record)\n",
        "",
        "test_events.py::test_a_repeated_key_is_found_however_it_is_written",
    ),
    Mutant(
        "a bomb that goes off",
        "clickstream/bodies.py",
        "    room = max_bytes + 1\n",
        "    room = 10**12\n",
        "test_bodies.py::test_a_bomb_is_refused_after_the_limit_not_after_its_whole_size",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tests of the core need."""
    copy = tmp_path_factory.mktemp("mutants") / "source"
    copy.mkdir()
    for name in ("config.py", "local_api.py", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    # With what is compiled of it, but for the files that others are writing at the moment.
    unwanted = shutil.ignore_patterns("*.pyc.*", "node_modules", "sdk", ".hypothesis")
    for name in ("clickstream", "api", "web", "static", "templates", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    return copy


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_promise_is_noticed(mutant: Mutant, source: Path, tmp_path: Path) -> None:
    if mutant.needs_root and os.geteuid() != 0:
        pytest.skip("a power cut needs root and loop devices")
    path = source / mutant.file
    original = path.read_text()
    assert original.count(mutant.place) == 1, f"{mutant.file} has changed: where is {mutant.place!r} now?"
    path.write_text(original.replace(mutant.place, mutant.instead))
    try:
        done = run_tests(source, mutant.caught_by, directory=tmp_path)
    finally:
        path.write_text(original)

    if "1 skipped" in done.stdout:
        pytest.skip(done.stdout[-300:])
    assert done.returncode == 1, f"nothing noticed it:\n{done.stdout[-2000:]}{done.stderr[-500:]}"
    assert "1 failed" in done.stdout, done.stdout[-2000:]


def test_where_nothing_is_broken_they_notice_nothing(source: Path, tmp_path: Path) -> None:
    """Otherwise a test that fails for want of a file in the copy would pass for one that notices."""
    done = run_tests(source, *sorted({mutant.caught_by for mutant in MUTANTS}), directory=tmp_path)

    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-500:]}"


def run_tests(source: Path, *tests: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "CRASH_POWER_CUTS": "3",
        "HYPOTHESIS_PROFILE": "whether it fails",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # half of what a start costs, and none is needed
        "CI": "",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--basetemp", str(directory / "t"), *(f"tests/{test}" for test in tests)],
        cwd=source, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
