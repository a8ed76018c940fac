"""Asks a running API for events that a test expects, and words what came instead."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import requests
import urllib3

from clickstream.client.answers import AnswerTooLarge, body_within
from clickstream.client.reading import ApiProblem, reason
from clickstream.errors import RequestRefused
from clickstream.expectations import seconds
from clickstream.terminal.words import clean

_NETWORK_S: Final = 5.0  # on top of the time that the API itself waits


def direct() -> requests.Session:
    """A session without the proxy and .netrc of the user's shell, which are not meant for this machine's API."""
    session = requests.Session()
    session.trust_env = False
    return session


def expect(
    api_url: str,
    conditions: Mapping[str, str],
    *,
    least: int = 1,
    timeout_s: float = 5.0,
    test_id: str | None = None,
    read_token: str = "",
) -> dict[str, Any]:
    """The answer of `GET /expect`, met or unmet; raises ApiProblem when the API gives none."""
    duration = f"{timeout_s:.3f}s"  # as exact as the API takes it
    try:
        seconds(duration)
    except RequestRefused as refusal:
        raise ApiProblem("http", str(refusal), status=HTTPStatus.BAD_REQUEST) from None
    parameters = {**conditions, "min": str(least), "timeout": duration}
    if test_id:
        parameters["test_id"] = test_id
    headers = {"Authorization": f"Bearer {read_token}"} if read_token else {}
    patience_s = timeout_s + _NETWORK_S
    deadline = time.monotonic() + patience_s
    try:
        with (
            direct() as session,
            session.get(
                f"{api_url}/expect",
                params=parameters,
                headers=headers,
                timeout=patience_s,
                allow_redirects=False,
                stream=True,
            ) as answer,
        ):
            document = msgspec.json.decode(body_within(answer, deadline))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AnswerTooLarge):
        raise ApiProblem("garbage", f"{api_url} did not answer with JSON; is it the clickstream API?") from None
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise ApiProblem("timeout", f"{api_url} did not answer within {patience_s:g} s") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as problem:
        raise ApiProblem("unreachable", f"nothing answers at {api_url}: {reason(problem)}") from None
    if not isinstance(document, dict) or "status" not in document:
        message = (
            document["error"]["message"] if isinstance(document, dict) and "error" in document else "no such route"
        )
        raise ApiProblem("http", f"{api_url}/expect: {message}", status=answer.status_code)
    return document


def report(answer: Mapping[str, Any], conditions: Mapping[str, str], *, least: int = 1) -> str:
    """A few lines that tell a person what was expected and what came instead."""
    wanted = " ".join(f"{name}={value}" for name, value in conditions.items()) or "any event"
    lines = [f"expected {least} x {wanted}; {answer['matched']} came"]
    for miss in answer.get("near_misses", ()):
        event = miss["event"]
        reasons = ", ".join(one["message"] for one in miss["differs"])
        lines.append(f"  near miss: {event['event_type']} {event['event_id']}: {reasons or 'matches'}")
    for refusal in answer.get("rejected", ()):
        lines.append(f"  rejected: {refusal['code']}: {refusal['message']}: {refusal['raw'][:200]}")
    seen = ", ".join(f"{count} x {name}" for name, count in answer.get("seen", {}).items())
    return "\n".join(clean(line) for line in [*lines, f"  seen: {seen or 'nothing'}"])
