"""What an event is here, and what is said about a record that is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol

import msgspec

from clickstream.timestamps import DAY_MS

STANDARD_TYPES: Final = (
    "page_view",
    "click",
    "search",
    "add_to_cart",
    "remove_from_cart",
    "checkout",
    "purchase",
)
MAX_ID_LENGTH: Final = 128
MAX_AHEAD_MS: Final = DAY_MS  # of the server's clock; a time beyond it would put an event outside every window
IDENTITY_FIELDS: Final = ("user_id", "anonymous_id", "session_id")

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
_anything: Final = msgspec.json.Decoder()


class Event(msgspec.Struct, kw_only=True, gc=False):
    """The fields of an event that this platform understands; the record holds all of them."""

    event_type: str
    event_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    session_id: str | None = None
    timestamp: str | None = None
    properties: dict[str, Any] | None = None


class AnyEvent(Protocol):
    """What is read of an event, in whichever way it was decoded."""

    @property
    def event_type(self) -> str:
        """The type's name."""

    @property
    def event_id(self) -> str | None:
        """The key of deduplication."""

    @property
    def user_id(self) -> str | None:
        """The known person."""

    @property
    def anonymous_id(self) -> str | None:
        """The device."""

    @property
    def session_id(self) -> str | None:
        """The visit."""

    @property
    def properties(self) -> dict[str, Any] | None:
        """What the sender says about the event."""


class PlainEvent(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """An event that lacks nothing, to be read like an Event; decoding checks its types and lengths in the same pass.

    Most events are only counted by their envelope, so the properties stay as they were sent until somebody asks.
    """

    event_type: str
    event_id: _Id
    timestamp: str
    raw_properties: msgspec.Raw = msgspec.field(name="properties")
    user_id: _Id | None = None
    anonymous_id: _Id | None = None
    session_id: _Id | None = None

    @property
    def properties(self) -> dict[str, Any]:
        """The properties, decoded anew."""
        properties: dict[str, Any] = _anything.decode(self.raw_properties)
        return properties


@dataclass(frozen=True, slots=True)
class Limits:
    """What one event may be at most."""

    max_event_bytes: int
    max_nesting: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that is at fault: where it stood in its request, why it was refused, and the record itself."""

    index: int
    event_id: str | None
    code: str
    field: str | None
    message: str
    record: bytes


@dataclass(slots=True)
class Batch:
    """The verdicts over one request: three parallel lists of good events, and the rejections."""

    events: list[AnyEvent] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def keep_only(self, places: Sequence[int]) -> None:
        """Leave out the good events that stand elsewhere than at `places`."""
        self.events = [self.events[one] for one in places]
        self.records = [self.records[one] for one in places]
        self.times_ms = [self.times_ms[one] for one in places]
