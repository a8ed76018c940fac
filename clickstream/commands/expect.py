"""Wait until expected events have arrived, else say what came instead: `expect event_type=purchase user_id=42`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from clickstream.client.expecting import expect, report
from clickstream.client.reading import ApiProblem
from clickstream.errors import RequestRefused
from clickstream.expectations import MAX_WAIT_S, seconds
from clickstream.place import command
from clickstream.simulation.options import number, secret
from clickstream.terminal import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `expect` takes."""
    parser.add_argument(
        "conditions",
        nargs="*",
        metavar="NAME=VALUE",
        help="event_id, event_type, user_id, anonymous_id, session_id, product, property.NAME, since, until; "
        "also min, timeout, test_id",
    )
    parser.set_defaults(stray_hint=" (conditions come before options)")
    parser.add_argument("--min", type=int, help="how many events at least (default 1)")
    parser.add_argument("--timeout", type=number(0.0, MAX_WAIT_S), help="seconds to wait, at most 60 (default 5)")
    parser.add_argument("--test-id", help="only events sent with this X-Clickstream-Test-Id")
    parser.add_argument("--api-url", metavar="URL", help="where the API is (default API_URL, else API_HOST:API_PORT)")
    parser.add_argument(
        "--token", type=secret, help="what reading needs, where READ_TOKEN is set for the API (default READ_TOKEN)"
    )


def run(args: argparse.Namespace) -> int:
    """0 and the events, one a line, when they have come; 1 and what came instead when not."""
    if not args.conditions and args.min is None and args.test_id is None:  # forgotten: any event at all would do
        print("name what is expected, such as event_type=purchase, or --min 1 for any event", file=sys.stderr)
        return 2
    try:
        conditions = _conditions(args.conditions)
        least = _number(_once(conditions, "min", args.min, "1"))
        timeout_s = seconds(_once(conditions, "timeout", args.timeout, "5"))
        test_id = _once(conditions, "test_id", args.test_id, "")
    except (ValueError, RequestRefused) as problem:
        print(problem, file=sys.stderr)
        return 2
    settings = args.settings()
    try:
        answer = expect(
            settings.api_url if args.api_url is None else args.api_url.rstrip("/"),
            conditions,
            least=least,
            timeout_s=timeout_s,
            test_id=test_id,
            read_token=settings.read_token if args.token is None else args.token,
        )
    except ApiProblem as problem:
        print("\n".join(filter(None, [words.clean(str(problem)), _remedy(problem)])), file=sys.stderr)
        return 2
    if answer["status"] == "met":
        print("\n".join(words.as_json(event) for event in answer["events"]))
        return 0
    print(report(answer, conditions, least=least), file=sys.stderr)
    return 1


def _conditions(given: Sequence[str]) -> dict[str, str]:
    """Each condition by its name; raises ValueError for what is none, and for a second one of the same name."""
    conditions: dict[str, str] = {}
    for condition in given:
        name, equals, value = condition.partition("=")
        if not equals:
            raise ValueError(f"{condition}: expected NAME=VALUE, such as event_type=purchase")
        if name in conditions:
            raise ValueError(f"{name} stands twice: an event has one value of it")
        conditions[name] = value
    return conditions


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f"min={text[:40]}: expected a number of events")
    return int(text)


def _once(conditions: dict[str, str], name: str, option: object, default: str) -> str:
    """What `name` is to be, asked for as a condition, as the API's address has it, or as an option."""
    condition = conditions.pop(name, None)
    if condition is not None and option is not None:
        raise ValueError(f"{name} stands twice: as a condition and as an option")
    if condition is None:
        return default if option is None else f"{option:.3f}" if isinstance(option, float) else str(option)
    return condition


def _remedy(problem: ApiProblem) -> str:
    if problem.kind == "unreachable":
        return f"Start it with `{command('local_api.py')}`, or name another address with --api-url or API_URL."
    if problem.status == 401:
        return "Give the READ_TOKEN of the API with --token, or set it here too."
    return "" if problem.status == 400 else "Is this the address of the API? Say another one with --api-url."
