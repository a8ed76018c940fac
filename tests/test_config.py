"""Settings: read once, checked together, refused with every problem at once."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

import config
from clickstream.access import HEADER_EXPECTED
from clickstream.errors import ConfigError
from tests.support.processes import ROOT, environment, python


def problems(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(environ)
    heading, *lines = str(caught.value).splitlines()
    assert heading == f"config: {len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return [line.strip() for line in lines]


def test_the_defaults_run_the_local_demo() -> None:
    settings = config.load({})

    assert (settings.env, settings.api_host, settings.api_port, settings.dashboard_port) == (
        "local",
        "127.0.0.1",
        3000,
        5000,
    )
    assert settings.api_url == "http://127.0.0.1:3000"
    assert (str(settings.events_file), settings.fsync) == ("events_backup.json", "always")


def test_empty_and_blank_values_mean_the_default() -> None:
    assert config.load({"API_PORT": "", "FSYNC": "  ", "ENV": ""}) == config.load({})


def test_settings_are_read_from_the_variables_of_their_names() -> None:
    settings = config.load({"API_PORT": "8080", "EVENTS_FILE": "/tmp/x.json", "FSYNC": "EverySec", "MAX_RECORDS": "5"})

    assert (settings.api_port, str(settings.events_file), settings.fsync, settings.max_records) == (
        8080,
        "/tmp/x.json",
        "everysec",
        5,
    )
    assert settings.api_url == "http://127.0.0.1:8080"


def test_every_problem_is_reported_at_once_with_the_value_and_what_was_expected() -> None:
    found = problems(API_PORT="80a", FSYNC="sometimes", MAX_NESTING="1", API_URL="localhost", DASHBOARD_PORT="70000")

    assert found == [
        'API_PORT="80a": expected an integer from 1 to 65535',
        'DASHBOARD_PORT="70000": expected an integer from 1 to 65535',
        'API_URL="localhost": expected an address such as http://127.0.0.1:3000',
        'FSYNC="sometimes": expected always or everysec or no',
        'MAX_NESTING="1": expected an integer from 2 to 200',
    ]


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://", "http://[::1", "http://host:port", "ftp://host"])
def test_an_address_that_nobody_can_call_is_refused(url: str) -> None:
    assert problems(API_URL=url) == [f'API_URL="{url}": expected an address such as http://127.0.0.1:3000']


def test_pages_name_the_address_that_the_dashboard_asks_unless_people_reach_the_api_elsewhere() -> None:
    asked = config.load({"API_URL": "http://10.0.0.5:3000/"})
    public = config.load({"API_URL": "http://10.0.0.5:3000", "PUBLIC_API_URL": " https://shop.example/clicks/ "})

    assert asked.public_api_url == "http://10.0.0.5:3000"
    assert config.load({"API_PORT": "8080"}).public_api_url == "http://127.0.0.1:8080"
    assert (public.api_url, public.public_api_url) == ("http://10.0.0.5:3000", "https://shop.example/clicks")


@pytest.mark.parametrize(
    "url",
    [
        "events.example",
        "ftp://events.example",
        "https://",
        "https://a b",
        "https://a/?x=1",
        "https://a/#x",
        "https://a/'",
    ],
)
def test_an_address_for_people_that_no_link_can_have_is_refused(url: str) -> None:
    expected = "expected an address such as https://events.example"

    assert problems(PUBLIC_API_URL=url) == [f'PUBLIC_API_URL="{url}": {expected}']


@pytest.mark.parametrize("value", ["0", "65536", "-1", "3000.0", "3e3", "abc"])
def test_ports_are_whole_numbers_in_their_range(value: str) -> None:
    assert len(problems(API_PORT=value)) == 1


def test_aws_without_its_names_is_refused_with_the_list_of_what_is_missing() -> None:
    found = problems(ENV="aws")

    assert [line.split()[0] for line in found] == ["KINESIS_STREAM_NAME", "S3_BUCKET_NAME", "DYNAMODB_TABLE_NAME"]


def test_an_address_that_others_reach_needs_a_token() -> None:
    assert "READ_TOKEN" in problems(API_HOST="0.0.0.0")[0]
    assert config.load({"API_HOST": "0.0.0.0", "READ_TOKEN": "s3cret-s3cret-s3cret-s3cret"}).api_host == "0.0.0.0"


@pytest.mark.parametrize("token", ["токен", "two\nlines", "\x1b", "€"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    (found,) = problems(READ_TOKEN=token)

    assert found == f"READ_TOKEN: {HEADER_EXPECTED}"
    assert token not in found
    assert config.load({"READ_TOKEN": "clé secrète"}).read_token == "clé secrète"
    assert "WRITE_KEYS" in problems(WRITE_KEYS=f"web={token}")[0]


def test_two_servers_cannot_share_a_port() -> None:
    assert "choose two ports" in problems(API_PORT="5000")[0]


def test_the_environment_is_not_read_on_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "4242")

    assert config.load({}).api_port == 3000
    assert config.from_environment().api_port == 4242


def test_help_of_the_servers_names_every_setting_and_starts_nothing() -> None:
    said = ""
    for script in ("local_api.py", "dashboard.py"):
        env = environment(API_PORT="80a")  # a server that started would refuse it
        command = python(script, "--help")
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT, env=env, check=False)
        assert done.returncode == 0, done.stderr
        said += done.stdout

    names = [field.name.upper() for field in dataclasses.fields(config.Settings)]
    assert [name for name in names if f"\n  {name}=" not in said] == []
    assert "\n  EVENTS_FILE=" in done.stdout  # the dashboard names the journal in commands to copy


def test_a_server_refuses_an_option_that_it_does_not_have() -> None:
    command = python("local_api.py", "--port", "3001")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT, env=environment(), check=False)

    assert done.returncode == 2
    assert "unrecognized arguments: --port 3001" in done.stderr
