"""`verify` tells the condition of a journal without touching it; `repair` mends it and keeps what was there."""

from __future__ import annotations

import argparse
import fcntl
import json
import subprocess
from pathlib import Path

import pytest

from clickstream.commands import repair, verify
from tests.support.processes import environment, python

EVENT = {
    "event_id": "e1",
    "event_type": "page_view",
    "user_id": "u1",
    "timestamp": "2025-01-15T10:30:00Z",
    "properties": {"page": "/"},
    "received_at": "2025-01-15T10:30:00.123Z",
}
LINES = [json.dumps({**EVENT, "event_id": f"e{number}"}).encode() for number in (1, 2, 3)]
WHOLE = b"[\n" + b",\n".join(LINES) + b"\n]\n"
DAMAGED = WHOLE.replace(b'{"event_id": "e2"', b'\x00"event_id": "e2"')
TORN = WHOLE.removesuffix(b"\n]\n") + b',\n{"event_id": "e4", "eve'


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "events_backup.json"


def run_verify(path: Path) -> int:
    return verify.run(argparse.Namespace(file=path))


def run_repair(path: Path) -> int:
    return repair.run(argparse.Namespace(file=path))


def ids(path: Path) -> list[str]:
    return [event["event_id"] for event in json.loads(path.read_text())]


def test_a_whole_journal_is_reported_with_its_records(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.write_bytes(WHOLE)

    assert run_verify(journal) == 0
    assert capsys.readouterr().out == f"{journal}: 3 whole records, 0 damaged lines\n"


def test_an_empty_journal_is_whole(journal: Path) -> None:
    journal.write_bytes(b"[\n]\n")

    assert run_verify(journal) == 0


def test_a_damaged_line_is_reported_with_its_place(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.write_bytes(DAMAGED)

    assert run_verify(journal) == 1
    output = capsys.readouterr().out
    assert f"{journal}: 2 whole records, 1 damaged line\n" in output
    # What stands there is shown, but a terminal does not obey it.
    assert f'  damaged at byte {DAMAGED.index(bytes(1))}: \ufffd"event_id": "e2"' in output
    assert "\x00" not in output
    assert f"python -m clickstream repair {journal}" in output


def test_a_torn_tail_is_reported_with_its_length(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.write_bytes(TORN)

    assert run_verify(journal) == 1
    assert "  torn tail: 25 bytes behind the last whole record\n" in capsys.readouterr().out


@pytest.mark.parametrize("content", [WHOLE.removesuffix(b"]\n"), WHOLE.removeprefix(b"["), b" " + WHOLE[1:]])
def test_a_missing_bracket_is_reported_and_mended(journal: Path, content: bytes) -> None:
    journal.write_bytes(content)

    assert run_verify(journal) == 1
    assert run_repair(journal) == 0
    assert run_verify(journal) == 0
    assert ids(journal)[-2:] == ["e2", "e3"]


def test_verify_changes_nothing(journal: Path) -> None:
    journal.write_bytes(TORN)

    run_verify(journal)

    assert journal.read_bytes() == TORN
    assert list(journal.parent.iterdir()) == [journal]


def test_a_missing_file_is_named(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verify(journal) == 2
    assert run_repair(journal) == 2
    assert capsys.readouterr().err == f"{journal}: No such file or directory\n" * 2
    assert not journal.exists()


@pytest.mark.parametrize(("content", "kept"), [(DAMAGED, ["e1", "e3"]), (TORN, ["e1", "e2", "e3"])])
def test_repair_makes_the_journal_whole_and_keeps_the_file_as_it_was(
    journal: Path, content: bytes, kept: list[str]
) -> None:
    journal.write_bytes(content)

    assert run_repair(journal) == 0

    assert run_verify(journal) == 0
    assert ids(journal) == kept
    (backup,) = journal.parent.glob("events_backup.json.before-repair-*")
    assert backup.read_bytes() == content


def test_repair_moves_damaged_lines_to_the_quarantine(journal: Path) -> None:
    journal.write_bytes(DAMAGED)

    run_repair(journal)

    (entry,) = map(json.loads, (journal.parent / "events_rejected.ndjson").read_text().splitlines())
    assert entry["code"] == "damaged_record"
    assert '"event_id": "e2"' in entry["raw"]


def test_repair_of_a_whole_journal_leaves_it_alone(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.write_bytes(WHOLE)

    assert run_repair(journal) == 0
    assert capsys.readouterr().out == f"{journal}: 3 whole records, nothing to mend\n"
    assert list(journal.parent.iterdir()) == [journal]


def test_repair_converts_an_array_of_an_older_version(journal: Path) -> None:
    journal.write_text(json.dumps([json.loads(line) for line in LINES]))

    assert run_verify(journal) == 1
    assert run_repair(journal) == 0
    assert run_verify(journal) == 0
    assert ids(journal) == ["e1", "e2", "e3"]


def test_repair_mends_the_file_that_a_symbolic_link_leads_to(journal: Path) -> None:
    real = journal.with_name("real.json")
    real.write_text(json.dumps([json.loads(line) for line in LINES]))
    journal.symlink_to(real)

    assert run_repair(journal) == 0
    assert journal.is_symlink()
    assert run_verify(real) == 0


def test_repair_of_something_else_fails_and_leaves_it_as_it_was(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.write_text("shopping list: milk")

    assert run_repair(journal) == 2
    assert "is not a JSON array of events" in capsys.readouterr().err
    assert journal.read_text() == "shopping list: milk"
    assert list(journal.parent.iterdir()) == [journal]


def test_a_journal_in_use_is_not_repaired_and_its_end_is_not_judged(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.write_bytes(TORN)

    with journal.open("rb+") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)

        assert run_verify(journal) == 0
        assert run_repair(journal) == 2
    assert journal.read_bytes() == TORN
    captured = capsys.readouterr()
    assert "a process is writing it now: its end is not judged" in captured.out
    assert "is being written by another process; stop that one first" in captured.err


@pytest.mark.e2e
def test_both_are_commands_of_the_package(journal: Path) -> None:
    journal.write_bytes(TORN)

    def command(name: str) -> tuple[int, str]:
        words = python("-m", "clickstream", name, str(journal))
        done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=30, check=False)
        return done.returncode, done.stdout

    before, repaired, after = command("verify"), command("repair"), command("verify")

    assert before[0] == 1
    assert repaired[0] == 0
    assert repaired[1].startswith(f"{journal}: mended, 3 records\n  torn tail of 25 bytes cut off and kept in ")
    assert after == (0, f"{journal}: 3 whole records, 0 damaged lines\n")


def test_repair_prints_what_it_did_and_no_log(journal: Path) -> None:
    journal.write_bytes(DAMAGED + b'{"event_id": "torn')
    command = python("-m", "clickstream", "repair", str(journal))
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment(), check=False)

    assert done.returncode == 0
    assert done.stderr == ""
    assert "damaged lines moved to" in done.stdout
