"""The lake: Parquet objects in S3 under events/dt=YYYY-MM-DD/hour=HH/, by time of arrival."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from clickstream.analytics import sources
from clickstream.analytics.engine import connect
from clickstream.aws.packing import COLUMNS, Line, NotAnEvent, event_of
from clickstream.errors import Unavailable
from clickstream.stats.recency import RecentIds
from clickstream.timestamps import DAY_MS, text

_log: Final = logging.getLogger(__name__)

PREFIX: Final = "events/"

_ROWS_AT_ONCE: Final = 5_000
# Copies of calls that were sent again lie close together in the order of arrival; those of a replay may not.
_DEDUPE_WINDOW: Final = 1_000_000


class Row(NamedTuple):
    """One row of the lake: where it stands, and its event or why it holds none."""

    place: str
    event: bytes | NotAnEvent


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
        """Stored events, oldest partition first, each once; one object at a time is on this machine.

        Copies more than a million events apart both come. Rows that hold no event are left out, with a line in the
        log. Raises Unavailable when S3 does not answer.
        """
        return _logged(self.rows(prefix))

    def rows(self, prefix: str = PREFIX) -> Iterator[Row]:
        """The same with the place of each event, and in their place the rows that hold none."""
        return _rows_of(self._objects(prefix))

    def _objects(self, prefix: str) -> Iterator[tuple[str, Path]]:
        """Keys, and where their content is until the next is asked for."""
        with tempfile.TemporaryDirectory(prefix="clickstream-lake-") as directory:
            path = Path(directory) / "object.parquet"
            with _answering():
                keys = self.keys(prefix)
            for key in keys:
                with _answering():
                    self._s3.download_file(self._bucket, key, str(path))
                yield key, path

    def download(self, directory: Path) -> str:
        """Copy all objects below `directory`, in their partitions; returns the pattern that DuckDB reads them by."""
        for key in self.keys():
            self.fetch(key, directory / key)
        return str(directory / PREFIX / "*" / "*" / "*.parquet")

    def fetch(self, key: str, path: Path) -> None:
        """Copy one object to `path`, unless it is there already."""
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(path.name + ".new")
            self._s3.download_file(self._bucket, key, str(unfinished))
            unfinished.replace(path)


class LakeCopy:
    """The lake's objects on this machine, for questions: each is fetched once, because objects never change."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    def source(self, since_ms: int | None = None) -> str:
        """SQL that gives the stored fields of each event once, without partitions that ended before `since_ms`.

        Raises Unavailable when S3 does not answer.
        """
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="clickstream-lake-")
        with _answering():
            paths = self._fetched(Path(self._directory.name), since_ms)
        return sources.lake(paths) if paths else sources.nothing()

    def _fetched(self, directory: Path, since_ms: int | None) -> list[str]:
        # A producer's clock may be a day ahead, so an event may have arrived a day before its own time.
        first = PREFIX if since_ms is None else f"{PREFIX}dt={text(since_ms - DAY_MS)[:10]}"
        keys = self._lake.keys()
        for gone in set(_files(directory)) - set(keys):
            (directory / gone).unlink()  # deleted in the lake: by its retention, or because a person was erased
        wanted = [key for key in keys if key >= first]
        for key in wanted:
            self._lake.fetch(key, directory / key)
        return [str(directory / key) for key in wanted]

    def close(self) -> None:
        """Delete the copy."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


def _files(directory: Path) -> list[str]:
    return [path.relative_to(directory).as_posix() for path in directory.rglob("*.parquet")]


@contextmanager
def _answering() -> Iterator[None]:
    """Raises Unavailable, with a line in the log, when S3 does not answer."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 (only with ENV=aws)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (as above)

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as problem:
        _log.warning("lake not read error=%s", problem)
        raise Unavailable("the lake in S3 cannot be read now; see the log of the API", retry_after_s=5) from problem


def _logged(rows: Iterator[Row]) -> Iterator[bytes]:
    skipped = 0
    for row in rows:
        if isinstance(row.event, bytes):
            yield row.event
        else:
            skipped += 1
            if skipped == 1:
                _log.warning("row of the lake left out place=%s reason=%s", row.place, row.event)
    if skipped > 1:
        _log.warning("rows of the lake left out rows=%d", skipped)


def _rows_of(objects: Iterable[tuple[str, Path]]) -> Iterator[Row]:
    seen = RecentIds(_DEDUPE_WINDOW)
    for key, path in objects:
        yield from _rows(key, path, seen)


def _rows(key: str, path: Path, seen: RecentIds) -> Iterator[Row]:
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    with connect(spill=path.parent) as connection:
        connection.execute("SET preserve_insertion_order = true")
        result = connection.execute(f"SELECT {columns} FROM read_parquet({sources.only(path)})")  # noqa: S608 (quoted)
        number = 0
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            fresh: set[str] = set()
            for row in rows:
                number += 1
                line = _line(dict(zip(COLUMNS, row, strict=True)))
                if line.event_id in fresh or line.event_id in seen:
                    continue
                event = event_of(line)
                if isinstance(event, bytes):
                    fresh.add(line.event_id)
                yield Row(f"{key}, row {number}", event)
            seen.add(list(fresh))


def _line(row: dict[str, Any]) -> Line:
    # A line leaves out properties without content; its row then says null.
    return Line(**{**row, "properties": row["properties"] or "{}"})
