"""Events written into the lake beside Firehose: those that it could not convert. Nobody counts them again."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from clickstream import parquet
from clickstream.aws.completion import as_kept
from clickstream.aws.lake import PREFIX
from clickstream.aws.packing import MAX_EVENT_BYTES, line_of
from clickstream.aws.replaying import Result
from clickstream.events import Limits


class _Received(msgspec.Struct):
    received_at: str


_received: Final = msgspec.json.Decoder(_Received)


class ToLake:
    """The lake in `bucket`: Parquet objects in the partitions of the hours in which the events were received."""

    def __init__(self, s3: Any, bucket: str, *, max_nesting: int, clock_ms: Callable[[], int]) -> None:  # noqa: ANN401 (boto3)
        self._s3 = s3
        self._bucket = bucket
        self._limits = Limits(MAX_EVENT_BYTES, max_nesting)
        self._clock_ms = clock_ms

    def fitted(self, record: bytes) -> bytes:
        """By the rules of the API."""
        return as_kept(record, self._limits, self._clock_ms())

    def send(self, records: list[bytes], result: Result) -> None:
        """Write `records`; the name of an object follows from what is in it, so a second replay replaces it."""
        partitions: dict[str, list[bytes]] = {}
        for record in records:
            received_at = _received.decode(record).received_at
            partition = f"dt={received_at[:10]}/hour={received_at[11:13]}"
            partitions.setdefault(partition, []).append(line_of(record))
        for partition, lines in partitions.items():
            name = hashlib.sha256(b"\n".join(lines)).hexdigest()
            with tempfile.TemporaryDirectory(prefix="clickstream-lake-") as directory:
                path = parquet.write(lines, Path(directory))
                self._s3.upload_file(str(path), self._bucket, f"{PREFIX}{partition}/replay-{name[:32]}.parquet")
        result.accepted += len(records)
