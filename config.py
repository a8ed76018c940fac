"""Every knob of the platform, with default, unit and price; the only reader of the environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from clickstream.access import HEADER_EXPECTED, WriteKey, fits_header, parse_write_keys
from clickstream.errors import ConfigError
from clickstream.misspellings import misspellings
from clickstream.privacy import CLIENT_IP_CHOICES

T = TypeVar("T")

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_LOCAL_URL = "http://127.0.0.1:3000"
_NOT_IN_ADDRESSES = re.compile(r"""[\s?#"'`$\\<>]""")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process, checked; the defaults run the local demo."""

    # ENV: local | aws. Default local. Chooses where events are kept; everything else is the same code.
    env: str = "local"
    # API_HOST: address. Default 127.0.0.1, so that nothing outside this machine can read or write.
    # Any other address needs READ_TOKEN, because /events and /export show personal data.
    api_host: str = "127.0.0.1"
    # API_PORT: 1-65535. Default 3000.
    api_port: int = 3000
    # DASHBOARD_HOST, DASHBOARD_PORT: as above. Default 127.0.0.1:5000 (on macOS, AirPlay often holds 5000).
    dashboard_host: str = "127.0.0.1"
    dashboard_port: int = 5000
    # API_URL: where dashboard and terminal find the API. Default http://<API_HOST>:<API_PORT>.
    api_url: str = _LOCAL_URL
    # PUBLIC_API_URL: where people's browsers and shells reach the API, for the links and commands that pages show.
    #   Default API_URL, which the dashboard itself goes on asking.
    public_api_url: str = _LOCAL_URL
    # READ_TOKEN: secret for every route that reads events. Default empty: reads are open on loopback.
    # It travels in a header, so it has only characters that can: printable ones of ISO 8859-1.
    read_token: str = ""
    # WRITE_KEYS: who may send events, e.g. "web=pk_1;origins=https://shop.example;rate=500, app=pk_2". Default empty:
    # anybody who reaches the port may. origins: pages that may use the key; rate: its events a second and address.
    write_keys: tuple[WriteKey, ...] = ()
    # RATE_LIMIT: events a second from one address without a rate of its key; beyond it 429. Default 0: no limit.
    rate_limit: int = 0
    # TRUSTED_PROXIES: how many proxies stand before the API, 0-10. Default 0. The address of a sender is then what the
    #   first of them saw, by X-Forwarded-For; whoever reaches the API past them can say any.
    trusted_proxies: int = 0
    # CLIENT_IP: off | truncated | hashed. Default off: no address of a sender is kept, also not one inside an event.
    #   truncated keeps the network (203.0.113.0, 2001:db8:1::), hashed a code that changes every day and restart.
    client_ip: str = "off"
    # STRIP_SECRETS: on | off. Default on: tokens, passwords and e-mail addresses in the parameters of URLs become ***.
    strip_secrets: bool = True
    # RETENTION_DAYS: events received longer ago are dropped, at the start and once a day. Default 0: kept for ever.
    #   Dropping rewrites the journal; for that time (about six seconds for a million events) requests are answered 503.
    retention_days: int = 0
    # LOG_LEVEL: debug | info | warning | error. Default info.
    log_level: str = "info"

    # EVENTS_FILE: path of the journal. Default events_backup.json in the working directory.
    # events_rejected.ndjson and the checkpoint stand beside it; a symbolic link is followed first.
    events_file: Path = Path("events_backup.json")
    # FSYNC: always | everysec | no. Default always: a 2xx means the event survives a power cut.
    #   everysec answers before the disk has it: up to one second of acknowledged events is lost in a power cut.
    #   no leaves it to the kernel: up to about 30 s are lost in a power cut. Neither loses anything when only
    #   the process is killed. Group commit makes always cheap: choose it unless the disk syncs slower than 20 ms.
    fsync: str = "always"
    # MAX_REJECTED_BYTES: size of the quarantine; the older half is dropped when it is full. Default 64 MiB.
    max_rejected_bytes: int = 64 * 1024 * 1024
    # DEDUPE_WINDOW: ids remembered, exact. Default 1,000,000; costs about 130 MB for 36-character ids.
    dedupe_window: int = 1_000_000
    # CHECKPOINT_BYTES: growth of the journal after which a checkpoint is made while running. Default 256 MiB: a start
    #   after a kill reads about a million events again, some four seconds. 0: only at a stop.
    checkpoint_bytes: int = 256 * 1024 * 1024

    # MAX_BODY_BYTES: one request after decompression. Default 5 MiB. Larger bodies hold the loop longer.
    max_body_bytes: int = 5 * 1024 * 1024
    # MAX_RECORDS: events in one request. Default 10,000.
    max_records: int = 10_000
    # MAX_EVENT_BYTES: one event as sent. Default 256 KiB.
    max_event_bytes: int = 256 * 1024
    # MAX_NESTING: depth of objects and arrays inside one event, the event itself included. Default 32.
    max_nesting: int = 32
    # MAX_WAITING_BYTES: events accepted but not yet on disk; beyond it 503. Default 64 MiB.
    max_waiting_bytes: int = 64 * 1024 * 1024
    # BODY_TIMEOUT_S: seconds a client may take to send one request; then 408 and the connection is closed. Default 10.
    body_timeout_s: int = 10

    # POLL_INTERVAL_S: seconds between two polls of the dashboard. Default 2.
    poll_interval_s: int = 2

    # AWS (needed when ENV=aws). AWS_ENDPOINT_URL is read by boto3 itself and points at an emulator in tests.
    # AWS_REGION: default us-east-1.
    aws_region: str = "us-east-1"
    # KINESIS_STREAM_NAME: stream that receives events.
    kinesis_stream_name: str = ""
    # S3_BUCKET_NAME: bucket of the lake.
    s3_bucket_name: str = ""
    # DYNAMODB_TABLE_NAME: table of the live counters.
    dynamodb_table_name: str = ""
    # SPILL_FILE: journal that keeps events while Kinesis cannot take them. Default events_spill.json.
    spill_file: Path = Path("events_spill.json")
    # MAX_SPILL_BYTES: how much may wait in the spill journal; beyond it 503. Default 1 GiB.
    max_spill_bytes: int = 1024 * 1024 * 1024

    @property
    def events_url(self) -> str:
        """Where events are posted."""
        return f"{self.api_url}/events"

    @property
    def write_key(self) -> str:
        """The key that this project's own senders use; empty when none is needed."""
        return self.write_keys[0].key if self.write_keys else ""


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from `environ`; raises ConfigError that lists every problem at once."""
    return _Reader(environ).settings()


def from_environment() -> Settings:
    """Settings of this process's environment; what only looks like one is told on stderr: it may be somebody else's."""
    for sentence in misspellings(os.environ, [one.name.upper() for one in fields(Settings)]):
        sys.stderr.write(f"{sentence}\n")
    return load(os.environ)


def help_text(*prefixes: str, but: tuple[str, ...] = ()) -> str:
    """The settings whose names begin with one of `prefixes`, with their defaults, for --help; without `but`."""
    default = Settings()
    lines = [
        f"  {one.name.upper()}={_as_set(getattr(default, one.name))}"
        for one in fields(default)
        if one.name.upper().startswith(prefixes) and one.name.upper() not in but
    ]
    heading = "settings (environment variables; docs/operations.md says what each one does, and what it costs):"
    return "\n".join([heading, *lines])


def _as_set(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value == () else str(value)


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def settings(self) -> Settings:
        default = Settings()
        api_host = self._text("API_HOST", default.api_host)
        api_port = self._integer("API_PORT", default.api_port, 1, 65535)
        settings = Settings(
            env=self._choice("ENV", default.env, ("local", "aws")),
            api_host=api_host,
            api_port=api_port,
            dashboard_host=self._text("DASHBOARD_HOST", default.dashboard_host),
            dashboard_port=self._integer("DASHBOARD_PORT", default.dashboard_port, 1, 65535),
            api_url=(api_url := self._url("API_URL", f"http://{_in_url(api_host)}:{api_port}", _LOCAL_URL)),
            public_api_url=self._url("PUBLIC_API_URL", api_url, "https://events.example"),
            read_token=self._read_token(),
            write_keys=self._write_keys(),
            rate_limit=self._integer("RATE_LIMIT", default.rate_limit, 0, 10**9),
            trusted_proxies=self._integer("TRUSTED_PROXIES", default.trusted_proxies, 0, 10),
            client_ip=self._choice("CLIENT_IP", default.client_ip, CLIENT_IP_CHOICES),
            strip_secrets=self._choice("STRIP_SECRETS", "on", ("on", "off")) == "on",
            retention_days=self._integer("RETENTION_DAYS", default.retention_days, 0, 36_500),
            log_level=self._choice("LOG_LEVEL", default.log_level, ("debug", "info", "warning", "error")),
            events_file=self._file("EVENTS_FILE", default.events_file),
            fsync=self._choice("FSYNC", default.fsync, ("always", "everysec", "no")),
            max_rejected_bytes=self._integer("MAX_REJECTED_BYTES", default.max_rejected_bytes, 64 * 1024, 2**40),
            dedupe_window=self._integer("DEDUPE_WINDOW", default.dedupe_window, 1, 100_000_000),
            checkpoint_bytes=self._integer("CHECKPOINT_BYTES", default.checkpoint_bytes, 0, 2**44),
            max_body_bytes=self._integer("MAX_BODY_BYTES", default.max_body_bytes, 1024, 2**30),
            max_records=self._integer("MAX_RECORDS", default.max_records, 1, 1_000_000),
            max_event_bytes=self._integer("MAX_EVENT_BYTES", default.max_event_bytes, 256, 2**30),
            max_nesting=self._integer("MAX_NESTING", default.max_nesting, 2, 200),
            max_waiting_bytes=self._integer("MAX_WAITING_BYTES", default.max_waiting_bytes, 1024, 2**34),
            body_timeout_s=self._integer("BODY_TIMEOUT_S", default.body_timeout_s, 1, 3600),
            poll_interval_s=self._integer("POLL_INTERVAL_S", default.poll_interval_s, 1, 3600),
            aws_region=self._text("AWS_REGION", default.aws_region),
            kinesis_stream_name=self._text("KINESIS_STREAM_NAME", default.kinesis_stream_name),
            s3_bucket_name=self._text("S3_BUCKET_NAME", default.s3_bucket_name),
            dynamodb_table_name=self._text("DYNAMODB_TABLE_NAME", default.dynamodb_table_name),
            spill_file=self._file("SPILL_FILE", default.spill_file),
            max_spill_bytes=self._integer("MAX_SPILL_BYTES", default.max_spill_bytes, 1024, 2**44),
        )
        self._check_together(settings)
        if self._problems:
            count = len(self._problems)
            heading = f"config: {count} problem{'s' if count > 1 else ''}"
            raise ConfigError("\n".join([heading, *(f"  {problem}" for problem in self._problems)]))
        return settings

    def _check_together(self, settings: Settings) -> None:
        if settings.env == "aws":
            for name in ("KINESIS_STREAM_NAME", "S3_BUCKET_NAME", "DYNAMODB_TABLE_NAME"):
                if not getattr(settings, name.lower()):
                    self._problems.append(f"{name} is not set: ENV=aws needs it; infra/deploy.sh prints its value")
        if settings.api_port == settings.dashboard_port and settings.api_host == settings.dashboard_host:
            self._problems.append(f"API_PORT and DASHBOARD_PORT are both {settings.api_port}: choose two ports")
        for name in ("API_HOST", "DASHBOARD_HOST"):
            host = getattr(settings, name.lower())
            if host not in _LOOPBACK and not settings.read_token:
                self._problems.append(f'{name}="{host}": anybody there could read events; set READ_TOKEN as well')

    def _value(self, name: str, default: T, parse: Callable[[str], T], expected: str) -> T:
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self._problems.append(f'{name}="{text}": expected {expected}')
            return default

    def _text(self, name: str, default: str) -> str:
        return self._value(name, default, str, "text")

    def _file(self, name: str, default: Path) -> Path:
        """A path; of a symbolic link the file that it leads to, because whoever rewrites that renames over it."""
        path = Path(self._text(name, str(default)))
        return Path(os.path.realpath(path)) if path.is_symlink() else path

    def _choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        def parse(text: str) -> str:
            return choices[choices.index(text.lower())]

        return self._value(name, default, parse, " or ".join(choices))

    def _write_keys(self) -> tuple[WriteKey, ...]:
        try:
            return parse_write_keys(self._environ.get("WRITE_KEYS", ""))
        except ValueError as problem:  # says what is wrong without the value: keys do not belong into logs
            self._problems.append(
                f"WRITE_KEYS: {problem}; expected source=key;origins=https://…;rate=500, source=key …"
            )
            return ()

    def _read_token(self) -> str:
        token = self._environ.get("READ_TOKEN", "").strip()
        if fits_header(token):
            return token
        self._problems.append(f"READ_TOKEN: {HEADER_EXPECTED}")  # without the value: secrets do not belong into logs
        return ""

    def _integer(self, name: str, default: int, least: int, most: int) -> int:
        def parse(text: str) -> int:
            number = int(text)
            if not least <= number <= most:
                raise ValueError
            return number

        return self._value(name, default, parse, f"an integer from {least} to {most}")

    def _url(self, name: str, default: str, such_as: str) -> str:
        def parse(text: str) -> str:
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
                raise ValueError  # as `port` does for what is none
            if _NOT_IN_ADDRESSES.search(text):  # paths are put behind it, and it stands in commands to copy
                raise ValueError
            return text.rstrip("/")

        return self._value(name, default, parse, f"an address such as {such_as}")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
