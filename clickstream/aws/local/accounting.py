"""Acknowledged = stream = lake = counters, each counted on its own, or what is missing where."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickstream.analytics import sources
from clickstream.analytics.engine import connect
from clickstream.aws.lake import Lake
from clickstream.aws.live import LiveCounters
from clickstream.aws.local.shards import ShardReader
from clickstream.aws.packing import Line, unpack


@dataclass(frozen=True, slots=True)
class Accounts:
    """Ids that were acknowledged and where they are; the counters know only how many."""

    acknowledged: set[str]
    stream: set[str]
    lake: set[str]
    counted: int

    @property
    def is_balanced(self) -> bool:
        """True when every acknowledged event is everywhere, and nothing else is anywhere."""
        return self.acknowledged == self.stream == self.lake and self.counted == len(self.acknowledged)

    def lines(self) -> list[str]:
        """What to show a person."""
        shown = [
            f"acknowledged by the API  {len(self.acknowledged):>10,}",
            f"in the stream            {len(self.stream):>10,}  distinct ids",
            f"in the lake              {len(self.lake):>10,}  distinct ids, read by DuckDB",
            f"in the live counters     {self.counted:>10,}",
        ]
        for name, there in (("stream", self.stream), ("lake", self.lake)):
            if missing := sorted(self.acknowledged - there):
                shown.append(f"missing in the {name}: {len(missing)}, such as {', '.join(missing[:3])}")
            if more := sorted(there - self.acknowledged):
                shown.append(f"in the {name} but never acknowledged: {len(more)}, such as {', '.join(more[:3])}")
        shown.append("All four are equal." if self.is_balanced else "THEY DIFFER.")
        return shown


def balance(acknowledged: set[str], kinesis: Any, stream: str, lake: Lake, counters: LiveCounters) -> Accounts:  # noqa: ANN401 (boto3)
    """Count each place from its own content."""
    return Accounts(
        acknowledged,
        set(_ids_in_stream(ShardReader(kinesis, stream))),
        _ids_in_lake(lake),
        sum(counters.read().types.values()),
    )


def _ids_in_stream(reader: ShardReader) -> Iterator[str]:
    for shard in reader.shards():
        while records := reader.read(shard):
            for record in records:
                yield from (line.event_id for _, line, _ in unpack(record["Data"]) if isinstance(line, Line))


def _ids_in_lake(lake: Lake) -> set[str]:
    if not lake.keys():
        return set()
    with (
        tempfile.TemporaryDirectory(prefix="clickstream-lake-") as directory,
        connect(spill=Path(directory)) as connection,
    ):
        source = sources.lake(lake.download(Path(directory)))
        rows = connection.execute(f"SELECT event_id FROM ({source})").fetchall()  # noqa: S608 (of sources.py)
    return {row[0] for row in rows}
