from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clickstream.events import Limits, validate
from clickstream.simulation.steady import SteadyTraffic
from tests.support.platform import platform
from tests.support.processes import ROOT, environment, python
from tests.support.recording_api import Answer, error, recording_api


def generate(*arguments: str, timeout: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
    command = python(str(ROOT / "data_generator.py"), *arguments)
    env = environment(**settings)
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=env, cwd=ROOT)


def test_every_event_of_a_run_arrives_and_is_acknowledged() -> None:
    with recording_api() as api:
        done = generate("--endpoint", api.url, "--rate", "200", "--duration", "1", "--batch-size", "20")

    assert done.returncode == 0, done.stdout
    assert len(api.events) == 200
    assert max(len(request) for request in api.requests) <= 20
    assert "accepted" in done.stdout
    assert "\x1b" not in done.stdout


def test_every_type_is_sent_and_every_event_is_valid() -> None:
    records = [one.record for one in SteadyTraffic(seed=1, rate=500, duration_s=1).stream(1_700_000_000_000)]
    batch = validate(records, Limits(max_event_bytes=262_144, max_nesting=32), 1_700_000_100_000)

    assert batch.rejections == []
    assert {event.event_type for event in batch.events} == {
        *("page_view", "click", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase")
    }


def test_the_same_seed_gives_the_same_bytes() -> None:
    first = list(SteadyTraffic(seed=5, rate=50, duration_s=2).stream(0))
    again = list(SteadyTraffic(seed=5, rate=50, duration_s=2).stream(0))
    other = list(SteadyTraffic(seed=6, rate=50, duration_s=2).stream(0))

    assert first == again
    assert first != other


def test_a_restarting_api_costs_no_event() -> None:
    with recording_api() as api:
        api.answers = [error(503, "unavailable"), None, error(503, "replaying", Retry_After="1")]
        done = generate("--endpoint", api.url, "--rate", "100", "--duration", "1")

    assert done.returncode == 0, done.stdout
    assert len(api.events) == 100


def test_a_refused_request_is_listed_and_turns_the_exit_code_to_1() -> None:
    with recording_api() as api:
        api.answers = [error(413, "body_too_large")]
        done = generate("--endpoint", api.url, "--rate", "50", "--duration", "1", "--batch-size", "10", "--seed", "1")

    assert done.returncode == 1
    assert "10 events were not delivered" in done.stdout
    assert "body_too_large" in done.stdout
    assert "00000001.0" in done.stdout


@pytest.mark.parametrize("rate", ["0", "-1", "1e308", "1e-320", "inf", "many"])
def test_a_rate_that_nobody_can_send_is_refused(rate: str) -> None:
    done = generate("--rate", rate)

    assert done.returncode == 2
    assert f'--rate: "{rate}": expected a number' in done.stderr


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    done = generate("--key", "ключ")

    assert done.returncode == 2
    assert "--key: expected only characters that a header can carry" in done.stderr


def test_the_reason_that_an_api_gives_cannot_steer_the_terminal() -> None:
    with recording_api() as api:
        api.answers = [(400, {}, "\x1b]0;owned\x07\x1b[2J\x9b2J\x7f\u202e\nthe end".encode())]
        done = generate("--endpoint", api.url, "--rate", "10", "--duration", "0.1")

    assert "owned" in done.stdout
    assert "2J\ufffd\ufffd the end" in done.stdout
    assert not set(done.stdout) & set("\x1b\x07\x9b\x7f\u202e")


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (error(401, "unauthorized"), "Give the write key with --key, or set WRITE_KEYS"),
        (error(403, "forbidden"), "Give the write key with --key, or set WRITE_KEYS"),
        (error(405, "method_not_allowed"), "The one of the API ends in /events"),
        (error(404, "not_found"), "The one of the API ends in /events"),
    ],
)
def test_an_answer_that_concerns_address_or_key_ends_the_run_with_the_remedy(answer: Answer, remedy: str) -> None:
    with recording_api() as api:
        api.answers = [answer] * 10_000
        began = time.monotonic()
        done = generate("--endpoint", api.url.removesuffix("s"), "--duration", "0", "--rate", "100", timeout=20)

    assert done.returncode == 1
    assert time.monotonic() - began < 10
    assert remedy in done.stdout


def test_the_settings_of_the_api_say_where_events_go_and_with_which_key(tmp_path: Path) -> None:
    with platform(tmp_path, WRITE_KEYS="web=pk_1;rate=5000") as api:
        port = api.url.rpartition(":")[2]
        done = generate("--rate", "50", "--duration", "0.2", API_PORT=port, WRITE_KEYS="web=pk_1")
        named = generate("--rate", "50", "--duration", "0.2", "--key", "pk_1", API_URL=api.url)
        bare = generate("--rate", "50", "--duration", "0.2", "--key", "pk_1", "--endpoint", f"{api.url}/")
        without = generate("--rate", "50", "--duration", "0.2", API_PORT=port)

        assert (done.returncode, named.returncode, bare.returncode, without.returncode) == (0, 0, 0, 1), without.stdout
        assert api.accounting()["accepted"] == 30


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = generate(API_PORT="80a")

    assert done.returncode == 2
    assert 'API_PORT="80a": expected an integer' in done.stdout


def test_what_was_sent_is_the_sum_of_four_numbers_that_are_shown() -> None:
    with recording_api() as api:
        api.rejects = lambda event: "invalid_value" if event["event_id"].endswith("7") else None
        api.answers = [error(413, "body_too_large")]
        done = generate("--endpoint", api.url, "--rate", "100", "--duration", "1", "--batch-size", "10")

    counts = {name: int(number) for name, number in re.findall(r"^│ +([a-z ]+?) +│ +(\d+) +│$", done.stdout, re.M)}
    assert counts["events sent"] == 100
    assert counts["rejected"] > 0
    assert counts["not delivered"] == 10
    assert counts["accepted"] + counts["duplicates"] + counts["rejected"] + counts["not delivered"] == 100


def test_a_sentence_in_a_pipe_is_one_line() -> None:
    done = generate("--endpoint", "http://127.0.0.1:9/events")

    assert len(done.stdout.splitlines()) == 1
    assert len(done.stdout) > 100


def test_without_an_api_it_says_how_to_start_one() -> None:
    done = generate("--endpoint", "http://127.0.0.1:9/events")

    assert done.returncode == 1
    assert "python local_api.py" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_finishes_what_is_under_way_and_prints_the_summary(number: signal.Signals) -> None:
    command = [sys.executable, str(ROOT / "data_generator.py"), "--rate", "50", "--duration", "0"]
    with recording_api() as api:
        process = subprocess.Popen([*command, "--endpoint", api.url], stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while len(api.events) < 10 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert "not delivered" in output
    assert f"{len(api.events)}" in output


@pytest.mark.parametrize("arguments", [["--rate", "0"], ["--endpoint", "nowhere"], ["--batch-size", "x"]])
def test_wrong_options_are_named(arguments: list[str]) -> None:
    done = generate(*arguments)

    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert "expected" in done.stderr
