"""What Firehose does, on this machine: every line of the stream into Parquet objects in the lake's layout."""

from __future__ import annotations

import base64
import datetime as dt
import tempfile
import uuid
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream import parquet
from clickstream.aws.lake import PREFIX
from clickstream.aws.local.shards import ShardReader
from clickstream.aws.packing import Line, unpack

FLUSH_BYTES: Final = 16 * 1024 * 1024

_encode: Final = msgspec.json.Encoder().encode


class Delivery:
    """Reads the whole stream once, buffers by hour of arrival, writes when asked or when the buffer is full.

    Like Firehose at least once: what was read and not flushed when the process dies is read again.
    """

    def __init__(self, kinesis: Any, s3: Any, stream: str, bucket: str) -> None:  # noqa: ANN401 (boto3)
        self._reader = ShardReader(kinesis, stream)
        self._s3 = s3
        self._bucket = bucket
        self._waiting: dict[str, list[bytes]] = {}  # lines by partition
        self._size = 0
        self.delivered = 0
        self.failed = 0

    def take(self) -> int:
        """Read what the stream has beyond the last call; returns how many records that were."""
        records = 0
        for shard in self._reader.shards():
            while batch := self._reader.read(shard):
                records += len(batch)
                for record in batch:
                    self._buffer(record)
                self._reader.commit(shard)
                if self._size >= FLUSH_BYTES:
                    self.flush()
        return records

    def flush(self) -> None:
        """Write one object for each partition that has lines waiting."""
        waiting, self._waiting, self._size = self._waiting, {}, 0
        for partition, lines in waiting.items():
            with tempfile.TemporaryDirectory(prefix="clickstream-delivery-") as directory:
                path = parquet.write(lines, Path(directory))
                self._s3.upload_file(str(path), self._bucket, f"{PREFIX}{partition}/{uuid.uuid4()}.parquet")
            self.delivered += len(lines)

    def _buffer(self, record: dict[str, Any]) -> None:
        arrived = record["ApproximateArrivalTimestamp"].astimezone(dt.timezone.utc)
        partition = f"dt={arrived:%Y-%m-%d}/hour={arrived:%H}"
        for number, line, raw in unpack(record["Data"]):
            if isinstance(line, Line):
                # Written from what was understood, so that plain events get the same columns.
                self._waiting.setdefault(partition, []).append(_encode(line))
                self._size += len(raw)
            else:
                self.failed += 1
                key = f"errors/format-conversion-failed/dt={arrived:%Y-%m-%d}/{record['SequenceNumber']}-{number}"
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=_failure(raw, record, arrived, str(line)))


def _failure(raw: bytes, record: dict[str, Any], arrived: dt.datetime, reason: str) -> bytes:
    """What Firehose's documentation says that it writes about a record that it could not convert."""
    return _encode(
        {
            "attemptsMade": 1,
            "arrivalTimestamp": int(arrived.timestamp() * 1000),
            "lastErrorCode": "DataFormatConversion.MalformedData",
            "lastErrorMessage": reason,
            "rawData": base64.b64encode(raw).decode(),
            "sequenceNumber": record["SequenceNumber"],
        }
    )
