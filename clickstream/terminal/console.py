"""Where programs write lines and tables: as wide as the terminal, and whole where there is none."""

from __future__ import annotations

from typing import Final

from rich.console import Console

_PIPED_WIDTH: Final = 1_000  # columns; rich would take 80 and break sentences and tables there


def console_for_lines(*, stderr: bool = False) -> Console:
    """A console that breaks lines at the edge of a terminal, and not at all in a pipe or file."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPED_WIDTH, soft_wrap=True)
