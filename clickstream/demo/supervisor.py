"""Child processes that never outlive the process that started them.

Each child gets a session of its own, so that its whole group can be stopped and
a Ctrl-C reaches the supervisor alone. A watchdog process holds a pipe: when the
supervisor dies in a way that it cannot catch, the pipe closes and the watchdog
stops the groups.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType

_WATCHDOG = Path(__file__).with_name("watchdog.py")
_POLL_S = 0.02
_STOP_S = 4.0  # all children together; TERM first, KILL when the time is over
_RESERVE_S = 1.0  # of that, what every child has at least


class StopSignals:
    """Counts INT, TERM and HUP while it is entered; `wait` ends early when one arrives."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> StopSignals:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to survive the terminal
            numbers.append(signal.SIGHUP)
        self._old_handlers = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1

    def wait(self, seconds: float) -> bool:
        """Whether anybody has asked to stop, after at most `seconds`."""
        if not self.count and select.select([self._reader], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 4096)
        return self.count > 0


class Child:
    """One started process, the leader of its own group."""

    def __init__(self, name: str, command: Sequence[str], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the caller's own scripts
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Its process id, which is the id of its group too."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def log_end(self, lines: int) -> list[str]:
        """The last lines that it printed."""
        with self.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 64 * 1024))
            return log.read().decode(errors="replace").rstrip().splitlines()[-lines:]

    def stop(self, deadline: float, hurry: Callable[[], bool]) -> None:
        """End the whole group: TERM, then KILL at `deadline` (monotonic) or as soon as `hurry` says so."""
        self._send(signal.SIGTERM)
        while self.exit_code() is None and time.monotonic() < deadline and not hurry():
            time.sleep(_POLL_S)
        self._send(signal.SIGKILL)  # the leader when it ignored TERM, and what it has left behind
        self._process.wait()

    def _send(self, number: int) -> None:
        # macOS answers EPERM instead of ESRCH for a group that holds only zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class Supervisor:
    """Starts children with their logs in a private directory; leaving the block leaves nothing behind."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Supervisor:
        self._directory = Path(tempfile.mkdtemp(prefix="clickstream-demo-"))
        self._watchdog = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-I", "-S", str(_WATCHDOG), str(self._directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
        assert self._watchdog.stdin is not None
        with contextlib.suppress(OSError):
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def start(self, name: str, command: Sequence[str]) -> Child:
        """A new child, known to the watchdog."""
        child = Child(name, command, self._directory / f"{len(self._children)}.log")
        self._children.append(child)
        self._tell_watchdog(f"+{child.pid}\n")
        return child

    def ended(self) -> Child | None:
        """A child that has ended by itself, if any."""
        return next((child for child in self._children if child.exit_code() is not None), None)

    def drop(self, child: Child) -> None:
        """Stop what an ended child has left behind and watch it no longer."""
        child.stop(time.monotonic(), lambda: True)
        self._forget(child)

    def stop(
        self, *, hurry: Callable[[], bool] = lambda: False, before: Callable[[Child], None] = lambda _child: None
    ) -> None:
        """End all children, newest first, calling `before` ahead of each; the time one saves is left to the others."""
        end = time.monotonic() + _STOP_S
        while self._children:
            child = self._children[-1]
            before(child)
            child.stop(end - _RESERVE_S * (len(self._children) - 1), hurry)
            self._forget(child)

    def _forget(self, child: Child) -> None:
        self._children.remove(child)
        self._tell_watchdog(f"-{child.pid}\n")

    def _tell_watchdog(self, line: str) -> None:
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody has killed it: the orderly ending still works
            self._watchdog.stdin.write(line.encode())
            self._watchdog.stdin.flush()
