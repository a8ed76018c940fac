"""What every program needs before its other imports: streams that are there, and a Ctrl-C without a traceback.

Standard library only, and no syntax that an older Python does not know.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from clickstream.place import scripts

_PACKAGE = Path(__file__).resolve().parent
_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # in the order of their descriptors
_INTERRUPTED = 130


def open_streams() -> None:
    """Let a standard stream that was closed when the program began (`>&-`) lead nowhere, as `>/dev/null` does."""
    for name, mode in _STREAMS:
        if getattr(sys, name) is None:
            # It gets the lowest free descriptor, which is the stream's own: no file or socket can take its place.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole process


def leave_at_interrupts() -> None:
    """Let Ctrl-C end the program that is being started, as it ends it later: nothing has been done or lost so far."""
    program = sys.modules["__main__"]
    file = getattr(program, "__file__", None)
    if file is None or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # the latter: in the background of a shell script, Ctrl-C is for others
    path = Path(file).resolve()
    # Who only imports this project, such as a runner of tests, keeps its own way to end.
    if path.parent == scripts().resolve() or _PACKAGE in path.parents:
        signal.signal(signal.SIGINT, _leave)


def begun() -> None:
    """From now on Ctrl-C is a KeyboardInterrupt again: an interrupted run may have lost something, and says so."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    # A command answers a question, and 0 would be an answer; the others end well whenever they are asked to.
    sys.exit(_INTERRUPTED if spec is not None and spec.name == "clickstream.__main__" else 0)
