"""Record -> event or rejection: every rule about what an event may be.

A good record is kept byte for byte as its sender wrote it; the server only appends what is missing
(`event_id`, `timestamp`) and `received_at`. So numbers, key order and unknown fields survive unchanged.

model.py   what an event, a rejection and a batch of verdicts are
record.py  one record, rule by rule
batch.py   the records of a request, together while they are plainly right
"""

from clickstream.events.batch import validate
from clickstream.events.model import (
    MAX_AHEAD_MS,
    MAX_ID_LENGTH,
    STANDARD_TYPES,
    AnyEvent,
    Batch,
    Event,
    Limits,
    PlainEvent,
    Rejection,
)
from clickstream.events.record import new_event_id, repeated_key

__all__ = [
    "MAX_AHEAD_MS",
    "MAX_ID_LENGTH",
    "STANDARD_TYPES",
    "AnyEvent",
    "Batch",
    "Event",
    "Limits",
    "PlainEvent",
    "Rejection",
    "new_event_id",
    "repeated_key",
    "validate",
]
