"""However the demo ends, nothing of it is left; whatever prevents it is said in one message."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickstream import ports
from tests.support.demo import StandIns
from tests.support.processes import RunningProcess, python, running, wait_until

pytestmark = pytest.mark.e2e

# Answers like an API that is still reading its journal, three times.
REPLAYING_API = """
import http.server
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = pathlib.Path("asked").open("a+b")
        asked.write(b".") if asked.tell() < 4 else None
        ready = asked.tell() > 3
        body = b'{"status": "ready"}' if ready else b'{"status": "replaying", "progress": 0.64, "records": 7}'
        self.send_response(200 if ready else 503); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["API_PORT"])), Answers).serve_forever()
"""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[StandIns]:
    stand_ins = StandIns(tmp_path)
    yield stand_ins
    for pid in stand_ins.pids().values():  # only after a failed test is anything left to stop
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def started(demo: StandIns, *options: str) -> RunningProcess:
    process = demo.start(*options)
    process.wait_for_line("Ctrl-C", deadline_s=20)
    demo.wait_for_children()
    return process


def assert_nothing_is_left(demo: StandIns) -> None:
    wait_until(lambda: not demo.leftovers(), "nothing is left", deadline_s=5)
    assert ports.why_not("127.0.0.1", demo.api_port) is None
    assert ports.why_not("127.0.0.1", demo.dashboard_port) is None


def exit_code_of(pid: int) -> int:
    """Of a forked process, once it has ended by itself."""

    def ended() -> list[int]:
        gone, status = os.waitpid(pid, os.WNOHANG)
        return [os.waitstatus_to_exitcode(status)] if gone else []

    return wait_until(ended, "it ends")[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_within_five_seconds_and_leaves_nothing(demo: StandIns, number: int) -> None:
    process = started(demo)
    began = time.monotonic()

    process.send(number)

    assert process.wait() == 0
    assert time.monotonic() - began < 5
    assert not demo.leftovers()
    assert_nothing_is_left(demo)
    assert "1,234 events are kept in events_backup.json." in process.log
    assert f"nothing is left running, ports {demo.api_port} and {demo.dashboard_port} are free." in process.log


def test_children_that_ignore_signals_are_killed_with_their_own_children_within_five_seconds(demo: StandIns) -> None:
    for script in ("local_api", "dashboard", "data_generator"):
        demo.write(script, stubborn=True)
    process = started(demo)
    demo.wait_for_children("local_api-grandchild", "dashboard-grandchild", "data_generator-grandchild")
    began = time.monotonic()

    process.send(signal.SIGINT)

    assert process.wait() == 0
    assert time.monotonic() - began < 5
    assert_nothing_is_left(demo)


@pytest.mark.measures
def test_a_second_ctrl_c_kills_stubborn_children_at_once(demo: StandIns) -> None:
    demo.write("data_generator", stubborn=True)
    demo.write("local_api", stubborn=True)
    process = started(demo)
    process.send(signal.SIGINT)
    process.wait_for_line("Stopping")
    began = time.monotonic()

    process.send(signal.SIGINT)

    assert process.wait() == 0
    assert time.monotonic() - began < 1.5
    assert_nothing_is_left(demo)


def test_kill_9_of_the_supervisor_leaves_nothing_even_of_stubborn_children(demo: StandIns) -> None:
    demo.write("local_api", stubborn=True)
    process = started(demo)

    process.send(signal.SIGKILL)
    process.wait()

    assert_nothing_is_left(demo)


def test_a_closed_terminal_leaves_nothing(demo: StandIns) -> None:
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(demo.directory)
        os.execvpe(demo.command()[0], list(demo.command()), demo.env)
    demo.wait_for_children()

    os.close(master)

    assert exit_code_of(pid) == 0
    assert_nothing_is_left(demo)


def test_a_reader_of_its_output_that_goes_away_does_not_stop_the_clean_up(demo: StandIns) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.close(reader)
        os.close(writer)
        os.chdir(demo.directory)
        os.execvpe(demo.command()[0], list(demo.command()), demo.env)
    os.close(writer)
    os.close(reader)
    demo.wait_for_children()

    os.kill(pid, signal.SIGTERM)

    assert exit_code_of(pid) == 0
    assert_nothing_is_left(demo)


def test_with_a_read_token_the_box_says_where_it_is_needed_and_not_what_it_is(demo: StandIns) -> None:
    process = demo.start(READ_TOKEN="secret-token")
    process.wait_for_line("Stop  ", deadline_s=20)

    assert f"http://127.0.0.1:{demo.dashboard_port}  (password: your READ_TOKEN; any user name)" in process.log
    assert f"API_URL=http://127.0.0.1:{demo.api_port} READ_TOKEN=… {python()[0]}" in process.log
    assert "visualize.py --watch" in process.log
    assert "secret-token" not in process.log
    process.stop()


def test_without_a_journal_none_is_named_at_the_end(demo: StandIns) -> None:
    names = {"KINESIS_STREAM_NAME": "s", "S3_BUCKET_NAME": "b", "DYNAMODB_TABLE_NAME": "t"}
    process = demo.start("--duration", "1", ENV="aws", **names)

    assert process.wait(deadline_s=20) == 0
    assert "nothing is left running" in process.log
    assert "are kept in" not in process.log


def test_the_help_names_the_demo_on_the_emulator_and_the_way_to_ones_own_events(demo: StandIns) -> None:
    process = demo.start("--help")

    assert process.wait() == 0
    assert "--aws-local" in process.log
    assert "--generator none" in process.log
    assert demo.start("--aws-local").wait() == 2


def test_it_ends_by_itself_after_its_duration(demo: StandIns) -> None:
    process = started(demo, "--duration", "1")

    assert process.wait() == 0
    assert_nothing_is_left(demo)


def test_a_child_that_dies_is_named_with_the_end_of_its_log_and_the_rest_is_stopped(demo: StandIns) -> None:
    demo.write("data_generator", "print('no more stock'); time.sleep(0.5); sys.exit(3)")
    process = demo.start()

    assert process.wait(deadline_s=20) == 1
    assert "The generator (data_generator.py) has ended (exit code 3). The end of its log:" in process.log
    assert "  | no more stock" in process.log
    assert_nothing_is_left(demo)


def test_a_killed_child_is_named_with_its_signal(demo: StandIns) -> None:
    process = started(demo)

    os.kill(demo.pids()["local_api"], signal.SIGKILL)

    assert process.wait() == 1
    assert "The API has ended (SIGKILL)." in process.log
    assert_nothing_is_left(demo)


def test_a_server_that_dies_before_it_is_healthy_is_named(demo: StandIns) -> None:
    demo.write("dashboard", "sys.exit('template missing')")
    process = demo.start()

    assert process.wait(deadline_s=20) == 1
    assert "The dashboard has ended (exit code 1)." in process.log
    assert "  | template missing" in process.log
    assert_nothing_is_left(demo)


def test_where_the_api_has_not_started_no_journal_is_named_that_is_not_there(demo: StandIns) -> None:
    demo.write("local_api", "sys.exit('the directory is not there')")
    process = demo.start()

    assert process.wait(deadline_s=20) == 1
    assert "  | the directory is not there" in process.log
    assert "kept in" not in process.log


def test_a_generator_that_finishes_leaves_the_servers_running(demo: StandIns) -> None:
    demo.write("data_generator", "sys.exit(0)")
    process = demo.start("--duration", "2")

    assert process.wait(deadline_s=20) == 0
    assert "The generator has finished; API and dashboard go on." in process.log
    assert_nothing_is_left(demo)


def test_all_taken_ports_are_reported_at_once_with_owner_and_remedy_before_anything_starts(
    demo: StandIns, tmp_path: Path
) -> None:
    with running(python("-m", "http.server", str(demo.api_port), "--bind", "127.0.0.1"), tmp_path / "log") as holder:
        holder.wait_for_http(f"http://127.0.0.1:{demo.api_port}/")
        with socket.create_server(("127.0.0.1", demo.dashboard_port)):
            process = demo.start()

            assert process.wait() == 1
    assert f"Port {demo.api_port} (API) is taken by process {holder.pid}: " in process.log
    assert "-m http.server" in process.log
    assert f"Port {demo.dashboard_port} (dashboard) is taken by process {os.getpid()}: " in process.log
    assert "  API_PORT=" in process.log
    assert " DASHBOARD_PORT=" in process.log
    assert demo.pids() == {}


def test_the_command_that_is_suggested_beside_a_running_demo_works(tmp_path: Path) -> None:
    port = next(port for port in iter(ports.free_port, 0) if ports.why_not("127.0.0.1", port + 1) is None)
    demo = StandIns(tmp_path, api_port=port, dashboard_port=port + 1)
    journal = tmp_path / "events_backup.json"
    journal.write_text("[\n]\n")
    with (
        journal.open("rb") as written,
        socket.create_server(("127.0.0.1", port)),
        socket.create_server(("127.0.0.1", port + 1)),
    ):
        alone = demo.start()
        assert alone.wait() == 1
        fcntl.flock(written, fcntl.LOCK_EX)
        beside = demo.start()
        assert beside.wait() == 1

        first, second = (line.strip() for line in beside.log.splitlines() if line.endswith(" ./run_demo.sh"))
        assert "EVENTS_FILE" not in first
        prepare, _, start = second.partition("; ")
        assert prepare == "mkdir -p demo-2"
        settings = dict(word.split("=") for word in start.split()[:-1])
        assert settings["EVENTS_FILE"] == "demo-2/events_backup.json"
        assert settings["API_PORT"] != settings["DASHBOARD_PORT"]
        again = demo.start("--duration", "0.1", **settings)

        assert again.wait() == 0, again.log


def test_an_address_of_another_machine_is_refused_by_name(demo: StandIns) -> None:
    env = {**demo.env, "API_HOST": "203.0.113.7", "READ_TOKEN": "secret"}
    with running(demo.command(), demo.directory / "demo.log", env=env, cwd=demo.directory) as process:
        assert process.wait() == 1

    assert f"Port {demo.api_port} (API) cannot be used on 203.0.113.7: " in process.log


def test_wrong_settings_are_all_reported_and_nothing_starts(demo: StandIns) -> None:
    env = {**demo.env, "API_PORT": "80a", "FSYNC": "maybe"}
    with running(demo.command(), demo.directory / "demo.log", env=env, cwd=demo.directory) as process:
        assert process.wait() == 2

    assert "config: 2 problems" in process.log
    assert demo.pids() == {}


def test_a_setting_that_is_misspelt_is_told_once(demo: StandIns) -> None:
    process = demo.start("--duration", "0.1", API_PROT="1")

    assert process.wait() == 0
    assert process.log.count("API_PROT is no setting; did you mean API_PORT?") == 1


def test_a_missing_script_is_named(demo: StandIns) -> None:
    (demo.directory / "dashboard.py").unlink()
    process = demo.start()

    assert process.wait() == 1
    assert process.log == "dashboard.py not found: start the demo in the directory of the project.\n"


def test_an_api_that_replays_its_journal_is_waited_for(demo: StandIns) -> None:
    demo.write("local_api", REPLAYING_API)

    process = started(demo)

    assert "✓ API ready after" in process.log
    assert (demo.directory / "asked").stat().st_size == 4
    process.stop()


def test_an_api_that_never_becomes_healthy_is_left_when_somebody_asks_to_stop(demo: StandIns) -> None:
    demo.write("local_api", "time.sleep(60)")
    process = demo.start()
    demo.wait_for_children("local_api", "dashboard")

    process.send(signal.SIGTERM)

    assert process.wait() == 0
    assert_nothing_is_left(demo)


def test_the_dashboard_is_opened_in_the_browser_unless_it_is_not_wanted(demo: StandIns) -> None:
    browser = demo.directory / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >>{demo.directory}/opened\n')
    browser.chmod(0o755)
    command = [word for word in demo.command("--duration", "1") if word != "--no-browser"]
    opened = demo.directory / "opened"

    with running(command, demo.directory / "log", env={**demo.env, "BROWSER": str(browser)}, cwd=demo.directory) as one:
        wait_until(opened.exists, "the browser was started")
        assert one.wait() == 0

    assert opened.read_text() == f"http://127.0.0.1:{demo.dashboard_port}\n"


def test_piped_output_has_no_escape_sequences(demo: StandIns) -> None:
    process = started(demo, "--duration", "1")

    process.wait()

    assert "\x1b" not in process.log
    assert "\r" not in process.log
