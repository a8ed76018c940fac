"""Command-line values that both generators check in the same way."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from clickstream.access import HEADER_EXPECTED, fits_header
from clickstream.timestamps import parse

LONGEST_S: Final = 36_500 * 86_400.0  # a century; no run of a generator, or part of one, takes longer
_FIRST_MS: Final = parse("1900-01-01T00:00:00Z")
_LAST_MS: Final = parse("3000-01-01T00:00:00Z") - 1


def add_target(parser: argparse.ArgumentParser) -> None:
    """Offer --endpoint and --key; what is not given comes from the settings that the API has too."""
    parser.add_argument(
        "--endpoint",
        type=endpoint,
        metavar="URL",
        help="where events are posted, default API_URL (else http://API_HOST:API_PORT) and /events",
    )
    parser.add_argument("--key", type=secret, metavar="KEY", help="the write key, default the first one of WRITE_KEYS")


def endpoint(text: str) -> str:
    """Where events are posted: an http(s) address with a host; of an API's alone it is its /events."""
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, brackets that do not match
        is_one = False
    if not is_one:
        raise argparse.ArgumentTypeError(f'"{text}": expected an address such as http://localhost:3000/events')
    return text if parts.path not in ("", "/") or parts.query else parts._replace(path="/events").geturl()


def secret(text: str) -> str:
    """A key or token, which travels in a header."""
    if not fits_header(text):
        raise argparse.ArgumentTypeError(HEADER_EXPECTED)
    return text


def number(least: float, most: float) -> Callable[[str], float]:
    """A number from `least` to `most`."""

    def parse(text: str) -> float:
        given = _number(text)
        if not least <= given <= most:
            raise argparse.ArgumentTypeError(f'"{text}": expected a number from {least:,g} to {most:,.0f}')
        return given

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """An integer from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            number = int(text.replace("_", "").replace(",", ""))
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f'"{text}": expected an integer from {least:,} to {most:,}')
        return number

    return parse


def share(text: str) -> float:
    """A share from 0 to 1; `5%` is 0.05."""
    number = _number(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'"{text}": expected a share from 0 to 1, or 0% to 100%')
    return number


def period_s(text: str) -> float:
    """Seconds of a period such as 30d, 12h, 90m or 45s."""
    units = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
    seconds = _number(text[:-1]) * units.get(text[-1:], 0.0) if text[-1:] in units else 0.0
    if not 0.001 <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f'"{text}": expected a period such as 30d, 12h or 90m, at most 36500d')
    return seconds


def moment_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time; not so late that a run could reach the last year there is."""
    try:
        moment = parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f'"{text}" {problem}') from None
    if not _FIRST_MS <= moment <= _LAST_MS:
        raise argparse.ArgumentTypeError(f'"{text}": expected a time from the years 1900 to 2999')
    return moment


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}": expected a number')
    return number
