"""What schemathesis cannot derive from the description: how the bodies look that are not one JSON value."""

from __future__ import annotations

import json
import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

_events = st.fixed_dictionaries(
    {"event_type": st.from_regex(r"[a-z][a-z0-9_.:-]{0,63}", fullmatch=True), "user_id": st.text("abc", min_size=1)},
    optional={"properties": st.dictionaries(st.text(max_size=8), st.text() | st.integers() | st.booleans())},
)


def _lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


schemathesis.openapi.media_type("application/x-ndjson", st.lists(_events, min_size=1, max_size=5).map(_lines))
schemathesis.openapi.media_type("text/plain", _events.map(lambda event: json.dumps(event).encode()))


@schemathesis.hook
def before_load_schema(_: object, raw_schema: dict[str, Any]) -> None:
    """Take out the examples of such bodies, which schemathesis could only send as bytes."""
    content = raw_schema["paths"]["/events"]["post"]["requestBody"]["content"]
    for media_type in ("application/x-ndjson", "text/plain"):
        del content[media_type]["example"]


def _with_ids_of_their_own(body: Any) -> Any:  # noqa: ANN401 - any JSON
    """Batches of ten thousand hold the same ten thousand: every read after them looks through what is kept of them."""
    events = body.get("records") if isinstance(body, dict) else body
    if not isinstance(events, list) or len(events) < 1000 or not all(isinstance(event, dict) for event in events):
        return body
    named = [{**event, "event_id": f"many-{index}"} for index, event in enumerate(events)]
    return {**body, "records": named} if isinstance(body, dict) else named


@schemathesis.hook
def before_call(_: object, case: Any, __: dict[str, Any]) -> None:  # noqa: ANN401 - generic over the response
    """Mend what no schema can say: waiting takes its whole time, and 5.0 is a whole number to JSON Schema only."""
    timeout = str(case.query.get("timeout", "5s"))
    if case.operation.label == "GET /expect" and re.fullmatch(r"[\d.]{1,6}(ms|s|)", timeout):
        case.query["timeout"] = "0s"
    if case.operation.label == "GET /expect" and not set(case.query) - {"timeout"}:
        case.query["min"] = 1  # one of many, which no schema of parameters can ask for
    if case.operation.label == "GET /events" and re.fullmatch(r"\d{1,18}", str(case.query.get("cursor"))):
        del case.query["cursor"]  # only the server can make one that fits
    if case.operation.label == "GET /export" and "columns" in case.query and case.query.get("format") != "csv":
        del case.query["columns"]  # only CSV has them
    if re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", str(case.query.get("zone", ""))):
        case.query["zone"] = "Asia/Kathmandu"  # which of all such names are zones, a table says
    if case.operation.label == "POST /events":
        case.body = _with_ids_of_their_own(case.body)
    if isinstance(case.body, dict) and case.operation.path != "/events":
        limit = case.body.get("limit")
        if isinstance(limit, float) and limit.is_integer():
            case.body["limit"] = int(limit)
