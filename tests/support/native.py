"""Native events for tests, and hypothesis strategies for what senders may write."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import strategies as st

from clickstream.events import Limits
from clickstream.timestamps import text

NOW_MS: Final = 1_768_473_000_000  # 2026-01-15T10:30:00Z
LIMITS: Final = Limits(max_event_bytes=256 * 1024, max_nesting=32)


def native_event(event_id: str | None = "e1", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """A complete good event; a field given as None is left out."""
    event = {
        "event_id": event_id,
        "event_type": "page_view",
        "user_id": "user_1",
        "session_id": "session_1",
        "timestamp": "2026-01-15T10:29:30Z",
        "properties": {"page": "/products"},
        **fields,
    }
    return {name: value for name, value in event.items() if value is not None}


def encoded(event: object) -> bytes:
    """`event` as JSON on one line, as a sender that cares about size writes it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["\u2028\u2029", "🙂", "\0", "\\", '"', "a/b", "user_id", '"user_id"', "{[", "é\u0301", "\ufeff", "\x7f", "=1+1"]
)
NUMBERS: Final = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
IDS: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
TIMES: Final = st.one_of(
    st.integers(NOW_MS - 10**11, NOW_MS).map(text),
    st.sampled_from(
        ["2026-01-15T10:30:00Z", "2026-01-15T12:30:00+02:00", "2026-01-15t10:30:00.123456z", "1969-12-31T23:59:59.9Z"]
    ),
)
_STANDARD_NAMES: Final = frozenset(
    {
        "event_id", "event_type", "user_id", "anonymous_id", "session_id",
        "timestamp", "properties", "received_at", "original_timestamp",
    }
)  # fmt: skip


# Made once: a strategy that is made at each draw is looked into, and its expression parsed, at each draw.
_TYPES: Final = st.sampled_from(["page_view", "purchase"]) | st.from_regex(r"[a-z][a-z0-9_.:-]{0,63}", fullmatch=True)
_IDENTITIES: Final = st.sampled_from(["user_id", "anonymous_id", "session_id"])
_OPTIONAL: Final[dict[str, st.SearchStrategy[Any]]] = {
    "event_id": IDS,
    "user_id": IDS,
    "session_id": IDS,
    "timestamp": TIMES,
    "properties": st.dictionaries(TEXT, JSON_VALUES, max_size=5),
}
_FURTHER: Final = st.dictionaries(TEXT.filter(lambda name: name not in _STANDARD_NAMES), JSON_VALUES, max_size=3)
_INDENTS: Final = st.sampled_from([None, None, 2])
_SEPARATORS: Final = st.sampled_from([(",", ":"), (", ", ": ")])


@st.composite
def good_events(draw: st.DrawFn) -> dict[str, Any]:
    """Events that must be accepted: only the type and one identity must be there; further fields may be."""
    event: dict[str, Any] = {"event_type": draw(_TYPES), draw(_IDENTITIES): draw(IDS)}
    for name, values in _OPTIONAL.items():
        if draw(st.booleans()):
            event[name] = draw(values)
    fields = list({**event, **draw(_FURTHER)}.items())
    return dict(draw(st.permutations(fields)))


@st.composite
def written(draw: st.DrawFn, event: Any) -> bytes:  # noqa: ANN401 - any JSON
    """`event` as JSON in one of the ways that senders write it: escaped or not, spaced, indented."""
    indent, separators = draw(_INDENTS), draw(_SEPARATORS)
    return json.dumps(event, ensure_ascii=draw(st.booleans()), indent=indent, separators=separators).encode()


def without_additions(stored: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """`stored` without what the server may add to `sent`, so that the two can be compared."""
    added = {"received_at", "original_timestamp", *({"event_id", "timestamp", "properties"} - sent.keys())}
    return {name: value for name, value in stored.items() if name not in added}
