"""Where a replay takes its events from: a file, the lake, or the records that the consumer has given up."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.consumer.watermark import counted_through, position_of
from clickstream.aws.lake import PREFIX, Lake
from clickstream.aws.packing import Line, event_of, unpack
from clickstream.aws.replaying import ReplayFailed, Sourced

FAILED_PREFIX: Final = "aws/lambda/"  # where Lambda's failure destination writes
_LINES_LOOKED_AT: Final = 1_000


class _Envelope(msgspec.Struct):
    timestamp: str | None = None
    received_at: str | None = None


_envelope: Final = msgspec.json.Decoder(_Envelope)


def from_file(path: Path) -> Iterator[Sourced]:
    """Events of a journal, an export as json or as ndjson: one event a line; ReplayFailed when it holds none."""
    _check_holds_events(path)  # now, and not when the first event is asked for
    return (Sourced(f"line {number}", record) for number, record in _lines(path))


def _lines(path: Path, most_lines: int | None = None) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(islice(file, most_lines), 1):
            record = line.strip().rstrip(b",").strip()
            if record not in (b"", b"[", b"]"):
                yield number, record


def _check_holds_events(path: Path) -> None:
    """A file of something else is refused as a whole, and not line by line."""
    seen = list(_lines(path, _LINES_LOOKED_AT))
    if seen and not any(_is_event(record) for _, record in seen):
        raise ReplayFailed(
            f"{path} holds no events: expected a journal or an export as json or ndjson, an event a line"
        )


def _is_event(record: bytes) -> bool:
    try:
        found = _envelope.decode(record)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return (found.timestamp or found.received_at) is not None


def from_s3(s3: Any, bucket: str, prefix: str, table: CounterTable | None) -> Iterator[Sourced]:  # noqa: ANN401 (boto3 makes its classes at run time)
    """Events of the lake, or with `prefix` aws/lambda/… those that the consumer has given up.

    For the latter `table` says what of them was counted before.
    """
    if prefix.startswith(FAILED_PREFIX):
        if table is None:
            raise ReplayFailed(
                f"s3://{bucket}/{prefix}: name the table of the live counters with --table (or DYNAMODB_TABLE_NAME), "
                "which says what of these records has been counted"
            )
        return _given_up(s3, bucket, prefix, table)
    if prefix and not PREFIX.startswith(prefix.rstrip("/") + "/") and not prefix.startswith(PREFIX):
        raise ReplayFailed(f"s3://{bucket}/{prefix}: expected {PREFIX} (the lake) or {FAILED_PREFIX} (given up)")
    rows = Lake(s3, bucket).rows(prefix if prefix.startswith(PREFIX) else PREFIX)
    return (Sourced(row.place, row.event) for row in rows)


def _given_up(s3: Any, bucket: str, prefix: str, table: CounterTable) -> Iterator[Sourced]:  # noqa: ANN401 (as above)
    """Events in the objects of Lambda's failure destination."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for key in (one["Key"] for page in pages for one in page.get("Contents", [])):
        body = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        records = json.loads(body["payload"])["Records"]
        sequences = [record["kinesis"]["sequenceNumber"] for record in records]
        through = counted_through(table, body["KinesisBatchInfo"]["shardId"], sequences[-1])
        for sequence, record in zip(sequences, records, strict=True):
            for number, line, _ in unpack(base64.b64decode(record["kinesis"]["data"])):
                is_counted = position_of(sequence, number) <= through
                event = event_of(line) if isinstance(line, Line) else line
                yield Sourced(f"{key}, record {sequence}, line {number + 1}", event, is_counted)
