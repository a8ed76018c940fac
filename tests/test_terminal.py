"""Lines of the demo fit the terminal and survive its end."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from clickstream.demo.terminal import Terminal


class Screen(io.StringIO):
    encoding = "utf-8"


class AsciiScreen(io.StringIO):
    encoding = "ascii"


def test_the_live_line_drops_whole_parts_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    screen = Screen()

    Terminal(screen).live(["00:10", "96 events", "9.4/s", "93 sessions"])

    assert screen.getvalue() == "\r\x1b[2K00:10 · 96 events"


def test_a_line_goes_below_the_live_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = Screen()
    terminal = Terminal(screen)

    terminal.live(["00:10"])
    terminal.line("Stopping …")
    terminal.line("Stopped.")

    assert screen.getvalue() == "\r\x1b[2K00:10\nStopping …\nStopped.\n"


def test_a_box_is_as_wide_as_its_longest_line() -> None:
    screen = Screen()

    Terminal(screen).box(["Stop  Ctrl-C", "API"])

    assert screen.getvalue() == "  ╭──────────────╮\n  │ Stop  Ctrl-C │\n  │ API          │\n  ╰──────────────╯\n"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    screen = AsciiScreen()

    Terminal(screen).box(["API · ready …"])

    assert screen.getvalue() == "  +---------------+\n  | API | ready ... |\n  +---------------+\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        terminal = Terminal(stream)

        terminal.line("nobody reads this")
        terminal.line("nor this")

        assert os.path.samestat(os.fstat(writer), Path(os.devnull).stat())
