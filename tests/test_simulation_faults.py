from __future__ import annotations

import json

import pytest

from clickstream.bodies import split
from clickstream.client.sending import body_of
from clickstream.errors import RECORD_CODES
from clickstream.events import Limits, validate
from clickstream.simulation.faults import BREAKAGES, DUPLICATE, EVENT, INVALID, Breakage, Outgoing, Rates
from tests.support.simulated import EPOCH_MS, backfill

LIMITS = Limits(max_event_bytes=262_144, max_nesting=32)
ALL = Rates(duplicate=0.05, late=0.1, out_of_order=0.1, invalid=0.1, bot=0.05)
EVENTS = 4_000


def faulty() -> list[Outgoing]:
    return backfill(EVENTS, rates=ALL)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_broken_event_gets_the_verdict_on_its_label_and_spoils_no_other(breakage: Breakage) -> None:
    good = backfill(1)[0].record
    broken = breakage.break_event(json.loads(good))

    records = split(body_of([good, broken, good]), media_type="application/json", max_records=100)
    batch = validate(records, LIMITS, EPOCH_MS + 8 * 86_400_000)

    assert [(one.index, one.code, one.field) for one in batch.rejections] == [(1, breakage.code, breakage.field)]
    assert len(batch.events) == 2


def test_the_breakages_cover_every_code_that_one_record_of_a_batch_can_get() -> None:
    # malformed_json cannot be tried inside a batch: it would make the whole body unreadable.
    assert {breakage.code for breakage in BREAKAGES} == RECORD_CODES - {"malformed_json"}


def test_without_rates_nothing_is_wrong() -> None:
    assert {(one.kind, one.fault) for one in backfill(1_000)} == {(EVENT, None)}


def test_faults_leave_the_shoppers_as_they_are() -> None:
    rates = Rates(duplicate=0.05, late=0.1, out_of_order=0.1, invalid=0.1)
    clean = sorted(one.record for one in backfill(EVENTS))
    events = sorted(one.record for one in backfill(EVENTS, rates=rates) if one.kind == EVENT)

    assert events == clean


def test_each_fault_comes_about_as_often_as_asked_for() -> None:
    run = faulty()
    counts = {fault: sum(one.fault == fault for one in run) / EVENTS for fault in (DUPLICATE, "late", "out_of_order")}

    assert counts[DUPLICATE] == pytest.approx(0.05, abs=0.015)
    assert counts["late"] == pytest.approx(0.1, abs=0.02)
    assert counts["out_of_order"] == pytest.approx(0.09, abs=0.02)
    assert sum(one.kind == INVALID for one in run) / EVENTS == pytest.approx(0.1, abs=0.02)


def test_a_duplicate_is_the_same_bytes_later() -> None:
    first: dict[bytes, int] = {}
    duplicates = 0
    for position, one in enumerate(faulty()):
        if one.kind == EVENT:
            first[one.record] = position
        elif one.kind == DUPLICATE:
            duplicates += 1
            assert first[one.record] < position
    assert duplicates > 0


def test_late_and_disordered_events_keep_their_time_and_are_sent_after_it() -> None:
    run = faulty()
    late = [one.at_ms - one.happening.at_ms for one in run if one.fault == "late"]
    disordered = [one.at_ms - one.happening.at_ms for one in run if one.fault == "out_of_order"]

    assert [one.at_ms for one in run] == sorted(one.at_ms for one in run)
    assert all(60_000 <= delay <= 900_000 for delay in late)
    assert all(1_000 <= delay <= 60_000 for delay in disordered)


def test_one_rate_does_not_move_the_faults_of_another() -> None:
    alone = {one.record for one in backfill(EVENTS, rates=Rates(late=0.1)) if one.fault == "late"}
    together = {one.record for one in backfill(EVENTS, rates=Rates(late=0.1, invalid=0.2)) if one.fault == "late"}

    assert alone == together


def test_bots_come_beside_the_shoppers_and_read_fast() -> None:
    run = faulty()
    bots = [one for one in run if one.happening.session.persona == "Bot"]
    events = [json.loads(one.record) for one in bots if one.kind == EVENT]

    assert {event["event_type"] for event in events} == {"page_view"}
    assert all("Bot" in event["properties"]["user_agent"] for event in events)
    for session in {one.happening.session.session_id: one.happening.session for one in bots}.values():
        gaps = [
            after.offset_ms - before.offset_ms
            for before, after in zip(session.steps[:-1], session.steps[1:], strict=True)
        ]
        assert all(200 <= gap <= 1500 for gap in gaps)


def test_the_same_seed_gives_the_same_faults() -> None:
    assert [one.record for one in faulty()] == [one.record for one in faulty()]
