"""One run of simulated shoppers from start to exit code: send, show, sum up, verify."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from clickstream.client.sending import RetryPolicy, unreachable
from clickstream.simulation.counted import CountingApi, NotCounted, Stats
from clickstream.simulation.ledger import Ledger
from clickstream.simulation.moments import MomentWriter
from clickstream.simulation.sender import Counters, Sender
from clickstream.simulation.shopping_view import ShoppingView, comparison_table, print_plan
from clickstream.simulation.traffic import Traffic
from clickstream.simulation.transmit import stopped_by_signals, transmit
from clickstream.simulation.verify import Comparison, compare_export, compare_stats, compare_verdicts
from clickstream.simulation.view import print_failures, shown_live
from clickstream.terminal.words import clean


@dataclass(frozen=True, slots=True)
class Delivering:
    """How a run is sent and checked."""

    endpoint: str
    key: str = ""
    paced: bool = True
    batch_size: int = 500
    connections: int = 4
    give_up_after_s: float = 60.0
    truth: Path | None = None
    verify: bool = False
    read_token: str = ""
    quiet: bool = False


class ShoppingRun:
    """Sends the traffic to an API and reports on it."""

    def __init__(self, traffic: Traffic, delivering: Delivering, console: Console) -> None:
        self._traffic = traffic
        self._how = delivering
        self._console = console
        self._api = CountingApi(delivering.endpoint, delivering.read_token)

    def run(self) -> int:
        """The exit code: 0 when everything was acknowledged and, if asked, verified."""
        problem = unreachable(self._how.endpoint)
        if problem:
            self._console.print(problem, style="bold red", markup=False)
            return 1
        try:
            before = self._api.stats() if self._how.verify else None
        except NotCounted as unknown:
            self._console.print(f"Cannot verify: {clean(str(unknown))}", style="bold red", markup=False)
            return 1
        if not self._how.quiet:
            print_plan(self._console, self._traffic, paced=self._how.paced)
        with _truth_file(self._how) as truth:
            return self._send_and_check(truth, before)

    def _send_and_check(self, truth: Path | None, before: Stats | None) -> int:
        ledger = Ledger(truth, self._described())
        with ledger, stopped_by_signals() as stop:
            sender = self._sender(ledger, stop)
            view = ShoppingView(sender, ledger, self._traffic.plan, paced=self._how.paced)
            with shown_live(self._console, view.render, view.line, quiet=self._how.quiet):
                stream = self._traffic.stream(ledger, stop)
                counters = transmit(stream, sender, batch_size=self._how.batch_size, paced=self._how.paced, stop=stop)
        if not self._how.quiet:
            self._console.print(view.summary())
        print_failures(self._console, sender)
        is_true = before is None or truth is None or self._verify(before, ledger, counters, truth)
        return 0 if is_true and not counters.lost else 1

    def _sender(self, ledger: Ledger, stop: threading.Event) -> Sender:
        return Sender(
            self._how.endpoint,
            key=self._how.key,
            stop=stop,
            connections=self._how.connections,
            policy=RetryPolicy(give_up_after_s=self._how.give_up_after_s),
            on_delivery=ledger.delivered,
        )

    def _verify(self, before: Stats, ledger: Ledger, counters: Counters, truth: Path) -> bool:
        started = time.monotonic()
        try:
            comparisons = self._compared(before, ledger, counters, truth)
        except NotCounted as problem:
            self._console.print(f"Cannot verify: {clean(str(problem))}", style="bold red", markup=False)
            return False
        different = [one for one in comparisons if not one.is_equal]
        if different:
            self._console.print(comparison_table(different))
            self._console.print(
                f"VERIFY FAILED: {len(different)} of {len(comparisons)} numbers differ", style="bold red"
            )
        elif not self._how.quiet:
            self._console.print(
                f"Verified: {len(comparisons)} numbers of /stats and /export equal the truth "
                f"({ledger.totals.events:,} events, {time.monotonic() - started:.1f} s)",
                style="green",
                highlight=False,
            )
        return not different

    def _compared(self, before: Stats, ledger: Ledger, counters: Counters, truth: Path) -> list[Comparison]:
        plan = self._traffic.plan
        since = MomentWriter().text(plan.epoch_ms)
        return [
            *compare_stats(self._api, before, ledger.totals, counters, plan.model.catalogue.currency),
            *compare_verdicts(ledger.totals, ledger.verdicts),
            *compare_export(self._api.stored(self._traffic.run_id, since), truth, ledger.totals),
        ]

    def _described(self) -> dict[str, object]:
        plan = self._traffic.plan
        return {
            "run_id": self._traffic.run_id,
            "seed": plan.seed,
            "preset": plan.preset,
            "users": plan.users,
            "start": MomentWriter().text(plan.epoch_ms),
            "endpoint": self._how.endpoint,
        }


@contextmanager
def _truth_file(how: Delivering) -> Iterator[Path | None]:
    """Where the truth is written: the named file, one that is deleted after verifying, or none."""
    if how.truth is not None or not how.verify:
        yield how.truth
        return
    with tempfile.TemporaryDirectory(prefix="clickstream-truth-") as directory:
        yield Path(directory) / "truth.ndjson"
