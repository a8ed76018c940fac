"""Real processes for tests: start one with its output in a file, wait until something is true, stop its group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
PATIENCE_S = 30.0  # with a machine that does other things too; what is promised within a time is measured by its test
_POLL_S = 0.02


def wait_until(condition: Callable[[], T], what: str, *, deadline_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`; an AssertionError that says `what` was awaited once the time is over."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:g} s in vain: {what}")
        time.sleep(_POLL_S)


def environment(**variables: str) -> dict[str, str]:
    """A small environment that nothing of the caller's leaks into, plus `variables`."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**base, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **variables}


class RunningProcess:
    """A process in a session of its own, whose output (both streams) stands in a file."""

    def __init__(self, command: Sequence[str], log_path: Path, *, env: Mapping[str, str], cwd: Path) -> None:
        self.command = list(command)
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,  # so that stop() reaches its children, and a Ctrl-C at pytest does not
            )

    @property
    def pid(self) -> int:
        """Process id, which is the id of its group too."""
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it has printed so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def send(self, number: int) -> None:
        """Send a signal to the process alone."""
        self._process.send_signal(number)

    def wait(self, *, deadline_s: float = PATIENCE_S) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            return self._process.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {deadline_s:g} s: {self.command}\n{self.log[-2000:]}") from None

    def wait_for(self, condition: Callable[[], T], what: str, *, deadline_s: float = PATIENCE_S) -> T:
        """Like wait_until, but fails at once, with the log, when the process ends meanwhile."""

        def checked() -> T:
            value = condition()
            ended = None if value else self.exit_code
            assert ended is None, f"ended with {ended} while waiting for {what}:\n{self.log[-2000:]}"
            return value

        return wait_until(checked, what, deadline_s=deadline_s)

    def wait_for_line(self, text: str, *, deadline_s: float = PATIENCE_S) -> str:
        """The first line of its output that contains `text`."""

        def found() -> str:
            return next((line for line in self.log.splitlines() if text in line), "")

        return self.wait_for(found, f"{text!r} in the output", deadline_s=deadline_s)

    def wait_for_http(self, url: str, *, status: int = 200, deadline_s: float = PATIENCE_S) -> None:
        """Return once `url` answers with `status`."""
        self.wait_for(lambda: http_status(url) == status, f"{status} from {url}", deadline_s=deadline_s)

    def stop(self, *, grace_s: float = 10.0) -> int:
        """End it (TERM, then KILL) and everything left in its group; returns its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=grace_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait(timeout=grace_s)


@contextlib.contextmanager
def running(
    command: Sequence[str], log_path: Path, *, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[RunningProcess]:
    """A started process that is gone, with its group, when the block ends."""
    process = RunningProcess(command, log_path, env=environment() if env is None else env, cwd=cwd)
    try:
        yield process
    finally:
        process.stop()


def python(*arguments: str) -> list[str]:
    """The command that runs this interpreter with `arguments`, e.g. `python("local_api.py")`."""
    return [sys.executable, *arguments]


def memory_mb(pid: int, name: str) -> float:
    """VmRSS or VmHWM of a process in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def http_status(url: str, *, timeout_s: float = 2.0) -> int | None:
    """Status of a GET, or None when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as answer:
        answer.close()
        return answer.code
    except OSError:
        return None
