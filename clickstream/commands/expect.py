"""Wait until expected events have arrived, else say what came instead: `expect event_type=purchase user_id=42`."""

from __future__ import annotations

import argparse
import sys

from clickstream.client.expecting import expect, report
from clickstream.client.reading import ApiProblem
from clickstream.place import command
from clickstream.simulation.options import secret
from clickstream.terminal import words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `expect` takes."""
    parser.add_argument(
        "conditions",
        nargs="*",
        metavar="NAME=VALUE",
        help="event_type, user_id, anonymous_id, session_id, property.NAME",
    )
    parser.add_argument("--min", type=int, default=1, help="how many events at least (default 1)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait (default 5)")
    parser.add_argument("--test-id", help="only events sent with this X-Clickstream-Test-Id")
    parser.add_argument("--api-url", metavar="URL", help="where the API is (default API_URL, else API_HOST:API_PORT)")
    parser.add_argument(
        "--token", type=secret, help="what reading needs, where READ_TOKEN is set for the API (default READ_TOKEN)"
    )


def run(args: argparse.Namespace) -> int:
    """0 and the events, one a line, when they have come; 1 and what came instead when not."""
    wrong = [condition for condition in args.conditions if "=" not in condition]
    if wrong:
        print(f"{wrong[0]}: expected NAME=VALUE, such as event_type=purchase", file=sys.stderr)
        return 2
    conditions = dict(condition.split("=", 1) for condition in args.conditions)
    settings = args.settings()
    try:
        answer = expect(
            settings.api_url if args.api_url is None else args.api_url.rstrip("/"),
            conditions,
            least=args.min,
            timeout_s=args.timeout,
            test_id=args.test_id,
            read_token=settings.read_token if args.token is None else args.token,
        )
    except ApiProblem as problem:
        print("\n".join(filter(None, [words.clean(str(problem)), _remedy(problem)])), file=sys.stderr)
        return 2
    if answer["status"] == "met":
        print("\n".join(words.as_json(event) for event in answer["events"]))
        return 0
    print(report(answer, conditions, least=args.min), file=sys.stderr)
    return 1


def _remedy(problem: ApiProblem) -> str:
    if problem.kind == "unreachable":
        return f"Start it with `{command('local_api.py')}`, or name another address with --api-url or API_URL."
    if problem.status == 401:
        return "Give the READ_TOKEN of the API with --token, or set it here too."
    return "" if problem.status == 400 else "Is this the address of the API? Say another one with --api-url."
