"""Stops what a supervisor leaves behind: started by clickstream/demo/supervisor.py, useful only to it.

Reads `+GROUP` and `-GROUP` lines from standard input. When the input ends, which
it does however the supervisor dies (kill -9 too), the groups still on the list
are stopped and the directory named as the first argument is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

_GRACE_S = 2.0


def main() -> None:
    """Watch until standard input ends, then clear up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the supervisor must not end its watchdog first
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    end = time.monotonic() + _GRACE_S
    groups = {group for group in groups if _sent(group, signal.SIGTERM)}
    while groups and time.monotonic() < end:
        time.sleep(0.05)
        groups = {group for group in groups if _sent(group, 0)}
    for group in groups:
        _sent(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


def _sent(group: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    main()
