"""Where a replay takes its events from: a file, the lake, or the records that the consumer has given up."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream.aws.consumer.table import CounterTable
from clickstream.aws.consumer.watermark import counted_through, position_of
from clickstream.aws.lake import PREFIX, Lake
from clickstream.aws.packing import Line, NotAnEvent, event_of, unpack
from clickstream.aws.replaying import ReplayFailed, Sourced
from clickstream.event_files import why_no_events

FAILED_PREFIX: Final = "aws/lambda/"  # where Lambda's failure destination writes
ERRORS_PREFIX: Final = "errors/"  # where Firehose writes what it could not convert
_LINES_LOOKED_AT: Final = 1_000
_BLANKS: Final = re.compile(r"\s*")


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
        raise ReplayFailed(f"{path} {why_no_events(path)}")


def _is_event(record: bytes) -> bool:
    try:
        found = _envelope.decode(record)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return (found.timestamp or found.received_at) is not None


def from_s3(s3: Any, bucket: str, prefix: str, table: CounterTable | None) -> Iterator[Sourced]:  # noqa: ANN401 (boto3 makes its classes at run time)
    """Events of the lake, with `prefix` errors/… those that did not get there, with aws/lambda/… those given up.

    Of what the consumer has given up `table` says what had been counted.
    """
    if prefix.startswith(ERRORS_PREFIX):
        return _unconverted(s3, bucket, prefix)
    if prefix.startswith(FAILED_PREFIX):
        if table is None:
            raise ReplayFailed(
                f"s3://{bucket}/{prefix}: name the table of the live counters with --table (or DYNAMODB_TABLE_NAME), "
                "which says what of these records has been counted"
            )
        return _given_up(s3, bucket, prefix, table)
    if prefix and not PREFIX.startswith(prefix.rstrip("/") + "/") and not prefix.startswith(PREFIX):
        raise ReplayFailed(
            f"s3://{bucket}/{prefix}: expected {PREFIX} (the lake), {ERRORS_PREFIX} (not converted) "
            f"or {FAILED_PREFIX} (given up)"
        )
    rows = Lake(s3, bucket).rows(prefix if prefix.startswith(PREFIX) else PREFIX)
    return (Sourced(row.place, row.event) for row in rows)


def _given_up(s3: Any, bucket: str, prefix: str, table: CounterTable) -> Iterator[Sourced]:  # noqa: ANN401 (as above)
    """Events in the objects of Lambda's failure destination."""
    for key, content in _objects(s3, bucket, prefix):
        body = json.loads(content)
        records = json.loads(body["payload"])["Records"]
        sequences = [record["kinesis"]["sequenceNumber"] for record in records]
        through = counted_through(table, body["KinesisBatchInfo"]["shardId"], sequences[-1])
        for sequence, record in zip(sequences, records, strict=True):
            for number, line, _ in unpack(base64.b64decode(record["kinesis"]["data"])):
                is_counted = position_of(sequence, number) <= through
                event = event_of(line) if isinstance(line, Line) else line
                yield Sourced(f"{key}, record {sequence}, line {number + 1}", event, is_counted)


def _unconverted(s3: Any, bucket: str, prefix: str) -> Iterator[Sourced]:  # noqa: ANN401 (as above)
    """Events in Firehose's objects of errors: JSON documents one behind the other, each with a record of the stream."""
    for key, content in _objects(s3, bucket, prefix):
        try:
            documents = list(_documents(content.decode()))
        except (ValueError, KeyError, TypeError) as problem:
            yield Sourced(key, NotAnEvent(f"not what Firehose writes about a failed record: {problem!r}"))
            continue
        for number, data in enumerate(documents, 1):
            for line_number, line, _ in unpack(data):
                event = event_of(line) if isinstance(line, Line) else line
                yield Sourced(f"{key}, record {number}, line {line_number + 1}", event)


def _documents(text: str) -> Iterator[bytes]:
    decoder = json.JSONDecoder()
    end = 0
    while (begin := _BLANKS.match(text, end).end()) < len(text):  # type: ignore[union-attr]  # it matches nothing as well
        document, end = decoder.raw_decode(text, begin)
        yield base64.b64decode(document["rawData"], validate=True)


def _objects(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, bytes]]:  # noqa: ANN401 (as above)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for key in (one["Key"] for page in pages for one in page.get("Contents", [])):
        yield key, s3.get_object(Bucket=bucket, Key=key)["Body"].read()
