"""Lines for a person, written so that a closed terminal or pipe never stops the program that prints them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from typing import Final, TextIO

SEPARATOR: Final = " · "


class Terminal:
    """Prints lines and, on a real terminal, one live line that is replaced in place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = False
        self.interactive = stream.isatty()
        self._unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"

    def line(self, text: str = "") -> None:
        """Print one line, below the live one if there is any."""
        self._write(("\n" if self._live else "") + text + "\n")
        self._live = False

    def live(self, parts: Sequence[str]) -> None:
        """Replace the live line by as many of `parts` as fit, the most important first."""
        width = shutil.get_terminal_size().columns - 1
        text = parts[0][:width]
        for part in parts[1:]:
            if len(text) + len(SEPARATOR) + len(part) > width:
                break
            text += SEPARATOR + part
        self._write("\r\x1b[2K" + text)
        self._live = True

    def clear_live(self) -> None:
        """Remove the live line, so that the next one stands in its place."""
        if self._live:
            self._write("\r\x1b[2K")
            self._live = False

    def box(self, lines: Sequence[str]) -> None:
        """Print lines in a frame; two spaces of indent."""
        width = max(map(len, lines)) + 2
        self.line("  ╭" + "─" * width + "╮")
        for text in lines:
            self.line("  │ " + text.ljust(width - 1) + "│")
        self.line("  ╰" + "─" * width + "╯")

    def _write(self, text: str) -> None:
        if not self._unicode:
            text = text.translate(_ASCII).encode("ascii", "replace").decode()
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal or the reader of the pipe has gone
            self._discard_from_now_on()

    def _discard_from_now_on(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # what is still buffered must go somewhere too
            os.close(nowhere)


_ASCII = str.maketrans({"╭": "+", "╮": "+", "╰": "+", "╯": "+", "─": "-", "│": "|", "·": "|", "…": "...", "✓": "*"})
