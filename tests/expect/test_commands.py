"""Testing one's tracking in the shell and in pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import requests

from tests.expect.asking import purchase, send
from tests.support.platform import Platform, platform
from tests.support.processes import ROOT, environment, python

PLUGIN_TEST = """
import requests

def test_a_purchase_arrives(clickstream_api):
    order = {"event_type": "purchase", "user_id": "u", "properties": {"total": 5}}
    requests.post(clickstream_api.url + "/events", json=order, proxies={"http": ""})
    (event,) = clickstream_api.expect(event_type="purchase", property={"total": 5})
    assert event["user_id"] == "u"

def test_every_test_begins_empty(clickstream_api):
    mine = clickstream_api.scope()
    click = {"event_type": "click", "user_id": "u"}
    requests.post(mine.url + "/events", json=click, headers=mine.headers, proxies={"http": ""})
    mine.expect(event_type="click")
    clickstream_api.expect(event_type="purchase", timeout=0.1)
"""


def test_the_shell_command_shows_what_came_without_obeying_it(api: Platform) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, "--timeout", "0.2", *arguments)
        env = environment(LANG="C.UTF-8")
        return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=env, check=False)

    evil = "\x9b2J\x7f\u202eowned"
    lines = [json.dumps(purchase(note=evil), ensure_ascii=False), "\x1b]0;owned\x07\x1b[2J"]
    headers = {"Content-Type": "application/x-ndjson"}
    requests.post(f"{api.url}/events", data="\n".join(lines).encode(), headers=headers, timeout=10)

    met = run("event_type=purchase")
    unmet = run("event_type=click")
    forgotten = run()

    assert json.loads(met.stdout)["properties"]["note"] == evil
    assert "owned" in unmet.stderr
    assert not set(met.stdout + unmet.stderr) & set("\x1b\x07\x9b\x7f\u202e")
    assert (forgotten.returncode, forgotten.stdout) == (2, "")
    assert forgotten.stderr.startswith("name what is expected, such as event_type=purchase")


def test_the_shell_command_finds_the_api_by_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("raise SystemExit('this is not the config.py of the platform')")

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "event_type=purchase", "--timeout", "0.2", *arguments)
        env = environment(**settings)
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=20, check=False)

    (tmp_path / "api").mkdir()
    with platform(tmp_path / "api", READ_TOKEN="secret-token") as guarded:
        port = guarded.url.rpartition(":")[2]
        by_port = run(API_PORT=port, READ_TOKEN="secret-token")
        by_url = run(API_URL=f"{guarded.url}/", READ_TOKEN="secret-token")
        by_option = run("--api-url", guarded.url, "--token", "secret-token")
        without_token = run("--api-url", guarded.url)
    gone = run(API_PORT=port)

    assert [one.returncode for one in (by_port, by_url, by_option)] == [1, 1, 1], by_port.stderr
    assert "Give the READ_TOKEN of the API with --token" in without_token.stderr
    assert gone.returncode == 2
    assert f"nothing answers at http://127.0.0.1:{port}: connection refused\n" in gone.stderr
    assert f"Start it with `{sys.executable} {ROOT / 'local_api.py'}`" in gone.stderr


def test_the_shell_command_prints_the_events_or_what_came_instead(api: Platform, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, "--timeout", "0.2", *arguments)
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False
        )

    send(api, purchase(total=25))

    met = run("event_type=purchase", "property.total=25")
    unmet = run("event_type=purchase", "property.total=26")

    assert (met.returncode, met.stderr) == (0, "")
    assert '"total": 25' in met.stdout
    assert unmet.returncode == 1
    assert "property.total is 25, not 26" in unmet.stderr
    assert run("purchase").returncode == 2


def test_the_shell_command_takes_what_the_address_takes_and_nothing_twice(api: Platform) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        command = python("-m", "clickstream", "expect", "--api-url", api.url, *arguments)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, cwd=ROOT, env=environment(), check=False
        )
        return done.returncode, done.stderr

    send(api, purchase(total=25))
    send(api, purchase(total=26), test_id="shell")

    assert run("event_type=purchase", "min=2", "timeout=1s")[0] == 0
    status, said = run("event_type=purchase", "min=3", "timeout=100ms")
    assert (status, said.splitlines()[0]) == (1, "expected 3 x event_type=purchase; 2 came")
    assert run("event_type=purchase", "test_id=shell", "min=2", "timeout=0")[0] == 1
    assert run("event_type=purchase", "--timeout", "1.23456")[0] == 0
    for wrong, named in [
        (("user_id=u-1", "user_id=u-2"), "user_id stands twice"),
        (("min=2", "--min", "3"), "min stands twice"),
        (("min=some",), "min=some: expected"),
        (("timeout=1h",), "timeout=1h: expected"),
        (("--timeout", "inf"), '"inf": expected a number'),
    ]:
        status, said = run(*wrong)
        assert (status, named in said) == (2, True), said


def test_the_pytest_plugin_starts_a_platform_and_fails_with_what_came_instead(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(PLUGIN_TEST)

    done = subprocess.run(
        python("-m", "pytest", "-p", "clickstream.testing", "-p", "no:cacheprovider", "--rootdir", ".", "test_shop.py"),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        # A proxy of the shell is not meant for this machine; the test's own requests say so for themselves.
        env=environment(HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9"),
        check=False,
    )

    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "near miss: click" in done.stdout
    assert "event_type is click, not purchase" in done.stdout
