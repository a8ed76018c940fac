"""Mend a journal that no process is writing; a copy of the file as it was is kept beside it."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from clickstream.errors import JournalError
from clickstream.journal import Journal, Quarantine, Recovery, recover
from clickstream.journal.disk import sync_directory
from clickstream.journal.inspection import inspect
from clickstream.stored import StoredEvent

_MAX_REJECTED_BYTES = 1 << 30  # damaged lines are wanted here: never drop the older half for them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `repair` takes."""
    parser.add_argument("file", type=Path, help="the journal, e.g. events_backup.json")


def run(args: argparse.Namespace) -> int:
    """0 when the journal is whole afterwards, 2 when it cannot be mended: then it is as it was."""
    try:
        condition = inspect(args.file, msgspec.json.Decoder(StoredEvent).decode)
        if condition.in_use:
            print(f"{args.file} is being written by another process; stop that one first", file=sys.stderr)
            return 2
        if condition.is_whole:
            print(f"{args.file}: {condition.records:,} whole records, nothing to mend")
            return 0
        return _repair(args.file.resolve() if args.file.is_symlink() else args.file)
    except OSError as error:
        print(f"{args.file}: {error.strerror}", file=sys.stderr)
    except JournalError as error:
        print(error, file=sys.stderr)
    return 2


def _repair(path: Path) -> int:
    quarantine = Quarantine(path.with_name("events_rejected.ndjson"), max_bytes=_MAX_REJECTED_BYTES)
    backup = _backup(path)
    try:
        journal = Journal(path)  # locks it, and converts an older array
    except BaseException:
        backup.unlink()
        raise
    try:
        with _without_log():  # it says in lines for a log what is reported below
            found = recover(
                journal, quarantine, msgspec.json.Decoder(StoredEvent).decode, lambda _events, _position: None
            )
    finally:
        journal.close()
    print("\n".join(_done(path, backup, quarantine.path, found)))
    return 0


@contextmanager
def _without_log() -> Iterator[None]:
    log, handler = logging.getLogger("clickstream"), logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _done(path: Path, backup: Path, quarantine: Path, found: Recovery) -> list[str]:
    lines = [f"{path}: mended, {found.records:,} records"]
    if found.damaged:
        lines.append(f"  damaged lines moved to {quarantine}: {found.damaged:,}")
    if found.torn_path:
        lines.append(f"  torn tail of {found.torn_bytes:,} bytes cut off and kept in {found.torn_path}")
    return [*lines, f"  the file as it was: {backup}"]


def _backup(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    backup = path.with_name(f"{path.name}.before-repair-{stamp}")
    shutil.copy2(path, backup)
    with backup.open("rb") as copy:
        os.fsync(copy.fileno())
    sync_directory(path.parent)
    return backup
