from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clickstream.analytics.catalog import Question
from clickstream.analytics.columns import ColumnCopy
from clickstream.analytics.scope import Scope
from clickstream.backends.local import LocalBackend
from clickstream.events import Limits, validate
from clickstream.journal import Quarantine, checkpoint, layout
from clickstream.journal.checkpoint import Checkpoint
from clickstream.query import Query
from clickstream.stats.state import FORM
from clickstream.timestamps import DAY_MS, parse, text

NOW_MS = parse("2026-03-04T12:00:00Z")
STEPS = ("page_view", "page_view", "add_to_cart", "checkout", "purchase", "search", "newsletter")


def open_backend(path: Path, *, dedupe_window: int = 1_000_000, now_ms: int = NOW_MS) -> LocalBackend:
    quarantine = Quarantine(path.with_name("events_rejected.ndjson"), max_bytes=1_000_000)
    return LocalBackend(path, quarantine, fsync="always", clock_ms=lambda: now_ms, dedupe_window=dedupe_window)


def recover(backend: LocalBackend) -> list[str]:
    ids: list[str] = []
    backend.recover(lambda replayed, _: ids.extend(replayed))
    return ids


def keep(backend: LocalBackend, first: int, count: int, *, person: str = "") -> list[str]:
    sent = [
        {
            "event_id": f"e{index}",
            "event_type": STEPS[index % len(STEPS)],
            "timestamp": text(NOW_MS - index * 1_000),
            "properties": {"page": f"/p/{index % 9}", "total": "12.34", "referrer": "https://example.org/x"},
            **({"session_id": f"s{index // 8}"} if index % 3 else {"user_id": person or f"u{index % 11}"}),
        }
        for index in range(first, first + count)
    ]
    batch = validate([json.dumps(one).encode() for one in sent], Limits(262_144, 32), NOW_MS)
    assert batch.rejections == []
    backend.write(batch.records)
    backend.count(batch.events, batch.records, batch.times_ms, NOW_MS)
    return [one["event_id"] for one in sent]


def numbers(backend: LocalBackend) -> dict[str, Any]:
    return {window: backend.statistics(window, NOW_MS) for window in ("15m", "1h", "24h", "all")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events_backup.json"


def checkpoint_of(path: Path) -> Path:
    return path.with_name(path.name + ".checkpoint")


def test_a_start_from_the_checkpoint_shows_the_same_numbers_and_remembers_the_same_ids(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 700)
    before = numbers(backend)
    backend.close(ids)

    again = open_backend(path)

    assert recover(again) == ids
    assert numbers(again) == before
    assert again.condition()["integrity"] == "verified"
    again.close(ids)


def test_what_came_after_the_checkpoint_is_replayed_on_top_of_it(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 300)
    backend.close(ids)
    old_checkpoint = checkpoint_of(path).read_bytes()
    backend = open_backend(path)
    recover(backend)
    ids += keep(backend, 300, 300)
    live = numbers(backend)
    backend.close(ids)
    checkpoint_of(path).unlink()
    backend = open_backend(path)
    recover(backend)
    from_nothing = numbers(backend)
    backend.close(ids)
    checkpoint_of(path).write_bytes(old_checkpoint)  # as after a kill: the newer one was never written

    again = open_backend(path)

    assert recover(again) == ids
    assert live == from_nothing
    assert numbers(again) == from_nothing
    again.close(ids)


def test_without_the_checkpoint_the_journal_gives_the_same_numbers(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 500)
    before = numbers(backend)
    backend.close(ids)
    checkpoint_of(path).unlink()

    again = open_backend(path)

    assert recover(again) == ids
    assert numbers(again) == before
    assert again.condition()["integrity"] == "unchecked"
    again.close(ids)


def test_a_checkpoint_of_a_clock_that_was_ahead_leaves_no_window_empty(path: Path) -> None:
    ahead_ms = NOW_MS + 3 * DAY_MS
    backend = open_backend(path, now_ms=ahead_ms)
    recover(backend)
    ids = keep(backend, 0, 50)
    batch = validate([b'{"event_id":"ahead","event_type":"click","user_id":"u"}'], Limits(262_144, 32), ahead_ms)
    backend.write(batch.records)
    backend.count(batch.events, batch.records, batch.times_ms, ahead_ms)
    backend.close([*ids, "ahead"])

    again = open_backend(path)

    assert recover(again) == [*ids, "ahead"]
    assert again.statistics("1h", NOW_MS)["total_events"] == 50
    again.close(ids)


def test_a_changed_letter_inside_a_string_is_noticed_and_everything_is_read_again(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 500)  # more than the copy compares of its bytes
    backend.close(ids)
    with ColumnCopy(path, least_part_bytes=1_000).source(path.stat().st_size - len(layout.CLOSING)) as copied:
        assert copied.parts
    path.write_bytes(path.read_bytes().replace(b'"/p/3"', b'"/p/X"', 1))

    again = open_backend(path)
    recover(again)

    assert again.condition()["integrity"] == "changed"
    assert again.statistics("all", NOW_MS)["total_events"] == 500
    assert any(b"/p/X" in record for record in again.events(Query(), limit=500, cursor=None).records)
    assert again.ask(Question("sessions"), Scope(visit={"page": "/p/X"}), limit=1).rows
    again.close(ids)


@pytest.mark.parametrize(
    "spoil", [lambda old: old[:-1], lambda old: b"", lambda old: b"{}\n" + old, lambda old: old[:40]]
)
def test_a_damaged_checkpoint_is_left_aside(path: Path, spoil: Callable[[bytes], bytes]) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 60)
    before = numbers(backend)
    backend.close(ids)
    checkpoint_of(path).write_bytes(spoil(checkpoint_of(path).read_bytes()))

    again = open_backend(path)

    assert recover(again) == ids
    assert numbers(again) == before
    again.close(ids)


def test_what_was_read_in_part_is_no_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 50)

    def breaks(*_: object, **__: object) -> None:
        raise OSError("the disk does not read")

    with monkeypatch.context() as broken:
        broken.setattr("clickstream.backends.local.recover", breaks)
        with pytest.raises(OSError, match="does not read"):
            recover(backend)
    backend.close([])

    again = open_backend(path)
    assert recover(again) == ids
    assert again.statistics("all", NOW_MS)["total_events"] == 50
    again.close([])


def test_an_erasure_for_which_there_is_no_room_stays_a_wish_and_stops_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 50)

    def full(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as disk:
        disk.setattr("clickstream.backends.keeping.compact", full)
        with pytest.raises(OSError, match="no room"):
            backend.keeper().erase("u3")
        assert recover(backend) == ids  # as Pipeline.rebuild does
    keep(backend, 50, 10)
    assert backend.statistics("all", NOW_MS)["total_events"] == 60
    backend.close([])

    again = open_backend(path)
    assert set(ids) - set(recover(again)) == {"e3", "e36"}
    again.close([])


def test_a_checkpoint_of_a_longer_journal_does_not_hold(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    keep(backend, 0, 10)
    shorter = path.read_bytes()
    ids = keep(backend, 10, 10)
    backend.close(ids)
    path.write_bytes(shorter)

    again = open_backend(path)

    assert recover(again) == [f"e{index}" for index in range(10)]
    assert again.statistics("all", NOW_MS)["total_events"] == 10
    again.close([])


def test_a_checkpoint_whose_state_cannot_be_read_does_not_stop_the_start(path: Path) -> None:
    backend = open_backend(path)
    recover(backend)
    ids = keep(backend, 0, 60)
    before = numbers(backend)
    backend.close(ids)
    backend = open_backend(path)
    recover(backend)
    spoiled = Checkpoint(backend._journal.end, backend._journal.crc, msgspec.msgpack.encode([1, 2, 3]))
    checkpoint.save(path, spoiled, form=FORM)
    backend._journal.close()

    again = open_backend(path)

    assert recover(again) == ids
    assert numbers(again) == before
    again.close(ids)
