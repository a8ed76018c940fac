"""Numbers of `/stats` -> lines of a terminal: a pure function of numbers, width and abilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from decimal import Decimal
from typing import Any, Final

from rich.text import Text

from clickstream.terminal import words
from clickstream.terminal.bars import bar, sparkline

NARROWEST: Final = 60
WIDEST: Final = 200
WINDOW_NAMES: Final = {"15m": "last 15 minutes", "1h": "last hour", "24h": "last 24 hours", "all": "all time"}

_STEP_NAMES: Final = {"page_view": "View", "add_to_cart": "Cart", "checkout": "Checkout", "purchase": "Purchase"}
_FUNNEL_COLOUR: Final = "#7fb0ff"
_MOST_TYPES: Final = 12


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: cells of width, whether bars may be drawn, whether only ASCII is safe, the time zone."""

    width: int
    bars: bool = True
    ascii_only: bool = False
    zone: timezone | None = None  # None: this machine's


def sections(numbers: Mapping[str, Any], paper: Paper, *, state: Text) -> list[list[Text]]:
    """The report as sections in order of importance, each with its heading; together they never exceed the width."""
    drawn = [
        [*_header(numbers, paper, state), *_totals(numbers, paper)],
        _types(numbers, paper),
        _funnel(numbers, paper),
        _minutes(numbers, paper),
        _top(numbers, paper),
        _recent(numbers, paper),
    ]
    return [section for section in drawn if section]


def lines(numbers: Mapping[str, Any], paper: Paper, *, state: Text, height: int | None = None) -> list[Text]:
    """The report; with a `height`, the sections from the top that fit, and of the last one what fits of it."""
    report: list[Text] = []
    for section in sections(numbers, paper, state=state):
        spaced = [Text(""), *section] if report else section
        if height is not None and len(report) + len(spaced) > height:
            room = height - len(report)
            return report + (spaced[:room] if room >= 4 else [])
        report += spaced
    return report


def _header(numbers: Mapping[str, Any], paper: Paper, state: Text) -> list[Text]:
    window = numbers["window"]
    since = words.clock(window["from"], "%Y-%m-%d %H:%M", paper.zone) if window["from"] else None
    right = WINDOW_NAMES[window["name"]] + (f" since {since}" if window["name"] == "all" and since else "")
    left = Text.assemble(("Clickstream", "bold"), "  ", state)
    gap = paper.width - left.cell_len - len(right)
    if gap < 2:
        return [left, Text(right, style="dim"), Text("")]
    return [Text.assemble(left, " " * gap, (right, "dim")), Text("")]


def _totals(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    cells = _total_cells(numbers)
    columns = 8 if paper.width >= 144 else 4 if paper.width >= 80 else 3
    width = paper.width // columns
    report: list[Text] = []
    for start in range(0, len(cells), columns):
        row = cells[start : start + columns]
        if start:
            report.append(Text(""))
        for part, style in ((0, "dim"), (1, "bold"), (2, "dim")):
            report.append(Text.assemble(*((words.fitted(cell[part], width - 1) + " ", style) for cell in row)))
    return [_trimmed(line) for line in report]


def _total_cells(numbers: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Label, number and a word on it; "-" for what only a running API knows."""
    total, views = numbers["total_events"], numbers["events_by_type"].get("page_view", 0)
    sessions, users, revenue = numbers["sessions"], numbers["users"], numbers["revenue"]
    rate = numbers.get("ingest", {}).get("events_per_second")
    accounting = numbers.get("accounting")
    amount, average = (words.money(revenue[name], revenue["currency"]) for name in ("total", "average_order"))
    others = len(revenue["by_currency"]) - 1
    more = "+1 currency" if others == 1 else f"+{others} currencies"
    return [
        ("Events", words.count(total), f"{words.rounded(rate, 1)} a second" if rate is not None else ""),
        (
            "Page views",
            words.count(views),
            f"{words.rounded(views / sessions['total'], 1)} a session" if sessions["total"] else "",
        ),
        ("Sessions", _total(sessions), f"{words.count(sessions['active'])} active"),
        ("Users", _total(users), f"{words.count(users['active'])} active"),
        ("Conversion", words.percent(numbers["conversion"]["view_to_purchase"]), "view to purchase"),
        ("Orders", words.count(revenue["orders"]), f"{average} each" if revenue["average_order"] else ""),
        (
            "Revenue",
            amount,
            more if others > 0 else _change(numbers.get("previous"), revenue),
        ),
        ("Rejected", words.count(accounting and accounting["rejected"]), _received(accounting)),
    ]


def _total(counted: Mapping[str, Any]) -> str:
    return words.count(counted["total"]) if counted["exact"] else f"about {words.count(counted['total'])}"


def _change(before: Mapping[str, Any] | None, revenue: Mapping[str, Any]) -> str:
    """Against the window before; what it was, as on the dashboard, where a percentage of it would mean nothing."""
    if before is None:
        return ""
    cents, currency = before["revenue_cents"], before["revenue_currency"]
    if cents == 0:
        return "none before"
    if cents < 0 or currency != revenue["currency"]:
        return f"{words.money(Decimal(cents) / 100, currency)} before"
    return f"{revenue['cents'] / cents - 1:+.1%}"


def _received(accounting: Mapping[str, Any] | None) -> str:
    return f"of {words.count(accounting['received'])} received" if accounting else "the API knows"


def _heading(text: str, note: str = "") -> Text:
    return Text.assemble((text, "bold"), ("  " + note if note else "", "dim"))


def _types(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    types = list(numbers["events_by_type"].items())
    if not types:
        return [_heading("Events by type"), Text("No events in this window.", style="dim")]
    total = numbers["total_events"]
    rows = [(words.type_name(name), number, words.type_colour(name)) for name, number in types[:_MOST_TYPES]]
    if rest := types[_MOST_TYPES:]:
        rows.append((f"{len(rest)} further types", sum(number for _, number in rest), words.CUSTOM_COLOURS[6]))
    most = max(number for _, number, _ in rows)
    report = [_heading("Events by type")]
    for name, number, colour in rows:
        figures = [words.count(number), words.share(number, total)]
        report.append(_bar_line(paper, name, number, most=most, figures=figures, colour=colour))
    return report


def _funnel(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    steps = numbers["funnel"]
    first = steps[0]["sessions"]
    report = [_heading("Conversion funnel", "sessions that took these steps in order")]
    before: int | None = None
    for step in steps:
        number = step["sessions"]
        left = f"-{words.count(before - number)} left" if before else ""
        figures = [words.count(number), words.share(number, first), left]
        name = _STEP_NAMES.get(step["step"], step["step"])
        report.append(_bar_line(paper, name, number, most=first, figures=figures, colour=_FUNNEL_COLOUR))
        before = number
    return report


def _bar_line(paper: Paper, name: str, value: int, *, most: int, figures: Sequence[str], colour: str) -> Text:
    label = words.fitted(name, 18 if paper.width >= 80 else 16) + " "
    tail = "".join(f"{figure:>{width}}" for figure, width in zip(figures, (10, 8, 14), strict=False))
    if not paper.bars:
        return _trimmed(Text(label + tail))
    width = paper.width - len(label) - len(tail)
    drawn = bar(value, most, width, ascii_only=paper.ascii_only)
    return _trimmed(Text.assemble(label, (drawn, colour), " " * (width - len(drawn)), tail))


def _minutes(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    series = numbers["series"]
    points, minutes = series["points"], series["interval_s"] // 60
    values = [point["events"] for point in points]
    peak = max(values, default=0)  # the running one has what has come so far, as on the dashboard
    at = words.clock(points[values.index(peak)]["start"], "%H:%M", paper.zone) if values else words.UNKNOWN
    unit = "minute" if minutes == 1 else f"{minutes} minutes"
    running = f"{words.count(values[-1])} in the running one" if values else ""
    note = f"peak {words.count(peak)} at {at}, {running}" if peak else running
    heading = _heading(f"Events per {unit}", note)
    if not paper.bars:
        return [heading]
    return [
        heading,
        Text(sparkline(values, paper.width, ascii_only=paper.ascii_only), style=words.COLOURS["page_view"]),
    ]


def _top(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    top = numbers["top"]
    pages = [(row["value"], words.count(row["count"])) for row in top["pages"]]
    products = [
        (row["value"], f"{words.count(row['count'])} views, {words.count(row['purchases'])} bought")
        for row in top["products"]
    ]
    note = "" if top["exact"] else "approximate: late ones are missing"
    if paper.width < 96:
        return [
            *_list(_heading("Top pages", note), pages[:5], paper.width),
            Text(""),
            *_list(_heading("Top products", note), products[:5], paper.width),
        ]
    width = (paper.width - 4) // 2
    left, right = (
        _list(_heading("Top pages", note), pages, width),
        _list(_heading("Top products", note), products, width),
    )
    left += [Text("")] * (len(right) - len(left))
    right += [Text("")] * (len(left) - len(right))
    return [
        _trimmed(Text.assemble(one, " " * (width - one.cell_len + 4), other))
        for one, other in zip(left, right, strict=True)
    ]


def _list(heading: Text, rows: Sequence[tuple[str, str]], width: int) -> list[Text]:
    if not rows:
        return [heading, Text("none in this window", style="dim")]
    return [heading] + [
        Text.assemble(words.fitted(words.clean(name), width - len(figure) - 2), "  ", (figure, "bold"))
        for name, figure in rows
    ]


def _recent(numbers: Mapping[str, Any], paper: Paper) -> list[Text]:
    events = [event for event in numbers["recent_events"] if isinstance(event, dict)][:10]
    if not events:
        return []
    report = [_heading("Recent events", "newest first")]
    whose = 22 if paper.width >= 80 else 0
    times = [_when(event.get("timestamp"), numbers["generated_at"], paper) for event in events]
    longest = max(8, *map(len, times))
    for event, when in zip(events, times, strict=True):
        name = str(event.get("event_type"))
        who = words.clean(event.get("user_id") or event.get("anonymous_id") or event.get("session_id") or words.UNKNOWN)
        what = words.fitted(words.telling(event), paper.width - longest - 2 - 18 - whose)
        kind = (words.fitted(words.type_name(name), 16), words.type_colour(name))
        report.append(
            _trimmed(
                Text.assemble(
                    (words.fitted(when, longest), "dim"),
                    "  ",
                    kind,
                    "  ",
                    what,
                    ("  " + words.fitted(who, 20), "dim") if whose else "",
                )
            )
        )
    return report


def _when(stamp: object, now: object, paper: Paper) -> str:
    """The time of day, of another day than `now` with its date."""
    day, today = (words.clock(moment, "%Y-%m-%d", paper.zone) for moment in (stamp, now))
    return words.clock(stamp, "%H:%M:%S" if day == today else "%Y-%m-%d %H:%M", paper.zone)


def _trimmed(line: Text) -> Text:
    line.rstrip()
    return line
