"""The terminal report: exact output, what a pipe gets, exit codes, and the same numbers as the API's."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console
from rich.text import Text
from werkzeug.wrappers import Request, Response

from clickstream.client.reading import ApiProblem
from clickstream.errors import JournalDamaged
from clickstream.place import command
from clickstream.ports import free_port
from clickstream.terminal import words
from clickstream.terminal.bars import bar, sparkline
from clickstream.terminal.counting import count_file
from clickstream.terminal.report import Paper, lines
from clickstream.terminal.watch import Screen
from tests.support.event_sample import sample_events, write_journal
from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python
from tests.support.scripted_api import numbers, says, scripted_api
from tests.support.shop import visits

NOON = datetime(2026, 1, 15, 12, 0, 30, tzinfo=timezone.utc)
NOON_MS = int(NOON.timestamp() * 1000)
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def noon(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of an hour of visits that ends at noon, the same in every run."""
    path = tmp_path_factory.mktemp("noon") / "events_backup.json"
    path.write_text(json.dumps(visits(300, until=NOON)))
    counted = count_file(path, "all", NOON_MS)
    accounting = {"received": 1320, "accepted": 1311, "duplicates": 2, "rejected": 7, "since": "2026-01-15T10:00:00Z"}
    return {**counted, "accounting": accounting, "ingest": {"events_per_second": 4.5}}


def drawn(numbers: dict[str, Any], **paper: Any) -> str:  # noqa: ANN401 - passed on
    state = Text("live")
    return "\n".join(line.plain for line in lines(numbers, Paper(**paper, zone=timezone.utc), state=state)) + "\n"


def run(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment(TZ="UTC", **variables)
    command = python(str(ROOT / "visualize.py"), *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=env, cwd=cwd, check=False)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with platform(tmp_path_factory.mktemp("api")) as running:
        records = [*visits(60, until=datetime.now(timezone.utc)), {"event_type": "No", "user_id": "u"}]
        requests.post(f"{running.url}/events", json=records, timeout=10)
        yield running


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("60", {"width": 60}),
        ("100", {"width": 100}),
        ("160", {"width": 160}),
        ("ascii", {"width": 80, "ascii_only": True}),
        ("piped", {"width": 100, "bars": False}),
    ],
)
def test_the_report_looks_as_recorded(noon: dict[str, Any], name: str, paper: dict[str, Any]) -> None:
    """After an intended change: UPDATE_GOLDEN=1 pytest tests/test_visualize.py, then look at the difference."""
    golden = GOLDEN / f"report-{name}.txt"
    report = drawn(noon, **paper)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(report)

    assert report == golden.read_text()


@pytest.mark.parametrize("width", range(60, 201, 7))
def test_no_line_is_wider_than_the_terminal(noon: dict[str, Any], width: int) -> None:
    for line in lines(noon, Paper(width), state=Text("live")):
        assert line.cell_len <= width, line.plain


def test_the_ascii_report_is_ascii(noon: dict[str, Any]) -> None:
    assert drawn(noon, width=80, ascii_only=True).isascii()


def test_a_low_terminal_gets_the_most_important_sections(noon: dict[str, Any]) -> None:
    report = lines(noon, Paper(80), state=Text("live"), height=24)

    assert len(report) <= 24
    assert "Events by type" in [line.plain for line in report]


def test_no_events_is_said_and_nothing_is_divided_by_zero() -> None:
    report = drawn(numbers(), width=80)

    assert "No events in this window." in report
    assert "nan" not in report.lower()


def purchase(minutes_ago: int, total: int, currency: str = "USD") -> dict[str, Any]:
    at = (NOON - timedelta(minutes=minutes_ago)).isoformat()
    return {
        "event_type": "purchase",
        "user_id": "u",
        "timestamp": at,
        "properties": {"total": total, "currency": currency},
    }


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ([purchase(20, 100)], purchase(1, 150), "+50.0%"),
        ([purchase(20, 100)], purchase(1, 200, "EUR"), "$100.00 before"),
        ([purchase(20, -100)], purchase(1, 300), "$-100.00 before"),
        ([], purchase(1, 300), "none before"),
    ],
)
def test_revenue_changes_by_a_percentage_only_of_more_than_nothing_in_the_same_currency(
    tmp_path: Path, before: list[dict[str, Any]], now: dict[str, Any], change: str
) -> None:
    path = tmp_path / "events_backup.json"
    path.write_text(json.dumps([*before, now]))

    report = drawn(count_file(path, "15m", NOON_MS), width=160)

    assert change in report
    assert report.count("before") + report.count("+50.0%") == 1


@pytest.mark.parametrize(
    ("events", "peak"),
    [([3, 9, 2], "peak 9 at 12:01, 2 in the running one"), ([3, 2, 9], "peak 9 at 12:02, 9 in the running one")],
)
def test_the_peak_may_be_the_running_minute(events: list[int], peak: str) -> None:
    points = [{"start": f"2026-01-15T12:0{n}:00Z", "events": count, "by_type": {}} for n, count in enumerate(events)]

    assert peak in drawn(numbers(total_events=14, series={"interval_s": 60, "points": points}), width=80)


@pytest.mark.parametrize("width", [60, 100])
def test_what_is_not_exact_is_marked(noon: dict[str, Any], width: int) -> None:
    exact = drawn(noon, width=width)
    marks = {name: {**noon[name], "exact": False} for name in ("sessions", "users", "top")}
    report = drawn({**noon, **marks}, width=width)

    assert "about" not in exact
    assert "approximate" not in exact
    assert f"about {noon['sessions']['total']}" in report
    assert f"about {noon['users']['total']}" in report
    for heading in ("Top pages", "Top products"):
        assert f"{heading}  approximate: late ones are missing" in report
    assert max(map(len, report.splitlines())) <= width


def test_what_a_sender_writes_cannot_steer_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202epage"
    event = {"event_type": "page_view", "user_id": evil, "timestamp": evil, "properties": {"page": evil}}
    top = {"pages": [{"value": evil, "count": 1}], "products": [], "referrers": [], "devices": [], "exact": True}
    report = drawn(numbers(total_events=1, events_by_type={evil: 1}, recent_events=[event], top=top), width=100)

    assert not set(report) & set("\x1b\x07\r\u202e")
    assert "owned" in report


def test_json_writes_what_would_steer_a_terminal_as_escapes() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202epage"
    with scripted_api(says(numbers(total_events=1, events_by_type={evil: 1}))) as api:
        done = run("--api", api.url, "--json", LANG="C.UTF-8")

    assert not set(done.stdout) & set("\x1b\x07\x9b\x7f\u202e")
    assert json.loads(done.stdout)["events_by_type"] == {evil: 1}


def test_what_a_lying_api_says_is_wrong_cannot_steer_the_terminal_either() -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202epage"
    with scripted_api(says({"error": {"code": "internal", "message": evil}}, 500)) as api:
        done = run("--api", api.url, LANG="C.UTF-8")
    screen = Screen()
    screen.fail(ApiProblem("http", evil))
    before = shown(screen)
    screen.take(numbers(total_events=1, events_by_type={"page_view": 1}))
    screen.fail(ApiProblem("http", evil))

    for text in (done.stderr, before, shown(screen)):
        assert "owned" in text
        assert not set(text) & set("\x1b\x07\x9b\x7f\u202e")


@pytest.mark.parametrize("width", [60, 100])
def test_an_event_of_another_day_has_its_date(width: int) -> None:
    stamps = ["2026-01-15T11:59:58Z", "2026-01-14T23:59:59Z", "nonsense"]
    events = [{"event_type": "click", "user_id": "u", "timestamp": stamp} for stamp in stamps]
    said = numbers(total_events=3, recent_events=events, generated_at="2026-01-15T12:00:00Z")

    alone = drawn({**said, "recent_events": events[:1]}, width=width)
    together = drawn(said, width=width)

    assert re.search(r"^11:59:58  Click", alone, re.MULTILINE)
    assert re.findall(r"^(\S.*?) +Click", together, re.MULTILINE) == ["11:59:58", "2026-01-14 23:59", words.UNKNOWN]
    assert max(map(len, together.splitlines())) <= width


def test_wide_letters_keep_the_columns() -> None:
    event = {"event_type": "page_view", "user_id": "利用者" * 20, "properties": {"page": "日本語" * 50}}
    for line in lines(numbers(total_events=1, recent_events=[event]), Paper(80), state=Text("live")):
        assert line.cell_len <= 80


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999_999, "999,999"),
        (1_200_000, "1.2M"),
        (1_250_000, "1.3M"),
        (3_400_000_000, "3.4B"),
        (None, "-"),
        (True, "-"),
    ],
)
def test_counts_are_short(value: object, text: str) -> None:
    assert words.count(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "-"), (0, "0.0%"), (0.0004, "<0.1%"), (0.0625, "6.3%"), (0.1529, "15.3%"), (1, "100.0%")]
)
def test_percentages_have_one_decimal_and_unknown_is_not_zero(ratio: float | None, text: str) -> None:
    assert words.percent(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.9, "59 s"), (61, "1 min"), (7200, "2 h"), (400_000, "4 days")]
)
def test_ages_are_in_words(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


def test_bars_are_to_an_eighth_and_never_hide_a_small_value() -> None:
    assert bar(10, 10, 4) == "████"
    assert bar(5, 10, 3) == "█▌"
    assert bar(1, 10_000, 4) == "▏"
    assert bar(0, 10, 4) == ""
    assert bar(1, 10_000, 4, ascii_only=True) == "#"


def test_a_sparkline_shows_the_newest_values_that_fit() -> None:
    assert sparkline([9, 0, 1, 2], 3) == "▁▅█"
    assert sparkline([0, 0], 60) == "▁▁"
    assert sparkline([1, 2], 5, ascii_only=True) == "=#"


def test_custom_types_have_the_colour_of_the_dashboard() -> None:
    script = (
        "import { readFileSync } from 'fs'; const source = readFileSync('static/js/ui.js', 'utf8');"
        "globalThis.document = {}; const ui = await import('data:text/javascript,' + encodeURIComponent(source));"
        "console.log(JSON.stringify(process.argv.slice(1).map((type) => ui.typeColour(type))));"
    )
    types = ["page_view", "video_play", "sign_up", "app.opened", "x"]
    command = ["node", "--input-type=module", "-e", script, "--", *types]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, cwd=ROOT)
    css = (ROOT / "static" / "dashboard.css").read_text()

    for event_type, variable in zip(types, json.loads(done.stdout), strict=True):
        assert f"{variable}: light-dark(" in css
        dark = css.split(f"{variable}: light-dark(")[1].split(")")[0].split(", ")[1]
        assert words.type_colour(event_type) == dark


# ---- the program


def test_json_prints_what_stats_says(api: Platform) -> None:
    done = run("--api", api.url, "--json")
    printed, said = json.loads(done.stdout), api.get("/stats")

    assert printed.keys() == said.keys()
    for key in ("total_events", "events_by_type", "funnel", "revenue", "accounting", "top", "recent_events"):
        assert printed[key] == said[key]


def test_a_pipe_gets_no_colour_no_bars_and_the_same_order_each_time(api: Platform) -> None:
    one, two = run("--api", api.url), run("--api", api.url)

    assert one.returncode == 0
    assert "\x1b" not in one.stdout
    assert not set(one.stdout) & set("█▏▎▍▌▋▊▉▁▂▃▄▅▆▇─│╭╮")
    assert _below_the_clock(one.stdout) == _below_the_clock(two.stdout)


def _below_the_clock(report: str) -> list[str]:
    """The lines that do not depend on when it was written."""
    _, _, rest = report.partition("Events by type")
    return [line for line in rest.splitlines() if "in the running one" not in line]


def test_the_window_is_passed_on(api: Platform) -> None:
    assert "last 15 minutes" in run("--api", api.url, "--window", "15m").stdout


def test_the_file_says_the_same_as_the_api(api: Platform, tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    path.write_bytes(requests.get(f"{api.url}/export", timeout=10).content)

    counted, said = json.loads(run("--file", str(path), "--json").stdout), api.get("/stats")

    for key in ("total_events", "events_by_type", "funnel", "conversion", "revenue", "top", "recent_events"):
        assert counted[key] == said[key], key
    assert counted["sessions"]["total"] == said["sessions"]["total"]


def test_a_file_says_what_only_the_api_knows_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    path.write_text(json.dumps(visits(5, until=NOON)))
    report = run("--file", str(path)).stdout

    assert "the API knows" in report
    assert f"from {path}" in report


def test_a_growing_or_torn_file_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    records = [json.dumps(event) for event in visits(5, until=NOON)]
    path.write_text("[\n" + ",\n".join(records) + ',\n{"event_id": "torn')

    counted = count_file(path, "all", NOON_MS)

    assert counted["total_events"] == len(records)
    assert counted["ingest"]["damaged_records"] == 0  # a torn tail is no damage to the API either


@pytest.mark.parametrize("content", ["\n\n  \n", "hello", '{"a": 1}', "[\nhello\n]\n", "[1, 2"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)

    with pytest.raises(JournalDamaged):
        count_file(path, "all", NOON_MS)
    assert run("--file", str(path)).returncode == 1


def old_array(*, indent: int | None = None) -> str:
    event = {"event_type": "click", "user_id": "u", "timestamp": "2026-01-15T11:00:00Z"}
    return json.dumps([{**event, "event_id": f"e-{number}"} for number in range(5)], indent=indent)


@pytest.mark.parametrize(
    ("content", "events", "damaged"),
    [
        (old_array(), 5, 0),
        (old_array(indent=2), 5, 0),
        (old_array()[:-30], 4, 0),
        (old_array(indent=2)[:-30], 4, 0),
        (old_array(indent=2).replace('"event_type": "click"', '"event_type": 7', 1), 4, 1),
        ("[\n" + old_array()[1:-1].replace("}, ", "},\n") + "\n]\n", 5, 0),
        ("[\n" + old_array()[1:-31].replace("}, ", "},\n"), 4, 0),
        ("[]", 0, 0),
        ("", 0, 0),
    ],
    ids=["line", "indented", "torn", "indented torn", "damaged", "journal", "torn journal", "brackets", "empty"],
)
def test_a_file_is_read_as_a_start_of_the_api_reads_it(tmp_path: Path, content: str, events: int, damaged: int) -> None:
    path = tmp_path / "events_backup.json"
    path.write_text(content)

    counted = count_file(path, "all", NOON_MS)
    assert (counted["total_events"], counted["ingest"]["damaged_records"]) == (events, damaged)
    assert path.read_text() == content
    with platform(tmp_path) as started:
        said = started.get("/stats")
    assert (said["total_events"], said["ingest"]["damaged_records"]) == (events, damaged)
    assert [event["event_id"] for event in counted["recent_events"]] == [
        event["event_id"] for event in said["recent_events"]
    ]


def test_an_export_as_ndjson_is_counted_as_the_array_is(tmp_path: Path) -> None:
    events = [json.dumps(event) for event in visits(5, until=NOON)]
    array, lines = tmp_path / "events.json", tmp_path / "events.ndjson"
    array.write_text("[\n" + ",\n".join(events) + "\n]\n")
    lines.write_text("\n".join([*events[:3], "damaged", "", *events[3:], '{"torn']))

    counted, expected = count_file(lines, "all", NOON_MS), count_file(array, "all", NOON_MS)

    assert counted["ingest"].pop("damaged_records") == 1
    assert counted | {"ingest": None} == expected | {"ingest": None}


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "events_backup.json"
    path.write_text("[\n]\n")

    assert count_file(path, "all", NOON_MS)["total_events"] == 0


def test_without_an_api_a_sentence_says_what_was_tried_and_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run("--api", url)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"visualize: nothing answers at {url}: connection refused\n"
        f"Start it with ./run_demo.sh or {command('local_api.py')}, or read a file: --file events_backup.json\n"
    )


def test_what_cannot_be_read_is_said_without_the_number_of_the_error(tmp_path: Path) -> None:
    assert run("--file", str(tmp_path)).stderr == f"visualize: {tmp_path}: Is a directory\n"


@pytest.mark.parametrize("arguments", [["--window", "5m"], ["--interval", "0"], ["--interval", "x"], ["--watch"]])
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_wrong_setting_ends_with_2_and_is_named() -> None:
    done = run(API_PORT="80a")

    assert done.returncode == 2
    assert "API_PORT" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(api: Platform) -> None:
    command = f"{python('visualize.py')[0]} visualize.py --api {api.url} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=environment(), check=True
    )

    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_watching_as_json_prints_one_line_a_reading() -> None:
    with scripted_api(says(numbers(total_events=3))) as api:
        command = python("visualize.py", "--api", api.url, "--watch", "--json", "--interval", "0.5")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment()) as process:
            assert process.stdout is not None
            found = [json.loads(process.stdout.readline())["total_events"] for _ in range(2)]
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0

    assert found == [3, 3]


# ---- watching


def shown(screen: Screen, *, width: int = 100, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(screen)
    output: str = console.file.getvalue()  # type: ignore[attr-defined]
    return output


def test_watching_keeps_the_last_numbers_and_says_how_old_they_are() -> None:
    now = {"s": 100.0}
    screen = Screen(clock=lambda: now["s"])
    screen.take(numbers(total_events=4711))
    assert "live" in shown(screen)

    now["s"] += 14
    screen.fail(ApiProblem("unreachable", "nothing answers at http://api: connection refused"))

    assert "API down, numbers of 14 s ago" in shown(screen)
    assert "4,711" in shown(screen)
    assert "nothing answers at http://api" in shown(screen)
    screen.take(numbers(total_events=4712))
    assert "API down" not in shown(screen)


def test_watching_before_the_first_numbers_says_what_is_wrong() -> None:
    screen = Screen()
    screen.fail(ApiProblem("replaying", "the API is reading its journal", progress=0.64))

    assert "replaying 64%" in shown(screen)
    assert "the API is reading its journal" in shown(screen)


def test_watching_fills_a_resized_terminal(noon: dict[str, Any]) -> None:
    screen = Screen()
    screen.take(noon)

    narrow = max(len(line) for line in shown(screen, width=60).splitlines())
    wide = max(len(line) for line in shown(screen, width=150).splitlines())

    assert narrow <= 60 < wide <= 150


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_watching_with_screen_and_cursor_restored(api: Platform, number: int, code: int) -> None:
    returned, output = watched(number, "--api", api.url)

    assert returned == code
    assert b"\x1b[?1049h" in output
    assert output.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?25h" in output.rpartition(b"\x1b[?1049l")[2] + output[-40:]
    assert b"\x1b[?1049l" in output
    assert b"Traceback" not in output


def test_what_is_watched_of_a_file_is_not_called_live(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_journal(path, sample_events(50, seed=1))

    returned, output = watched(signal.SIGINT, "--file", "mine.json", directory=tmp_path)

    assert returned == 0
    assert b"from mine.json" in output
    assert b"live" not in output


def watched(number: int, *source: str, directory: Path = ROOT) -> tuple[int, bytes]:
    """Exit code and output of watching that a signal ends once there are numbers."""
    primary, secondary = pty.openpty()
    command = python(str(ROOT / "visualize.py"), *source, "--watch", "--interval", "0.5")
    env = environment(TERM="xterm-256color", COLUMNS="100", LINES="40")
    with subprocess.Popen(
        command, stdin=secondary, stdout=secondary, stderr=secondary, cwd=directory, env=env, start_new_session=True
    ) as process:
        os.close(secondary)
        output = b""
        deadline = time.monotonic() + 15
        while b"Conversion funnel" not in output and time.monotonic() < deadline:
            output += _available(primary)
        process.send_signal(number)
        while process.poll() is None and time.monotonic() < deadline:
            output += _available(primary)
        output += _available(primary)
        process.kill()  # only where it did not end by itself: then its code says so
    os.close(primary)
    return process.returncode, output


def test_no_color_takes_the_colours_away_on_a_terminal_too(api: Platform) -> None:
    primary, secondary = pty.openpty()
    env = environment(TERM="xterm-256color", NO_COLOR="1")
    with subprocess.Popen(python("visualize.py", "--api", api.url), stdout=secondary, cwd=ROOT, env=env) as process:
        output = b""
        deadline = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < deadline:
            output += _available(primary)
        output += _available(primary)
    os.close(secondary)
    os.close(primary)

    assert "█".encode() in output
    assert b"\x1b[38" not in output


def _available(descriptor: int) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], 0.1)
    try:
        return os.read(descriptor, 65536) if ready else b""
    except OSError:
        return b""  # the other end is closed


def test_the_hour_used_here_ends_at_noon(noon: dict[str, Any]) -> None:
    newest = max(event["timestamp"] for event in noon["recent_events"])

    assert newest <= (NOON + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["report", "json"])
def test_an_encoding_that_lacks_what_senders_wrote_costs_signs_not_the_report(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "events_backup.json"
    properties = {"total": 5, "currency": "EUR", "order_id": "é→😀"}
    event = {"event_type": "purchase", "user_id": "ü", "timestamp": "2026-01-15T12:00:00Z", "properties": properties}
    path.write_text(json.dumps([event]))

    shown = run("--file", str(path), *arguments, PYTHONIOENCODING="ascii")

    assert (shown.returncode, shown.stderr) == (0, "")
    if arguments:
        assert json.loads(shown.stdout)["recent_events"][0]["properties"] == properties
    else:
        assert "EUR 5.00, ???" in shown.stdout


def test_a_file_that_is_not_there_is_named_without_an_error_number(tmp_path: Path) -> None:
    shown = run("--file", str(tmp_path / "nothing.json"))

    told = f"visualize: there is no file {tmp_path}/nothing.json: say where the journal is, or leave --file out\n"
    assert (shown.returncode, shown.stdout, shown.stderr) == (1, "", told)


def test_a_replay_says_how_far_it_is() -> None:
    def replaying(request: Request) -> Response:
        if request.path == "/ready":
            return says({"status": "replaying", "progress": 0.64, "records": 10}, 503)(request)
        return says({"error": {"code": "replaying", "message": "reading the journal"}}, 503)(request)

    with scripted_api(replaying) as api:
        shown = run("--api", api.url)

    assert (shown.returncode, shown.stdout) == (1, "")
    assert "It has read 64% of it. Try again in a moment" in shown.stderr
