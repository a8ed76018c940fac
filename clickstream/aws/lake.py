"""The lake: Parquet objects in S3 under events/dt=YYYY-MM-DD/hour=HH/, by time of arrival."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from clickstream.aws.packing import COLUMNS, Line, record_of
from clickstream.stats.recency import RecentIds

PREFIX: Final = "events/"

_ROWS_AT_ONCE: Final = 5_000
# Copies come from calls that were sent again, so they lie close together in the order of arrival.
_DEDUPE_WINDOW: Final = 1_000_000


class Lake:
    """Reads the lake in one bucket."""

    def __init__(self, s3: Any, bucket: str) -> None:  # noqa: ANN401 (boto3 makes its classes at run time)
        self._s3 = s3
        self._bucket = bucket

    def keys(self, prefix: str = PREFIX) -> list[str]:
        """Keys of all objects that begin with `prefix`, oldest partition first."""
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            answer = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
            found += [one["Key"] for one in answer.get("Contents", []) if one["Key"].endswith(".parquet")]
            if not answer.get("IsTruncated"):
                return sorted(found)
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def records(self, prefix: str = PREFIX) -> Iterator[bytes]:
        """Stored events, oldest partition first, each once; one object at a time is on this machine."""
        seen = RecentIds(_DEDUPE_WINDOW)
        with tempfile.TemporaryDirectory(prefix="clickstream-lake-") as directory:
            for key in self.keys(prefix):
                path = Path(directory) / "object.parquet"
                self._s3.download_file(self._bucket, key, str(path))
                yield from _records(path, seen)

    def download(self, directory: Path) -> str:
        """Copy all objects below `directory`, in their partitions; returns the pattern that DuckDB reads them by."""
        for key in self.keys():
            path = directory / key
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(self._bucket, key, str(path))
        return str(directory / PREFIX / "*" / "*" / "*.parquet")


def _records(path: Path, seen: RecentIds) -> Iterator[bytes]:
    from clickstream.analytics.engine import connect  # noqa: PLC0415 (DuckDB only when the lake is read)
    from clickstream.analytics.sources import literal  # noqa: PLC0415

    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    with connect() as connection:
        connection.execute("SET preserve_insertion_order = true")
        result = connection.execute(f"SELECT {columns} FROM read_parquet({literal(str(path))})")  # noqa: S608 (quoted)
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            lines = [Line(**dict(zip(COLUMNS, row, strict=True))) for row in rows]
            fresh = {line.event_id: line for line in reversed(lines) if line.event_id not in seen}
            seen.add(list(fresh))
            yield from (record_of(line) for line in lines if fresh.get(line.event_id) is line)
