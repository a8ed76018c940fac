"""The report redrawn in place: the last numbers stay when the API is away, and their age is shown."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.text import Text

from clickstream.client.reading import ApiProblem
from clickstream.terminal import words
from clickstream.terminal.report import NARROWEST, WIDEST, Paper, lines

_STATES = {"unreachable": "API down", "replaying": "replaying", "timeout": "stale"}


class Screen:
    """What `--watch` shows now; measured anew at each drawing, so that a resized terminal is filled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, fresh: str = "live") -> None:
        self._clock = clock
        self._fresh = fresh  # what is said of numbers that were just read
        self._numbers: Mapping[str, Any] | None = None
        self._read_at_s = 0.0
        self._problem: ApiProblem | None = None

    def take(self, numbers: Mapping[str, Any]) -> None:
        """Show `numbers` from now on."""
        self._numbers, self._read_at_s, self._problem = numbers, self._clock(), None

    def fail(self, problem: ApiProblem) -> None:
        """Keep the numbers, and say what is wrong."""
        self._problem = problem

    def state(self) -> Text:
        """That it is fresh, or what is wrong and since when."""
        since = words.age(self._clock() - self._read_at_s)
        if self._problem is None:
            return Text(self._fresh if self._clock() - self._read_at_s < 5 else f"{since} ago", style="green")
        name = _STATES.get(self._problem.kind, "error")
        if self._problem.progress is not None:
            name += f" {self._problem.progress:.0%}"
        return Text(f"{name}, numbers of {since} ago" if self._numbers is not None else name, style="bold red")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many lines as the terminal is high."""
        height = options.height or console.height
        if self._numbers is None:
            told = words.clean(str(self._problem)) if self._problem else "Connecting"
            yield Group(Text.assemble(("Clickstream", "bold"), "  ", self.state() if self._problem else ""), Text(told))
            return
        paper = Paper(min(max(options.max_width, NARROWEST), WIDEST), ascii_only=options.ascii_only)
        report = lines(self._numbers, paper, state=self.state(), height=height - (1 if self._problem else 0))
        yield Group(*report, *([Text(words.clean(str(self._problem)), style="red")] if self._problem else []))


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP leave the block, as Ctrl-C does, instead of ending the process within it."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to survive the terminal
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(
    read: Callable[[], Mapping[str, Any]],
    console: Console,
    *,
    interval_s: float,
    fresh: str = "live",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Redraw every second and read every `interval_s` until a signal asks to end; the screen is then as before."""
    screen = Screen(fresh=fresh)
    with _ended_by_signals(), Live(screen, console=console, screen=True, auto_refresh=False) as live:
        next_read_s = 0.0
        while True:
            if time.monotonic() >= next_read_s:
                try:
                    screen.take(read())
                except ApiProblem as problem:
                    screen.fail(problem)
                next_read_s = time.monotonic() + interval_s
            live.update(screen, refresh=True)
            sleep(min(1.0, interval_s))
