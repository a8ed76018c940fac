"""Send collected events to another place: from a file or the lake to a running API or a Kinesis stream."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clickstream.aws.clients import client
from clickstream.aws.replaying import Target, ToApi, ToStream, from_file, from_s3, replay
from clickstream.aws.sink import KinesisSink
from clickstream.commands.sql import time_argument

_PROBLEMS_SHOWN: Final = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `replay` takes."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        help="a journal or export (json, ndjson), s3://BUCKET/events/ (the lake), s3://BUCKET/aws/lambda/ (given up)",
    )
    parser.add_argument(
        "--to", dest="target", required=True, help="an API such as http://127.0.0.1:3000, or kinesis:STREAM"
    )
    parser.add_argument("--since", type=time_argument, metavar="TIME", help="only events that happened from then on")
    parser.add_argument("--until", type=time_argument, metavar="TIME", help="only events that happened before")
    parser.add_argument("--speed", type=_speed, help="keep the gaps between events, divided by this; else at once")
    parser.add_argument("--region", default="us-east-1", help="of s3 and kinesis (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """0 when every event was taken or known already, 1 when some were refused."""
    result = replay(_records(args), _target(args), since_ms=args.since, until_ms=args.until, speed=args.speed)
    print(
        f"{result.sent:,} events sent: {result.accepted:,} accepted, {result.duplicates:,} known already, "
        f"{len(result.problems):,} refused; {result.skipped:,} outside the asked time"
    )
    for problem in result.problems[:_PROBLEMS_SHOWN]:
        print(f"  {problem}", file=sys.stderr)
    return 1 if result.problems else 0


def _records(args: argparse.Namespace) -> Iterator[bytes]:
    if not args.source.startswith("s3://"):
        return from_file(Path(args.source))
    bucket, _, prefix = args.source.removeprefix("s3://").partition("/")
    return from_s3(client("s3", args.region), bucket, prefix)


def _target(args: argparse.Namespace) -> Target:
    if args.target.startswith("kinesis:"):
        stream = args.target.removeprefix("kinesis:")
        return ToStream(KinesisSink(client("kinesis", args.region, attempts=1).put_records, stream))
    return ToApi(args.target)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}": expected a number above 0, such as 10 for ten times as fast')
    return speed
