"""How far a shard was counted, now and before each delivery: it says what of a given-up batch had been counted.

After a batch is given up the watermark goes on beyond it, and would cover events that nobody has counted. So the
first transaction of each delivery leaves the position where it found the watermark as an item of its own.
"""

from __future__ import annotations

from typing import Final

from clickstream.aws.consumer.table import NO_POSITION, CounterTable, Key, Put, shard_key
from clickstream.timestamps import DAY_MS

_SEQUENCE_DIGITS: Final = 56
_PAST_TTL_MS: Final = 100 * DAY_MS  # given-up batches stay in S3 for 90 days
_AFTER_ALL_LINES: Final = ".~"


def sortable(sequence: str) -> str:
    """A sequence number as text that sorts as the numbers do."""
    return sequence.zfill(_SEQUENCE_DIGITS)


def position_of(sequence: str, line: int) -> str:
    """Where a line of a record stands; sorts as the events stand in the shard."""
    return f"{sortable(sequence)}.{line:07d}"


def past_put(shard: str, position: str, now_ms: int) -> Put:
    """The item that says: a delivery found the watermark of `shard` at `position`."""
    return Put(_past_key(shard, position), b"", (now_ms + _PAST_TTL_MS) // 1000)


def counted_through(table: CounterTable, shard: str, last_sequence: str) -> str:
    """Where counting stopped at or before the record `last_sequence`, with which a batch ends that was given up.

    Of that batch the lines up to this position are in the counters, and no others.
    """
    end = sortable(last_sequence) + _AFTER_ALL_LINES
    stored = table.load([shard_key(shard)]).get(shard_key(shard))
    if stored is not None and stored.position <= end:
        return stored.position
    pk, sk = _past_key(shard, end)
    return table.last_up_to(pk, sk) or NO_POSITION


def _past_key(shard: str, position: str) -> Key:
    return f"past#{shard}", position
