"""Values of options that commands share, and how argparse takes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from clickstream.analytics.dimensions import name_of, type_of
from clickstream.analytics.scope import wrong_with
from clickstream.analytics.steps import steps_of
from clickstream.bounds import parse_since, parse_until, zone_of
from clickstream.errors import RequestRefused

_T = TypeVar("_T")


def since_argument(value: str) -> int:
    """Where a span begins, in milliseconds since 1970, for argparse."""
    return _meant(value, parse_since)


def until_argument(value: str) -> int:
    """Where a span ends, in milliseconds since 1970, for argparse."""
    return _meant(value, parse_until)


def bound_argument(value: str) -> str:
    """The text of such a bound, whose day is one of a zone that is still to come, for argparse."""
    _meant(value, parse_since)
    return value


def zone_argument(value: str) -> ZoneInfo:
    """A time zone, for argparse."""
    return _meant(value, zone_of)


def _meant(value: str, parse: Callable[[str], _T]) -> _T:
    try:
        return parse(value)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{value!r} {problem}") from None


class InsteadOf(argparse.Action):
    """Takes SQL `instead_of` the name of a question, which is then no longer missing.

    Not a NAME with nargs="?": argparse takes that for left out where an option stands before it.
    """

    def __init__(self, *, instead_of: argparse.Action, **options: Any) -> None:  # noqa: ANN401 (those of argparse)
        super().__init__(**options)
        self._instead_of = instead_of

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 (as below)
        option_string: str | None = None,
    ) -> None:
        """Take the SQL."""
        self._instead_of.required = False
        setattr(namespace, self.dest, values)


class NamedText(argparse.Action):
    """Puts NAME and TEXT to those given before; a name given twice would mean only its second text, silently."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,  # noqa: ANN401 (what `type` has made of it, which argparse cannot tell)
        option_string: str | None = None,
    ) -> None:
        """Take one more, or refuse it."""
        name, said = values
        visit: dict[str, str] = getattr(namespace, self.dest)
        if name in visit:
            raise argparse.ArgumentError(self, f"{name} stands twice: it has one value")
        setattr(namespace, self.dest, {**visit, name: said})


def visit_argument(value: str) -> tuple[str, str]:
    """NAME=TEXT that a visit can be known by, for argparse."""
    name, _, said = value.partition("=")
    if reason := wrong_with(name, said):
        raise argparse.ArgumentTypeError(reason)
    return name, said


def steps_argument(value: str) -> tuple[str, ...]:
    """The steps of a funnel, for argparse."""
    return _taken(steps_of, value)


def by_argument(value: str) -> str:
    """What a breakdown goes by, for argparse."""
    return _taken(name_of, value)


def of_argument(value: str) -> str:
    """Which events a breakdown counts, for argparse."""
    return _taken(type_of, value)


def _taken(parse: Callable[[str], _T], value: str) -> _T:
    try:
        return parse(value)
    except RequestRefused as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
