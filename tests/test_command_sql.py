from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from clickstream.commands import sql
from tests.support.event_sample import sample_events, write_journal
from tests.support.platform import platform
from tests.support.processes import ROOT, environment, python
from tests.support.waiting import until


def ask(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    sql.add_arguments(parser)
    return sql.run(parser.parse_args(arguments))


@pytest.fixture
def journal(tmp_path: Path) -> str:
    path = tmp_path / "events_backup.json"
    write_journal(path, sample_events(200, seed=1))
    return str(path)


def test_an_answer_prints_as_json_as_csv_and_as_a_table(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("funnel", "--file", journal, "--format", "json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert ask("funnel", "--file", journal, "--format", "csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert ask("funnel", "--file", journal) == 0
    table = capsys.readouterr().out

    assert [row["step"] for row in answer["rows"]] == ["page_view", "add_to_cart", "checkout", "purchase"]
    assert lines[:2] == ["step,sessions,conversion", f"page_view,{answer['rows'][0]['sessions']},"]
    assert table.splitlines()[0] == f"funnel of {journal}: sessions that reached each step in order"
    assert re.search(r"page_view +│ +\d+ │ +- │", table)


def test_the_table_is_for_people_and_csv_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "events_backup.json")
    bought = [
        {
            **{
                "event_id": f"e{n}",
                "event_type": "purchase",
                "session_id": f"s{n % 1500}",
                "properties": {"total": 12.12 + n % 2 / 100},
            },
            **{"timestamp": "2026-01-15T10:30:00Z", "received_at": "2026-01-15T10:30:00Z"},
        }
        for n in range(2000)
    ]
    write_journal(Path(path), bought)

    shown = {}
    for name in ("revenue", "sessions"):
        assert ask(name, "--file", path) == 0
        shown[name] = capsys.readouterr().out
    assert ask("revenue", "--file", path, "--format", "csv") == 0
    programs = capsys.readouterr().out

    assert re.search(r"│ 2026-01-15 │ USD      │  2,000 │ 24,250.00 │         12.13 │", shown["revenue"])
    assert re.search(r"┃ day        ┃ currency ┃ orders ┃   revenue ┃ average_order ┃", shown["revenue"])
    assert re.search(r"│ 2026-01-15 │    1,500 │   1,000 │       66.7% │                1.3 │ ", shown["sessions"])
    assert programs.splitlines()[1] == "2026-01-15,USD,2000,2425000,1212.5"


def test_what_a_sender_writes_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202epage"
    path = tmp_path / "events_backup.json"
    event = {"event_id": "e", "event_type": "page_view", "user_id": "u", "timestamp": "2026-01-15T10:30:00Z"}
    write_journal(path, [{**event, "received_at": "2026-01-15T10:30:00Z", "properties": {"page": evil}}])

    assert ask("top_pages", "--file", str(path)) == 0
    table = capsys.readouterr().out
    assert ask("top_pages", "--file", str(path), "--format", "json") == 0
    document = capsys.readouterr().out

    assert "owned" in table
    assert not set(table + document) & set("\x1b\x07\x9b\x7f\u202e")
    assert json.loads(document)["rows"][0]["page"] == evil


def test_the_athena_text_is_printed_without_reading_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("revenue", "--athena", "--database", "shop", "--file", "nowhere.json") == 0

    assert '"shop"."events"' in capsys.readouterr().out


def test_the_athena_text_is_printed_from_the_first_time_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("revenue", "--athena", "--since", "0001-01-01T00:00:00Z") == 0

    assert "dt >= '0001-01-01'" in capsys.readouterr().out


def test_without_a_file_it_asks_the_journal_that_the_settings_name(tmp_path: Path) -> None:
    mine = tmp_path / "mine.json"
    write_journal(mine, sample_events(200, seed=1))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "sql", "funnel", "--format", "json", *arguments)
        env = environment(EVENTS_FILE=str(mine))
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, timeout=30, check=False)

    by_setting, by_option = run(), run("--file", str(mine))

    assert by_setting.returncode == 0, by_setting.stderr
    assert json.loads(by_setting.stdout)["rows"] == json.loads(by_option.stdout)["rows"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sql", "funnel", "mine.json"], "unrecognized arguments: mine.json (name the file with --file)\n"),
        (
            ["expect", "event_type=a", "--timeout", "1", "a=b"],
            "unrecognized arguments: a=b (conditions come before options)\n",
        ),
        (["verify", "one.json", "two.json"], "unrecognized arguments: two.json\n"),
    ],
)
def test_a_word_too_much_is_told_with_what_fits_the_command(words: list[str], told: str) -> None:
    command = python("-m", "clickstream", *words)
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=30, check=False)

    assert done.returncode == 2
    assert done.stderr.endswith(told)


def test_a_missing_or_damaged_file_is_named_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "events.json"
    damaged.write_text('[\n{"event_id":\n]\n')

    assert ask("funnel", "--file", str(tmp_path / "nowhere.json")) == 1
    assert "nowhere.json is not there" in capsys.readouterr().err
    assert ask("funnel", "--file", str(damaged)) == 1
    assert "events.json is damaged: " in capsys.readouterr().err


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "events.ndjson"
    os.mkfifo(pipe)
    file.touch()

    assert ask("funnel", "--file", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"{tmp_path} is a directory: name one file with --file\n"
    assert ask("funnel", "--file", str(pipe)) == 1
    assert capsys.readouterr().err.startswith(f"{pipe} is a pipe or a device: ")
    assert ask("funnel", "--file", str(file / "below")) == 1
    assert capsys.readouterr().err == f"{file / 'below'}: Not a directory\n"


def test_a_file_that_may_not_be_read_is_not_called_missing(journal: str) -> None:
    Path(journal).chmod(0)
    command = [sys.executable, "-m", "clickstream", "sql", "funnel", "--file", journal]
    if os.geteuid() == 0:  # root reads everything, unless it gives that up
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]

    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (printed.returncode, printed.stderr) == (1, f"{journal}: Permission denied\n")


@pytest.mark.parametrize(
    ("visit", "words"),
    [
        ("colour=red", 'nothing is known by "colour"; known: event_type, page'),
        ("device", "device needs a text that is not empty"),
        ("page=/\udcff", "page needs a text in UTF-8"),  # what Python makes of the byte FF in a command line
    ],
)
def test_a_visit_that_cannot_be_asked_for_is_refused(
    journal: str, visit: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        ask("funnel", "--file", journal, "--visit", visit)

    assert words in capsys.readouterr().err


def test_visits_are_left_out_and_a_breakdown_goes_by_one_thing(
    journal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("breakdown", "--file", journal, "--by", "property.device", "--without", "device=mobile", "--format", "json")

    assert [row["dimension_value"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["desktop"]

    with pytest.raises(SystemExit):
        ask("breakdown", "--file", journal, "--by", "colour")
    assert 'nothing is known by "colour"' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ask("breakdown", "--file", journal, "--without", "device=mobile", "--without", "device=tablet")
    assert "device stands twice: it has one value" in capsys.readouterr().err


def test_steps_that_make_no_funnel_are_refused(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ask("funnel", "--file", journal, "--steps", "click,,purchase")
    assert "one of these is empty" in capsys.readouterr().err

    done = subprocess.run(
        python("-m", "clickstream", "sql", "paths", "--file", journal, "--steps", "click,purchase"),
        cwd=ROOT,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert 'only funnel can have "steps", paths can not' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_of_visits_that_stands_twice_is_refused(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ask("funnel", "--file", journal, "--visit", "event_type=add_to_cart", "--visit", "event_type=purchase")

    assert "argument --visit: event_type stands twice: it has one value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\nworld\n", "holds no events: expected a journal, or an export as json or ndjson, an event a line"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "holds no events"),
        (b'{"name": "clickstream", "version": 1}\n', "holds no events"),
        (b"[1, 2, 3]", "holds no events"),
        (
            b'"event_id","event_type","timestamp"\n"e-1","click",""\n',
            "is an export as CSV, which nothing here reads back",
        ),
        (b"\x1f\x8b\x08\0\0", "is compressed: unpack it with gunzip first"),
        (b"PAR1 and no more", "is damaged: "),
        (b'[\n{"event_id":"e","event_type":"click","user_id":"u"},\n{"event_id"\n]\n', "is damaged: "),
    ],
    ids=["text", "picture", "object", "numbers", "csv", "gzip", "parquet", "journal"],
)
def test_a_file_without_events_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert ask("traffic", "--file", str(path)) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{path} {words}")


def test_a_day_is_asked_for_by_its_date(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("traffic", "--file", journal, "--format", "csv") == 0
    days = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]]

    assert ask("traffic", "--file", journal, "--format", "csv", "--since", days[0], "--until", days[0]) == 0

    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == days[:1]


def test_a_zone_is_named_above_the_table_and_a_wrong_one_refused(
    journal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("traffic", "--file", journal, "--zone", "Asia/Kathmandu") == 0
    assert "people by day, days of Asia/Kathmandu" in " ".join(capsys.readouterr().out.split())

    assert ask("traffic", "--athena", "--zone", "Asia/Kathmandu") == 0
    assert "INTERVAL '20700' SECOND" in capsys.readouterr().out

    with pytest.raises(SystemExit):
        ask("traffic", "--file", journal, "--zone", "asia/katmandu")
    assert "did you mean Asia/Katmandu?" in capsys.readouterr().err


def test_a_time_without_a_zone_is_refused(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ask("funnel", "--file", journal, "--since", "2026-01-15T00:00:00")

    assert "has no time zone" in capsys.readouterr().err


def test_the_journal_can_be_asked_while_an_api_writes_it(tmp_path: Path) -> None:
    stopped = threading.Event()

    def send(sender: int) -> None:
        with requests.Session() as session:
            for number in itertools.takewhile(lambda _: not stopped.is_set(), itertools.count()):
                event = {"event_type": "page_view", "session_id": f"{sender} {number}", "properties": {"x": "y" * 5000}}
                session.post(f"{api.url}/events", json=event, timeout=10)

    def kept() -> int:
        total: int = api.get("/stats")["total_events"]
        return total

    with platform(tmp_path) as api, ThreadPoolExecutor() as senders:
        sending = [senders.submit(send, sender) for sender in range(4)]
        try:
            until(lambda: kept() > 100)
            for _ in range(8):
                before = kept()
                done = subprocess.run(
                    python("-m", "clickstream", "sql", "funnel", "--format", "json"),
                    cwd=ROOT,
                    env=environment(EVENTS_FILE=str(tmp_path / "events_backup.json"), TMPDIR=str(tmp_path)),
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert done.returncode == 0, done.stderr
                assert before <= json.loads(done.stdout)["rows"][0]["sessions"] <= kept() + 4
        finally:
            stopped.set()
        for one in sending:
            one.result()

    assert list(tmp_path.glob("clickstream-*")) == []
