"""Where this project stands, and the words that a person can type there: remedies name what really runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
_INSTALLED: Final = _PACKAGE / "_scripts"  # where pyproject.toml has pip put what stands beside the package here


def scripts() -> Path:
    """The directory of config.py, local_api.py and the other scripts: of the checkout, or of what pip has installed."""
    return _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent


def command(script: str, *arguments: str) -> str:
    """What starts `script` with the Python that runs now, such as `.venv/bin/python local_api.py`."""
    return shlex.join([python(), shown(scripts() / script), *arguments])


def module(name: str, *arguments: str) -> str:
    """What runs the module `name` with the Python that runs now, such as `.venv/bin/python -m clickstream verify`."""
    return shlex.join([python(), "-m", name, *arguments])


def python() -> str:
    """The Python that runs now, as it can be typed in the working directory."""
    return shown(Path(sys.executable)) if sys.executable else "python3"


def shown(path: Path) -> str:
    """`path`, relative where it lies in the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
