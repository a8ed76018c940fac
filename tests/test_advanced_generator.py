from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from clickstream.events import STANDARD_TYPES
from clickstream.ports import free_port
from tests.support.lossy_proxy import lossy_proxy
from tests.support.processes import ROOT, RunningProcess, environment, python, running
from tests.support.recording_api import error, named, recording_api

FAULTS = [
    *("--duplicate-rate", "0.02", "--late-rate", "0.05", "--out-of-order-rate", "5%"),
    *("--invalid-rate", "0.02", "--bot-rate", "0.02"),
]


def generate(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    command = python(str(ROOT / "advanced_generator.py"), *arguments)
    env = environment(COLUMNS="200")
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=env)


def start_api(directory: Path, port: int) -> RunningProcess:
    env = environment(API_PORT=str(port), EVENTS_FILE=str(directory / "events_backup.json"))
    api = RunningProcess(python(str(ROOT / "local_api.py")), directory / "api.log", env=env, cwd=directory)
    api.wait_for_http(f"http://127.0.0.1:{port}/ready")
    return api


@contextmanager
def running_api(directory: Path) -> Iterator[str]:
    port = free_port()
    api = start_api(directory, port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        api.stop()


def lines_of(truth: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in truth.read_text().splitlines()]


def test_shoppers_come_live_and_the_expected_rate_is_said_first() -> None:
    with recording_api() as api:
        done = generate("--endpoint", api.url, "--duration", "3", "--users", "60", "--speed", "120")

    first_line = done.stdout.splitlines()[0]
    rate = float(re.findall(r"expected ([\d.,]+) events/s", first_line)[0])
    assert done.returncode == 0, done.stdout
    assert 0.5 * rate < len(api.events) / 3 < 2 * rate
    assert "60 shoppers" in first_line
    assert "not delivered" in done.stdout
    assert "\x1b" not in done.stdout


def test_live_events_carry_the_present_time() -> None:
    with recording_api() as api:
        generate("--endpoint", api.url, "--duration", "1", "--users", "50", "--start", "2026-01-15T10:30:00Z")

    assert {event["timestamp"][:17] for event in api.events.values()} == {"2026-01-15T10:30:"}


def test_the_same_seed_sends_the_same_bytes_live_and_fast() -> None:
    arguments = ["--seed", "7", "--users", "40", "--duration", "2", "--start", "2026-01-15T10:30:00Z"]
    with recording_api() as live, recording_api() as fast:
        generate("--endpoint", live.url, *arguments)
        generate("--endpoint", fast.url, *arguments, "--fast", "--batch-size", "7")
    written = generate("--output", "-", *arguments)

    assert live.events == fast.events
    assert {event["event_id"]: event for event in map(json.loads, written.stdout.splitlines())} == live.events
    assert len(live.events) > 20


def test_a_second_run_with_the_same_seed_stores_nothing_new() -> None:
    arguments = ["--seed", "7", "--backfill", "1d", "--events", "500", "--start", "2026-01-15T00:00:00Z"]
    with recording_api() as api:
        first = generate("--endpoint", api.url, *arguments)
        second = generate("--endpoint", api.url, *arguments)

    assert (first.returncode, second.returncode) == (0, 0)
    assert len(api.events) == 500
    assert api.duplicates == 500


def test_the_schedule_stands_when_the_api_is_slow_and_the_lag_is_told() -> None:
    with recording_api() as api:
        api.answers = [error(503, "unavailable", Retry_After="1")] * 2
        done = generate("--endpoint", api.url, "--duration", "2", "--users", "100", "--connections", "1", "--seed", "3")
    with recording_api() as quick:
        generate("--endpoint", quick.url, "--duration", "2", "--users", "100", "--seed", "3")

    lag = float(re.findall(r"largest lag +│ +([\d.]+) s", done.stdout)[0])
    assert done.returncode == 0
    assert lag > 0.5
    assert api.events.keys() == quick.events.keys()


def test_what_was_never_acknowledged_is_listed_and_fails_the_run(tmp_path: Path) -> None:
    truth = tmp_path / "truth.ndjson"
    with recording_api() as api:
        api.answers = [error(503, "unavailable", Retry_After="60")]
        done = generate(
            *("--endpoint", api.url, "--backfill", "1d", "--events", "100", "--batch-size", "50"),
            *("--connections", "1", "--give-up-after", "0.5", "--truth", str(truth)),
        )

    listed = {line["event_id"] for line in lines_of(truth) if line["kind"] == "unacknowledged"}
    assert done.returncode == 1
    assert "50 events were not delivered" in done.stdout
    assert len(listed) == 50
    assert listed.isdisjoint(api.events)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_finishes_what_is_under_way_and_tells_the_truth(number: signal.Signals, tmp_path: Path) -> None:
    truth = tmp_path / "truth.ndjson"
    script = python(
        str(ROOT / "advanced_generator.py"), "--duration", "0", "--users", "60", "--truth", str(truth), *FAULTS
    )
    with recording_api() as api:
        api.rejects = lambda event: "invalid" if named(event).endswith("x") else None
        with running([*script, "--endpoint", api.url], tmp_path / "log") as process:
            process.wait_for(lambda: len(api.events) > 50, "50 events")
            process.send(number)
            code = process.wait(deadline_s=20)

    totals = lines_of(truth)[-1]
    assert code == 0
    assert "Summary" in process.log
    assert totals["kind"] == "totals"
    assert totals["events"] == len(api.events)


def test_the_truth_names_every_event_and_labels_every_fault(tmp_path: Path) -> None:
    truth, written = tmp_path / "truth.ndjson", tmp_path / "events.ndjson"
    done = generate(
        *("--output", str(written), "--truth", str(truth), "--backfill", "7d", "--events", "3000", *FAULTS),
    )
    lines = lines_of(truth)
    sessions = [line for line in lines if line["kind"] == "session"]
    ids = {f"{one['session_id']}-{number}" for one in sessions for number in range(one["events"])}
    kinds = Counter(line["fault"] for line in lines if line["kind"] == "fault")
    totals = lines[-1]

    assert done.returncode == 0
    assert len(ids) == totals["events"] == 3000
    assert kinds == totals["faults"]
    assert set(kinds) == {"duplicate", "late", "out_of_order", "invalid"}
    assert sum(totals["by_type"].values()) == 3000
    assert totals["funnel"]["purchase"] <= totals["funnel"]["checkout"] <= totals["funnel"]["add_to_cart"]
    assert {one["persona"] for one in sessions} == {"Browser", "Researcher", "Buyer", "Quick Buyer", "Bot"}
    assert all(line["code"] and "how" in line for line in lines if line.get("fault") == "invalid")
    assert len(written.read_bytes().splitlines()) == 3000 + kinds["duplicate"] + kinds["invalid"]


@pytest.mark.e2e
def test_verify_finds_api_and_truth_equal_with_every_fault(tmp_path: Path) -> None:
    with running_api(tmp_path) as url:
        done = generate("--endpoint", f"{url}/events", "--backfill", "30d", "--events", "20000", "--verify", *FAULTS)

    assert done.returncode == 0, done.stdout
    assert "equal the truth (20,000 events" in done.stdout


@pytest.mark.e2e
def test_verify_holds_on_top_of_what_was_there_before(tmp_path: Path) -> None:
    with running_api(tmp_path) as url:
        for seed in ("1", "2"):
            arguments = ["--backfill", "2d", "--events", "3000", "--verify", "--seed", seed]
            done = generate("--endpoint", f"{url}/events", *arguments)
            assert done.returncode == 0, done.stdout


@pytest.mark.e2e
def test_verify_shows_an_event_that_somebody_else_sent(tmp_path: Path) -> None:
    with running_api(tmp_path) as url:
        arguments = ["--endpoint", f"{url}/events", "--duration", "3", "--users", "20", "--verify"]
        script = python(str(ROOT / "advanced_generator.py"), *arguments)
        with running(script, tmp_path / "log", env=environment(COLUMNS="200")) as process:
            process.wait_for_line("expected")
            event = {"event_type": "purchase", "user_id": "stranger", "properties": {"total": 10.5, "currency": "USD"}}
            assert requests.post(f"{url}/events", json=event, timeout=10).status_code == 202
            code = process.wait(deadline_s=60)

    assert code == 1
    assert re.search(r"stats: accepted events .*\+1 ", process.log)
    assert re.search(r"stats: type purchase .*\+1 ", process.log)
    assert re.search(r"stats: revenue USD cents .*\+1,050 ", process.log)
    assert "export:" not in process.log


@pytest.mark.e2e
def test_verify_notices_events_that_were_acknowledged_and_not_kept(tmp_path: Path) -> None:
    with running_api(tmp_path) as url, lossy_proxy(url, forgets=1) as proxy:
        done = generate(
            *(
                "--endpoint",
                f"{proxy.url}/events",
                "--backfill",
                "1d",
                "--events",
                "300",
                "--batch-size",
                "3",
                "--verify",
            ),
        )

    assert done.returncode == 1
    assert re.search(r"stats: accepted events +│ +300 +│ +297 ", done.stdout)
    assert re.search(r"export: missing +│ +0 +│ +3 ", done.stdout)
    assert "VERIFY FAILED" in done.stdout


@pytest.mark.e2e
def test_verify_holds_when_a_proxy_refuses_and_loses_answers(tmp_path: Path) -> None:
    with running_api(tmp_path) as url, lossy_proxy(url, refusing=0.05, losing=0.05) as proxy:
        done = generate(
            *("--endpoint", f"{proxy.url}/events", "--backfill", "30d", "--events", "20000", "--batch-size", "50"),
            *("--verify", *FAULTS),
        )

    assert done.returncode == 0, done.stdout
    assert proxy.refused > 5
    assert proxy.lost > 5


@pytest.mark.crash
def test_verify_holds_when_the_api_is_killed_and_restarted_in_the_middle(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    api = start_api(tmp_path, port)
    script = python(str(ROOT / "advanced_generator.py"), "--endpoint", f"{url}/events", "--verify", "--backfill", "30d")
    try:
        with running([*script, "--events", "60000", "--batch-size", "100", *FAULTS], tmp_path / "log") as process:
            for wanted in (5_000, 20_000):
                process.wait_for(lambda wanted=wanted: total(url) > wanted, f"{wanted} events", deadline_s=60)  # type: ignore[misc]
                os.kill(api.pid, signal.SIGKILL)
                api.stop()
                api = start_api(tmp_path, port)
            code = process.wait(deadline_s=120)
    finally:
        api.stop()

    assert code == 0, process.log
    assert "equal the truth (60,000 events" in process.log
    assert not re.search(r"\(0\)", process.log), "nothing was retried: the API was not killed in the middle"


def total(url: str) -> int:
    try:
        return int(requests.get(f"{url}/stats", timeout=5).json()["total_events"])
    except requests.RequestException:
        return 0


def test_without_an_api_it_says_how_to_start_one() -> None:
    done = generate("--endpoint", "http://127.0.0.1:9/events")

    assert done.returncode == 1
    assert "python local_api.py" in done.stdout


def test_explain_prints_what_the_model_promises() -> None:
    done = generate("--explain", "--preset", "realistic")

    assert done.returncode == 0
    assert re.search(r"Browser +87\.0%", done.stdout)
    assert re.search(r"all +100\.0% +4\.2\d+ .* 2\.8%", done.stdout)


def test_self_check_passes_for_the_own_model() -> None:
    done = generate("--self-check")

    assert done.returncode == 0
    assert "tests passed" in done.stdout


def test_help_says_why_there_are_two_mixes() -> None:
    done = generate("--help")

    assert done.returncode == 0
    assert "--preset realistic converts 2.8 %, which is what shops report" in done.stdout


def test_a_wrong_model_is_refused_with_its_problems(tmp_path: Path) -> None:
    model = json.loads((ROOT / "clickstream/simulation/journeys.json").read_text())
    model["personas"]["Buyer"]["transitions"]["add"] = {"cart": 0.5}
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(model))
    done = generate("--journeys", str(mine))

    assert done.returncode == 2
    assert 'Buyer: state "add": the shares add up to 0.5; expected 1' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--output", "-"], "nothing is sent with --output"),
        (["--start", "2999-01-01T00:00:00Z", "--fast"], "the API replaces times more than a day ahead"),
        (["--start", "2020-01-01T00:00:00Z", "--backfill", "36500d"], "the API replaces times more than a day ahead"),
    ],
)
def test_what_cannot_be_verified_is_refused(arguments: list[str], why: str) -> None:
    done = generate("--verify", *arguments)

    assert done.returncode == 2
    assert f"--verify: {why}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--backfill", "a month"], "--backfill"),
        (["--invalid-rate", "2"], "--invalid-rate"),
        (["--users", "0"], "--users"),
        (["--speed", "-1"], "--speed"),
        (["--start", "yesterday"], "--start"),
        (["--preset", "wishful"], "--preset"),
        (["--backfill", "800000d"], "--backfill"),
        (["--start", "9999-12-31T23:59:59Z"], "--start"),
        (["--speed", "1e-320"], "--speed"),
        (["--duration", "1e300", "--fast"], "--duration"),
        (["--endpoint", "http://127.0.0.1:99999/events"], "--endpoint"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], named: str) -> None:
    done = generate(*arguments)

    assert done.returncode == 2
    assert named in done.stderr
    assert "expected" in done.stderr or "RFC 3339" in done.stderr


def test_a_file_that_was_written_is_told_with_its_records_and_seed(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path / "events.ndjson"), "--duration", "2", "--seed", "7"]
    done = generate(*arguments)
    lines = len((tmp_path / "events.ndjson").read_bytes().splitlines())

    assert done.stdout == f"{lines} records are in {tmp_path / 'events.ndjson'}, seed 7\n"
    assert generate(*arguments, "--quiet").stdout == ""


def test_a_number_of_events_is_refused_where_it_would_not_hold() -> None:
    done = generate("--events", "10", "--output", "-")

    assert done.returncode == 2
    assert "--events: only a backfill has a number of events" in done.stderr


def test_a_reader_that_has_seen_enough_ends_the_output_quietly() -> None:
    command = python(str(ROOT / "advanced_generator.py"), "--output", "-", "--users", "100", "--duration", "600")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        json.loads(process.stdout.readline())
        process.stdout.close()
        complaints = process.stderr.read()

    assert (process.returncode, complaints) == (0, b"")


@pytest.mark.parametrize("option", ["--output", "--truth"])
def test_a_file_that_cannot_be_written_is_named(option: str, tmp_path: Path) -> None:
    with recording_api() as api:
        done = generate("--endpoint", api.url, option, str(tmp_path / "missing" / "file"))

    assert done.returncode == 2
    assert "file: No such file or directory" in done.stdout


def test_quiet_prints_nothing_when_all_is_well() -> None:
    with recording_api() as api:
        done = generate("--endpoint", api.url, "--backfill", "1d", "--events", "100", "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(api.events) == 100


@pytest.mark.e2e
def test_forty_shoppers_show_every_type_and_a_purchase_within_20_seconds(tmp_path: Path) -> None:
    with running_api(tmp_path) as url:
        done = generate("--endpoint", f"{url}/events", "--users", "40", "--duration", "20", "--fast")
        stats = requests.get(f"{url}/stats", timeout=10).json()

    assert done.returncode == 0
    assert set(stats["events_by_type"]) == set(STANDARD_TYPES)
    assert stats["revenue"]["orders"] >= 1
