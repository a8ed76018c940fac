"""What a run shows: a live view in a terminal, plain lines when piped, a summary at the end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from clickstream.simulation.sender import Counters, Sender
from clickstream.terminal.words import clean

PLAIN_EVERY_S = 5.0
_IDS_SHOWN = 10
_RATE_OVER_S = 5.0


@contextmanager
def shown_live(
    console: Console, render: Callable[[], RenderableType], plain: Callable[[], str], *, quiet: bool
) -> Iterator[None]:
    """Keep `render()` on a terminal up to date, or print `plain()` every few seconds where there is none."""
    if quiet:
        yield
    elif console.is_terminal:
        with Live(console=console, get_renderable=render, refresh_per_second=4, transient=True):
            yield
    else:
        done = threading.Event()
        thread = threading.Thread(target=_print_lines, args=(console, plain, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class Progress:
    """One line of honest counters about a running sender."""

    def __init__(self, sender: Sender, *, show_lag: bool = True, now: Callable[[], float] = time.monotonic) -> None:
        self._sender = sender
        self._show_lag = show_lag
        self._now = now
        self._start = now()
        self._samples = deque([(self._start, 0)])  # moments and what had been acknowledged by then

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._now() - self._start

    def line(self) -> str:
        """`12 s · 10.1 events/s · sent 121 · accepted 118 · duplicates 1 · rejected 2 · retries 0 · lag 0.0 s`."""
        counters = self._sender.snapshot()
        parts = [
            f"{self.elapsed_s():.0f} s",
            f"{self._recent_rate(counters.acknowledged):,.1f} events/s",
            f"sent {counters.generated:,}",
            f"accepted {counters.accepted:,}",
            *([f"duplicates {counters.duplicates:,}"] if counters.duplicates else []),
            *([f"rejected {counters.rejected:,}"] if counters.rejected else []),
            f"retries {counters.retries:,}",
            *([f"lag {self._sender.lag_s():.1f} s"] if self._show_lag else []),
        ]
        lost = counters.refused + counters.unacknowledged
        return " · ".join([*parts, f"NOT DELIVERED {lost:,}"] if lost else parts)

    def _recent_rate(self, acknowledged: int) -> float:
        now = self._now()
        while len(self._samples) > 1 and self._samples[1][0] <= now - _RATE_OVER_S:
            self._samples.popleft()
        since, before = self._samples[0]
        self._samples.append((now, acknowledged))
        return (acknowledged - before) / max(now - since, 1e-9)


def summary(sender: Sender, elapsed_s: float) -> Table:
    """The end of a run: what was sent is the sum of the four numbers below it."""
    counters = sender.snapshot()
    table = Table(title="Summary", show_header=False, title_justify="left")
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in _summary_rows(sender, counters, elapsed_s):
        table.add_row(name, value)
    return table


def _summary_rows(sender: Sender, counters: Counters, elapsed_s: float) -> list[tuple[str, str]]:
    rows = [
        ("events sent", f"{counters.generated:,}"),
        ("  accepted", f"{counters.accepted:,}"),
        ("  duplicates", f"{counters.duplicates:,}"),
        ("  rejected", f"{counters.rejected:,}"),
        ("  not delivered", f"{counters.lost:,}"),
        ("requests (retries)", f"{counters.requests:,} ({counters.retries:,})"),
        ("elapsed", f"{elapsed_s:.1f} s"),
        ("delivered events/s", f"{counters.acknowledged / max(elapsed_s, 1e-9):,.1f}"),
        ("largest lag", f"{counters.largest_lag_s:.2f} s"),
    ]
    for share in (0.5, 0.99):
        latency_s = sender.latencies.quantile(share)
        if latency_s is not None:
            rows.append((f"p{share * 100:.0f} from schedule to answer", f"{latency_s * 1000:,.1f} ms"))
    return rows


def print_failures(console: Console, sender: Sender) -> None:
    """Name what was not delivered, why, and what to do; nothing when all was."""
    lost = sender.snapshot().lost
    if not lost:
        return
    console.print(f"{lost:,} events were not delivered:", style="bold red")
    for reason in sender.failures.reasons:
        console.print(f"  reason: {clean(' '.join(reason.splitlines()))}", markup=False)
    if sender.failures.remedy:
        console.print(sender.failures.remedy, style="bold", markup=False, highlight=False)
        return
    for event_id in sender.failures.event_ids[:_IDS_SHOWN]:
        console.print(f"  event_id {event_id}", markup=False)
    if lost > _IDS_SHOWN:
        console.print(f"  … and {lost - _IDS_SHOWN:,} more")


def _print_lines(console: Console, plain: Callable[[], str], done: threading.Event) -> None:
    while not done.wait(PLAIN_EVERY_S):
        console.print(plain(), markup=False, highlight=False, soft_wrap=True)
