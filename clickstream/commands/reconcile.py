"""Compare lake, live counters and stream of ENV=aws over a span of time; exit code 1 when they drift apart."""

from __future__ import annotations

import argparse

from clickstream.aws import reconciliation
from clickstream.aws.clients import client
from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.lake import Lake
from clickstream.aws.reconciliation import MOST_DRIFT_PERCENT, Drift
from clickstream.option_values import since_argument, until_argument
from clickstream.timestamps import MINUTE_MS, now_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `reconcile` takes."""
    parser.add_argument("--bucket", required=True, help="of the lake (S3_BUCKET_NAME)")
    parser.add_argument("--table", required=True, help="of the live counters (DYNAMODB_TABLE_NAME)")
    parser.add_argument("--stream", help="read the stream too (KINESIS_STREAM_NAME); takes its time")
    parser.add_argument("--since", type=since_argument, metavar="TIME", help="default: 24 hours before --until")
    parser.add_argument("--until", type=until_argument, metavar="TIME", help="default: the last full hour but one")
    parser.add_argument(
        "--athena", nargs=2, metavar=("DATABASE", "WORKGROUP"), help="let Athena count the lake, instead of fetching it"
    )
    parser.add_argument("--most-percent", type=float, default=MOST_DRIFT_PERCENT, help="(default %(default)s)")
    parser.add_argument("--region", default="us-east-1", help="(default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Print the counts; 1 when they differ by more than --most-percent. Raises NotCounted."""
    since_ms, until_ms = reconciliation.settled_span(now_ms())
    if args.until is not None:
        since_ms, until_ms = since_ms - until_ms + args.until, args.until
    since_ms = since_ms if args.since is None else args.since
    with reconciliation.answered():
        drift = _drift(args, since_ms // MINUTE_MS * MINUTE_MS, until_ms // MINUTE_MS * MINUTE_MS)
    print("\n".join(drift.lines()))
    return 1 if drift.percent > args.most_percent else 0


def _drift(args: argparse.Namespace, since_ms: int, until_ms: int) -> Drift:
    counters = reconciliation.in_counters(CounterTable(client("dynamodb", args.region), args.table), since_ms, until_ms)
    if args.athena:
        database, workgroup = args.athena
        athena = client("athena", args.region)
        lake = reconciliation.in_athena(
            athena, database=database, workgroup=workgroup, since_ms=since_ms, until_ms=until_ms
        )
    else:
        lake = reconciliation.in_lake(Lake(client("s3", args.region), args.bucket), since_ms, until_ms)
    stream = None
    if args.stream:
        stream = reconciliation.in_stream(client("kinesis", args.region), args.stream, since_ms, until_ms)
    return Drift(since_ms, until_ms, counters, lake, stream)
