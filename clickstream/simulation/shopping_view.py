"""What a run of simulated shoppers shows: the plan, the live view, the summary, the differences."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from clickstream.simulation.explain import Expectation
from clickstream.simulation.ledger import FUNNEL, Ledger
from clickstream.simulation.sender import Sender
from clickstream.simulation.traffic import Plan, Traffic
from clickstream.simulation.verify import Comparison
from clickstream.simulation.view import Progress, summary
from clickstream.terminal.words import clean

_BAR_CELLS = 30
# The same colours as on the dashboard.
_COLOURS = {"page_view": "#5b9bf3", "add_to_cart": "#f0b23c", "checkout": "#3fbf88", "purchase": "#3fbf88"}


class ShoppingView:
    """Renders the state of a run."""

    def __init__(self, sender: Sender, ledger: Ledger, plan: Plan, *, paced: bool) -> None:
        self._sender = sender
        self._ledger = ledger
        self._plan = plan
        self._paced = paced
        self._progress = Progress(sender, show_lag=paced)

    def line(self) -> str:
        """One line for a pipe."""
        active = sum(self._ledger.active_by_persona().values())
        purchases = self._ledger.totals.funnel[-1]
        return f"{self._progress.line()} · shoppers {active:,} · sessions with a purchase {purchases:,}"

    def render(self) -> RenderableType:
        """The live view of a terminal."""
        return Group(Text(self._progress.line()), self._shoppers(), self._funnel())

    def summary(self) -> Table:
        """The end of a run: what was sent, then what the shoppers did."""
        totals = self._ledger.totals
        table = summary(self._sender, self._progress.elapsed_s())
        table.add_section()
        table.add_row("sessions", f"{totals.sessions:,}")
        for step, count in zip(FUNNEL, totals.funnel, strict=True):
            table.add_row(f"  reached {step}", f"{count:,} ({_percent(count, totals.funnel[0])})")
        table.add_row("revenue", f"{totals.revenue_cents / 100:,.2f} {self._plan.model.catalogue.currency}")
        for fault, count in sorted(totals.faults.items()):
            table.add_row(f"fault {fault}", f"{count:,}")
        table.add_row("seed", str(self._plan.seed))
        return table

    def _shoppers(self) -> Text:
        active = self._ledger.active_by_persona()
        parts = [f"{name} {active.get(name, 0):,}" for name in self._plan.model.personas]
        extra = [f"{name} {count:,}" for name, count in active.items() if name not in self._plan.model.personas]
        return Text("shoppers now: " + " · ".join(parts + extra), style="dim")

    def _funnel(self) -> Table:
        table = Table.grid(padding=(0, 1))
        counts = self._ledger.totals.funnel
        for step, count in zip(FUNNEL, counts, strict=True):
            cells = round(_BAR_CELLS * count / counts[0]) if counts[0] else 0
            bar = Text("█" * cells, style=_COLOURS[step])
            table.add_row(step, bar, f"{count:,}", Text(_percent(count, counts[0]), style="dim"))
        return table


def print_plan(console: Console, traffic: Traffic, *, paced: bool) -> None:
    """Say what is going to happen, with the expected rate."""
    plan = traffic.plan
    if plan.backfill_s is not None:
        text = f"Backfill: {plan.events:,} events over the past {plan.backfill_s / 86_400:g} days"
    else:
        length = f"{plan.duration_s:g} s" if plan.duration_s else "until Ctrl-C"
        text = f"{plan.users:,} shoppers at {plan.speed:g} x real pace, {length}"
        text += f": expected {plan.expected_rate():,.1f} events/s"
        text += "" if paced else " on the clock of the run, sent as fast as the API takes them"
    console.print(f"{text} · preset {plan.preset} · seed {plan.seed}", highlight=False, soft_wrap=True)


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Expected against found."""
    table = Table(title="Differences", title_justify="left")
    for name in ("what", "expected", "found", "difference", "note"):
        table.add_column(name, justify="left" if name in ("what", "note") else "right")
    for one in comparisons:
        distance = one.found - (one.most if one.found > one.most else one.least)
        table.add_row(Text(clean(one.name)), one.expected, f"{one.found:,}", f"{distance:+,}", Text(clean(one.note)))
    return table


def explanation_table(rows: Sequence[tuple[str, float, Expectation]]) -> Table:
    """What the model promises for each persona and for the whole, per session."""
    table = Table(
        title="Expected per session, computed from the model",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    headings = ("persona", "share", "events", "s", "bounce", "search", "cart", "checkout", "purchase")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "persona" else "right", no_wrap=True)
    for name, share, one in rows:
        reaching = [one.reaching.get(event, 0.0) for event in ("search", "add_to_cart", "checkout", "purchase")]
        table.add_row(
            name,
            f"{share:.1%}",
            f"{one.events:.3f}",
            f"{one.seconds:.0f}",
            f"{one.bounce:.1%}",
            *(f"{chance:.1%}" for chance in reaching),
        )
    return table


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
