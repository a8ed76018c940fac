"""Imported by every program before anything else, so that it starts as one expects (start.py).

Without the packages it ends in a sentence, not in a traceback.

Standard library only, and no syntax that an older Python does not know.
"""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from clickstream import start
from clickstream.place import python, shown

# What the programs import; boto3 only with ENV=aws, tzdata where the system knows no time zones, pytest only in tests.
# A test compares with requirements.in.
NEEDED = (
    "flask",
    "msgspec",
    "httptools",
    "uvloop",
    "requests",
    "rich",
    "faker",
    "duckdb",
    "prometheus_client",
)
_NAMED = 3


def remedy(missing: list[str], words: list[str], root: Path) -> str:
    """What to do when `missing` are missing in a program that was started with `words`."""
    more = len(missing) - _NAMED
    names = ", ".join(missing[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    own = root / ".venv" / "bin" / "python"
    make = "make venv" if root == Path.cwd() else shlex.join(["make", "-C", shown(root), "venv"])
    first = "" if own.exists() else f"install them with `{make}`, then "
    start = shlex.join([shown(own), *words])
    return f"{python()} does not have the packages that this needs ({names}): {first}start it as {start}"


start.open_streams()
start.leave_at_interrupts()
if _missing := [name for name in NEEDED if find_spec(name) is None]:
    _words = getattr(sys, "orig_argv", ["", *sys.argv])[1:]  # Python 3.9 does not have it, and macOS has Python 3.9
    sys.exit(remedy(_missing, _words, Path(__file__).resolve().parent.parent))
