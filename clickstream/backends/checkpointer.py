"""Checkpoints while the journal grows, so that a start after a kill reads its last part only.

A process of its own reads what was written since the last checkpoint and writes the next: the API would stand
still for half a second to write down a million ids. It also compares the bytes on the disk with the checksum of those
that were written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clickstream.journal import Journal, checkpoint, layout
from clickstream.journal.checkpoint import Checkpoint
from clickstream.journal.disk import sync
from clickstream.journal.recovery import scan
from clickstream.stats import Stats, state
from clickstream.stats.recency import RecentIds
from clickstream.stored import StoredEvent, TimeReader
from clickstream.timestamps import now_ms

_log: Final = logging.getLogger(__name__)
_ROOT: Final = Path(__file__).resolve().parents[2]
_DIFFERENT: Final = 3  # exit code: the disk does not hold what was written
_NICENESS: Final = 19


class Checkpointer:
    """Starts a checkpoint whenever the journal has grown by `every_bytes` since the last one; 0: never."""

    def __init__(
        self, journal: Journal, *, every_bytes: int, dedupe_window: int, on_change: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._every_bytes = every_bytes
        self._dedupe_window = dedupe_window
        self._on_change = on_change
        self._reached = 0  # where the last one ended, or the last attempt
        self._process: subprocess.Popen[bytes] | None = None
        self._waiter: threading.Thread | None = None
        self._stopping = False

    def begin(self, reached: int) -> None:
        """The journal has been read; the checkpoint that holds ends at `reached` (0: there is none)."""
        self._stopping = False
        self._reached = reached
        self.consider()

    def consider(self) -> None:
        """Start a checkpoint if one is due. Called where the journal is written, so that its end stands still."""
        end = self._journal.end
        if not self._every_bytes or end - self._reached < self._every_bytes or self._process is not None:
            return
        self._reached = end
        try:
            process = self._process = self._start(end, self._journal.crc)
        except OSError as problem:
            _log.warning("no checkpoint while running: its process does not start error=%s", problem)
            return
        waiter = threading.Thread(target=self._wait, args=(process,), name="checkpoint", daemon=True)
        try:
            waiter.start()
        except RuntimeError as problem:  # no thread is left; what has just been written is kept all the same
            _log.warning("no checkpoint while running: nobody waits for its process error=%s", problem)
            process.kill()
            with process:
                self._process = None
            return
        self._waiter = waiter

    def stop(self) -> None:
        """End what is under way; the last complete checkpoint stays."""
        self._stopping = True
        process = self._process
        if process is not None:
            process.kill()
        if self._waiter is not None:
            self._waiter.join()

    def discard(self) -> None:
        """Remove every trace of what checkpoints say: the events behind them are about to go."""
        self.stop()
        checkpoint.discard(self._journal.path)

    def _start(self, end: int, crc: int) -> subprocess.Popen[bytes]:
        arguments = [str(self._journal.path.resolve()), str(end), str(crc), str(self._dedupe_window)]
        return subprocess.Popen(  # noqa: S603 - this interpreter and this module
            [sys.executable, "-m", __name__, *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,  # it closes when this process ends, whatever ends it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        started_s = time.monotonic()
        with process:  # not communicate: it would close standard input, and so tell the process that this one has ended
            said = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
            process.wait()
        try:
            if process.returncode == 0 and not self._stopping:
                checkpoint.publish(self._journal.path)
                _log.info("checkpoint made in_s=%.1f", time.monotonic() - started_s)
        except OSError as problem:
            _log.warning("checkpoint not published error=%s", problem)
        if process.returncode == _DIFFERENT:
            _log.error("the journal's bytes are not those that were written path=%s", self._journal.path)
            self._on_change()
        elif process.returncode and not self._stopping:
            _log.warning("no checkpoint made exit_code=%d said=%s", process.returncode, said[-500:])
        self._process = None


def make(journal: Path, end: int, crc: int, *, dedupe_window: int, clock_ms: Callable[[], int]) -> bool:
    """Prepare the checkpoint of the first `end` bytes; False when they are not the ones that `crc` was made from."""
    stats, ids = Stats(), RecentIds(dedupe_window)
    start, reached_crc = layout.START, layout.START_CRC
    known = checkpoint.load(journal, form=state.FORM)
    if known is not None and known.end <= end:
        known_ids = state.decode(known.state, stats, dedupe_window=dedupe_window)
        if known_ids is not None:
            ids.remember(known_ids)
            start, reached_crc = known.end, known.crc
    reader = TimeReader(clock_ms())

    def take(events: Sequence[StoredEvent], _: int) -> None:
        stats.fold(events, reader.all_ms(events), clock_ms())
        ids.remember([event.event_id for event in events if event.event_id is not None])

    decode = msgspec.json.Decoder(StoredEvent).decode
    with journal.open("rb") as file:
        found = scan(file.fileno(), decode, take, start=start, crc=reached_crc, until=end)
        if (found.end, found.crc, found.damaged) != (end, crc, 0):
            return False
        sync(file.fileno())  # with fsync=everysec a checkpoint must not know more than the disk
    content = state.encode(stats, ids.oldest_first(), dedupe_window=dedupe_window)
    checkpoint.prepare(journal, Checkpoint(end, crc, content), form=state.FORM)
    return True


def _end_with_the_api() -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1):
            pass
    os._exit(1)


def _main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the API, which ends this process
    threading.Thread(target=_end_with_the_api, daemon=True).start()
    os.nice(_NICENESS)
    journal, end, crc, dedupe_window = sys.argv[1:]
    is_made = make(Path(journal), int(end), int(crc), dedupe_window=int(dedupe_window), clock_ms=now_ms)
    return 0 if is_made else _DIFFERENT


if __name__ == "__main__":
    sys.exit(_main())
