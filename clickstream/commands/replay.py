"""Send collected events to another place: from a file or the lake to a running API or a Kinesis stream."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from clickstream.aws.clients import client, producer
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import PREFIX
from clickstream.aws.lake_writing import ToLake
from clickstream.aws.replay_sources import ERRORS_PREFIX, from_file, from_s3
from clickstream.aws.replaying import ReplayFailed, Result, Sourced, Target, ToApi, ToStream, replay
from clickstream.aws.sink import KinesisSink
from clickstream.option_values import since_argument, until_argument
from clickstream.simulation.options import secret
from clickstream.start import begun
from clickstream.terminal.words import clean
from clickstream.timestamps import now_ms

_PROBLEMS_SHOWN: Final = 1_000
_EVERY_S: Final = 0.2
_EVERY_PIPED_S: Final = 5.0
_LONG_PAUSE_S: Final = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `replay` takes."""
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        help="a journal or export (json, ndjson), s3://BUCKET/events/ (the lake), s3://BUCKET/aws/lambda/ (given up), "
        "s3://BUCKET/errors/ (not converted)",
    )
    parser.add_argument(
        "--to",
        dest="target",
        required=True,
        help="an API such as http://127.0.0.1:3000, or kinesis:STREAM; s3://BUCKET/events/ for what was not converted",
    )
    parser.add_argument("--since", type=since_argument, metavar="TIME", help="only events that happened from then on")
    parser.add_argument("--until", type=until_argument, metavar="TIME", help="only events that happened before")
    parser.add_argument("--speed", type=_speed, help="keep the gaps between events, divided by this; else at once")
    parser.add_argument("--key", type=secret, help="the write key of the API (default the first one of WRITE_KEYS)")
    parser.add_argument(
        "--table", help="of the live counters, for s3://BUCKET/aws/lambda/ (default DYNAMODB_TABLE_NAME)"
    )
    parser.add_argument("--region", default="us-east-1", help="of s3 and kinesis (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """0 when every event was taken or known already, 1 when some were rejected, 130 when it was interrupted."""
    begun()
    progress = _Progress()
    try:
        result = replay(
            _events(args),
            _target(args),
            since_ms=args.since,
            until_ms=args.until,
            speed=args.speed,
            on_sent=progress.show,
            on_wait=progress.wait,
        )
    except KeyboardInterrupt:
        progress.clear()
        print(f"Interrupted: {progress.sent:,} events sent. The same command begins anew; what is there is known.")
        return 130
    progress.clear()
    print(
        f"{result.sent:,} events sent: {result.accepted:,} accepted, {result.duplicates:,} known already, "
        f"{len(result.problems):,} rejected; {result.skipped:,} outside the asked time"
    )
    if result.counted:
        print(f"{result.counted:,} more had been counted before their batch was given up")
    for problem in result.problems[:_PROBLEMS_SHOWN]:
        print(f"  {clean(problem)}", file=sys.stderr)
    if len(result.problems) > _PROBLEMS_SHOWN:
        print(f"  and {len(result.problems) - _PROBLEMS_SHOWN:,} more", file=sys.stderr)
    return 1 if result.problems else 0


class _Progress:
    """What was sent so far, on standard error: a line that replaces itself in a terminal, one at times elsewhere."""

    def __init__(self) -> None:
        self._in_place = sys.stderr.isatty()
        self._next_s = 0.0 if self._in_place else time.monotonic() + _EVERY_PIPED_S
        self.sent = 0

    def show(self, result: Result) -> None:
        self.sent = result.sent
        if (now_s := time.monotonic()) < self._next_s:
            return
        self._next_s = now_s + (_EVERY_S if self._in_place else _EVERY_PIPED_S)
        self._print(f"{result.sent:,} events sent …")

    def wait(self, seconds: float) -> None:
        """Say how long nothing will be sent, where somebody would wonder."""
        if seconds >= _LONG_PAUSE_S:
            self._print(
                f"{self.sent:,} events sent; the next one is due in {timedelta(seconds=round(seconds))} (Ctrl-C ends)"
            )

    def _print(self, line: str) -> None:
        if self._in_place:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._in_place:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _events(args: argparse.Namespace) -> Iterator[Sourced]:
    if not args.source.startswith("s3://"):
        return from_file(Path(args.source))
    bucket, prefix = _place(args.source)
    name = args.settings().dynamodb_table_name if args.table is None else args.table
    table = CounterTable(client("dynamodb", args.region), name) if name else None
    return from_s3(client("s3", args.region), bucket, prefix, table)


def _target(args: argparse.Namespace) -> Target:
    is_unconverted = args.source.startswith("s3://") and _place(args.source)[1].startswith(ERRORS_PREFIX)
    if is_unconverted or args.target.startswith("s3://"):
        return _lake(args, is_unconverted=is_unconverted)
    if args.target.startswith("kinesis:"):
        stream = args.target.removeprefix("kinesis:")
        sink = KinesisSink(producer(args.region).put_records, stream, is_replay=True)
        return ToStream(sink, max_nesting=args.settings().max_nesting, clock_ms=now_ms)
    if not args.target.startswith(("http://", "https://")):
        raise ReplayFailed(f"{args.target}: expected an API such as http://127.0.0.1:3000, or kinesis:STREAM")
    return ToApi(args.target, key=args.settings().write_key if args.key is None else args.key)


def _lake(args: argparse.Namespace, *, is_unconverted: bool) -> Target:
    bucket, prefix = _place(args.target)
    if not (is_unconverted and args.target.startswith("s3://") and prefix in ("", PREFIX, PREFIX.rstrip("/"))):
        raise ReplayFailed(
            f"from {args.source} to {args.target}: what Firehose could not convert has been counted and is missing in "
            f"the lake only: s3://BUCKET/{ERRORS_PREFIX} goes to s3://BUCKET/{PREFIX}, and nothing else does"
        )
    return ToLake(client("s3", args.region), bucket, max_nesting=args.settings().max_nesting, clock_ms=now_ms)


def _place(address: str) -> tuple[str, str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, prefix


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}": expected a number above 0, such as 10 for ten times as fast')
    return speed
