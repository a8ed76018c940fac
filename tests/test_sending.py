from __future__ import annotations

import socket
import threading
import time
from datetime import datetime, timezone

import pytest
from werkzeug.wrappers import Request, Response

from clickstream.client.sending import (
    ACKNOWLEDGED,
    REFUSED,
    UNACKNOWLEDGED,
    RetryPolicy,
    SendingClient,
    retry_after_s,
    unreachable,
)
from tests.support.recording_api import Answer, RecordingApi, error, recording_api
from tests.support.scripted_api import scripted_api

EVENTS = [b'{"event_id":"a"}', b'{"event_id":"b"}', b'{"event_id":"c"}']


class Pauses:
    """Notes the pauses instead of making them; stops when told to."""

    def __init__(self, stop_after: int = 1_000) -> None:
        self.seconds: list[float] = []
        self._stop_after = stop_after

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) >= self._stop_after


def client(api: RecordingApi, pauses: Pauses, **policy: float) -> SendingClient:
    return SendingClient(api.url, policy=RetryPolicy(**policy), wait=pauses, fraction=lambda: 1.0)


def test_an_accepted_batch_is_one_request_and_acknowledged() -> None:
    with recording_api() as api:
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.accepted) == (ACKNOWLEDGED, 1, 3)
    assert list(api.events) == ["a", "b", "c"]


def test_batches_share_one_connection() -> None:
    with recording_api() as api:
        sending = client(api, Pauses())
        for event in EVENTS:
            sending.send([event])
        sending.close()

    assert (len(api.requests), api.connections) == (3, 1)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_an_overloaded_api_gets_the_same_ids_again(status: int) -> None:
    with recording_api() as api:
        api.answers = [error(status, "unavailable"), error(status, "unavailable")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.accepted) == (ACKNOWLEDGED, 3, 3)
    assert api.requests[0] == api.requests[1] == api.requests[2]


def test_pauses_double_up_to_the_cap() -> None:
    pauses = Pauses()
    with recording_api() as api:
        api.answers = [error(503, "unavailable")] * 6
        client(api, pauses, first_s=0.1, longest_s=1.0).send(EVENTS)

    assert pauses.seconds == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_jitter_takes_a_fraction_of_the_whole_pause() -> None:
    policy = RetryPolicy(first_s=0.1, longest_s=1.0)

    assert policy.pause_s(3, 0.0) == 0.0
    assert policy.pause_s(3, 0.5) == pytest.approx(0.2)


def test_retry_after_is_honoured_when_it_is_longer_than_the_backoff() -> None:
    pauses = Pauses()
    with recording_api() as api:
        api.answers = [error(503, "replaying", Retry_After="7")]
        client(api, pauses).send(EVENTS)

    assert pauses.seconds == [7.0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("100000", 60.0),
        ("Tue, 24 Nov 2026 10:00:09 GMT", 9.0),
        ("soon", 0.0),
        (f"Tue, 24 Nov {10**30} 10:00:09 GMT", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_retry_after_reads_seconds_and_dates(header: str | None, seconds: float) -> None:
    assert retry_after_s(header, datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)) == seconds


def test_a_lost_answer_is_sent_again_and_comes_back_as_duplicates() -> None:
    with recording_api() as api:
        api.answers = [None]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.accepted, delivery.duplicates) == (ACKNOWLEDGED, 0, 3)
    assert delivery.maybe_stored == 1
    assert len(api.events) == 3


def test_a_request_that_reached_nobody_cannot_cause_duplicates() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    delivery = SendingClient(f"http://127.0.0.1:{port}/events", wait=Pauses(stop_after=2)).send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.maybe_stored) == (UNACKNOWLEDGED, 2, 0)
    assert delivery.reason == "no connection"


def test_a_client_error_is_final_and_its_body_is_kept() -> None:
    with recording_api() as api:
        api.answers = [error(413, "body_too_large")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.status) == (REFUSED, 1, 413)
    assert "body_too_large" in delivery.reason
    assert "told so" in delivery.reason


def test_an_answer_that_trickles_in_is_given_up_in_time_and_may_have_been_stored() -> None:
    over = threading.Event()

    def trickle(_: Request) -> Response:
        return Response((b" " for _ in range(400) if not over.wait(0.05)), 202)

    with scripted_api(trickle) as api:
        began = time.monotonic()
        policy = RetryPolicy(request_timeout_s=0.3)
        delivery = SendingClient(api.url, policy=policy, wait=Pauses(stop_after=1)).send(EVENTS)
        took_s = time.monotonic() - began
        over.set()

    assert took_s < 5
    assert (delivery.outcome, delivery.maybe_stored) == (UNACKNOWLEDGED, 1)
    assert delivery.reason == "no answer (Timeout)"


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with scripted_api(lambda _: Response((b" " * 1_000_000 for _ in range(50)), 202)) as api:
        delivery = SendingClient(api.url, wait=Pauses(stop_after=1)).send(EVENTS)

    assert (delivery.outcome, delivery.reason) == (UNACKNOWLEDGED, "no answer (AnswerTooLarge)")


def test_an_encoding_that_nobody_knows_does_not_matter() -> None:
    with recording_api() as api:
        api.answers = [(413, {"Content-Type": "text/html; charset=idna"}, b"too much \xff")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert delivery.reason == "413 too much \ufffd"


def test_rejected_records_are_named_with_their_codes() -> None:
    with recording_api() as api:
        api.rejects = lambda event: "invalid_value" if event["event_id"] == "b" else None
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.accepted) == (ACKNOWLEDGED, 2)
    assert [(one.index, one.event_id, one.code) for one in delivery.rejected] == [(1, "b", "invalid_value")]


def test_a_batch_rejected_as_a_whole_is_a_verdict_and_not_a_failure() -> None:
    with recording_api() as api:
        api.rejects = lambda event: "invalid_value"
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.status, len(delivery.rejected)) == (ACKNOWLEDGED, 400, 3)


@pytest.mark.parametrize("body", [b"<html>", b'{"status":"accepted","processed":2}', b""])
def test_a_success_that_does_not_answer_for_every_record_is_not_believed(body: bytes) -> None:
    with recording_api() as api:
        api.answers = [(202, {}, body)]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.maybe_stored) == (UNACKNOWLEDGED, 1, 1)
    assert (delivery.accepted, delivery.duplicates, delivery.rejected) == (0, 0, [])


@pytest.mark.parametrize("lost", [None, error(503, "unavailable"), error(408, "timeout")])
def test_a_refusal_after_an_attempt_that_may_have_been_stored_is_not_certain(lost: Answer | None) -> None:
    with recording_api() as api:
        api.answers = [lost, error(401, "unauthorized")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.status, delivery.maybe_stored) == (UNACKNOWLEDGED, 401, 1)
    assert delivery.is_turned_away


def test_a_refusal_after_a_429_is_certain() -> None:
    with recording_api() as api:
        api.answers = [error(429, "rate_limited"), error(413, "body_too_large")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.maybe_stored) == (REFUSED, 0)


def test_a_redirect_ends_the_run_and_may_come_from_somebody_who_has_stored() -> None:
    with recording_api() as api:
        api.answers = [(303, {"Location": "/thanks"}, b"")]
        delivery = client(api, Pauses()).send(EVENTS)

    assert (delivery.outcome, delivery.maybe_stored, delivery.is_turned_away) == (UNACKNOWLEDGED, 1, True)


def test_sending_gives_up_when_its_time_is_over() -> None:
    moments = iter([0.0, 1.0, 61.0])
    with recording_api() as api:
        api.answers = [error(503, "unavailable")] * 5
        sending = SendingClient(api.url, wait=Pauses(), fraction=lambda: 0.0, now=lambda: next(moments))
        delivery = sending.send(EVENTS)

    assert (delivery.outcome, delivery.attempts, delivery.maybe_stored) == (UNACKNOWLEDGED, 2, 2)


def test_an_address_where_nothing_listens_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]

    sentence = unreachable(f"http://127.0.0.1:{port}/events")

    assert "Nothing answers at http://127.0.0.1:99999" in (unreachable("http://127.0.0.1:99999/events") or "")

    assert sentence is not None
    assert f"127.0.0.1:{port}" in sentence
    assert "python local_api.py" in sentence
