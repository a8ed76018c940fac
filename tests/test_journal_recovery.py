"""Whatever a crash or a bad disk leaves: the journal starts, keeps what is whole, and says what was not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream.journal import Journal
from tests.support.journals import array_in, journal_of, scratch, start, stored_record

NEW = stored_record(10**6)
parsed = cache(json.loads)  # the same few records stand in ten thousand files


@pytest.fixture
def path() -> Iterator[Path]:
    with scratch() as directory:
        yield directory / "events_backup.json"


def texts(count: int) -> list[bytes]:
    """Records of different lengths, with characters of one to four bytes."""
    return [stored_record(n, properties={"page": f"/p/{n}", "t": "é🙂\u2028"[: n % 4] * (n % 3)}) for n in range(count)]


def test_every_truncation_of_the_last_fifty_records_loses_only_the_cut_one(path: Path) -> None:
    records = texts(60)
    whole = journal_of(records)
    first = len(journal_of(records[:10])) - 3
    ends = [len(journal_of(records[: n + 1])) - 3 for n in range(60)]

    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        started = start(path, then_append=NEW if length % 5 == 0 else None)

        good = sum(end <= length for end in ends)
        assert started.served[:good] == records[:good], length
        assert array_in(path) == [parsed(record) for record in started.served]
        assert started.found.damaged == 0
        # Nothing that was in the file is gone: it is served, or kept beside it, or was only a separator.
        cut = whole[ends[good - 1] : length]
        assert started.torn == (b"" if b",\n]\n".startswith(cut) or b"\n]\n".startswith(cut) or cut == b",\n" else cut)


def test_every_truncation_of_a_tiny_journal_starts(path: Path) -> None:
    records = texts(2)
    whole = journal_of(records)

    for length in range(len(whole)):
        path.write_bytes(whole[:length])

        started = start(path, then_append=NEW)

        good = [record for n, record in enumerate(records) if length >= len(journal_of(records[: n + 1])) - 3]
        assert started.served == [*good, NEW], length
        assert array_in(path) == [parsed(record) for record in started.served]


def check_after_damage(path: Path, records: list[bytes], content: bytes, position: int) -> None:
    """Start on `content`, the journal of `records` with the byte at `position` changed."""
    path.write_bytes(content)
    whole = journal_of(records)
    line = whole.count(b"\n", 0, position) - 1  # index of the record that holds the byte or ends with it
    is_newline = whole[position : position + 1] == b"\n"
    touched = {line, line + 1} if is_newline else {line}

    started = start(path)

    assert array_in(path) == [parsed(record) for record in started.served], f"not an array: {content!r}"
    untouched = {record: None for n, record in enumerate(records) if n not in touched}
    assert [record for record in started.served if record in untouched] == [*untouched], f"lost too much: {content!r}"
    lost = [records[n] for n in sorted(touched) if 0 <= n < len(records) and records[n] not in started.served]
    changed = [record for record in started.served if record not in records]
    if len(lost) > len(changed):  # not merely another letter inside a record that is still good JSON
        assert started.found.damaged or started.found.torn_bytes, f"not reported: {content!r}"
        aside = started.kept_aside.replace(b"\n", b"") or b"".join(started.quarantined)
        for record in lost:
            halves = record[:3], record[-3:]
            assert any(half in aside for half in halves) or b"" in started.quarantined, f"not kept aside: {content!r}"


def changes_of(whole: bytes, position: int) -> list[int]:
    """Another byte for this one; several near what holds the file together."""
    byte = whole[position]
    meaning = b' \n",{}[]\\:\t\r'
    others = [byte ^ 0xFF, byte ^ (1 << position % 8), meaning[position % len(meaning)]]
    is_frame = any(mark in whole[max(0, position - 3) : position + 4] for mark in (b"\n", b"[", b"\\"))
    return sorted({*others} - {byte}) if is_frame else [others[position % 2]]


def test_every_byte_flipped_costs_at_most_its_record_and_is_reported(path: Path) -> None:
    records = texts(40)
    whole = journal_of(records)

    for position in range(len(whole)):
        for byte in changes_of(whole, position):
            check_after_damage(path, records, whole[:position] + bytes([byte]) + whole[position + 1 :], position)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_other_byte_in_the_frame_of_a_small_journal_starts(path: Path, count: int) -> None:
    records = texts(count)
    whole = journal_of(records)
    frame = [n for n in range(len(whole)) if whole[n] in b"\n" or whole[max(0, n - 1) : n + 2] in (b"},\n", b"\n]\n")]
    frame += [0, 2, 3]

    for position in sorted(set(frame)):
        for byte in range(256):
            if byte != whole[position]:
                check_after_damage(path, records, whole[:position] + bytes([byte]) + whole[position + 1 :], position)


@pytest.mark.parametrize("blank", [b"\t", b"\r", b"\x0b", b"\x0c", b" ", b"\t \x0b", b""])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("comma", [b",", b""])
def test_a_line_of_nothing_but_blanks_costs_no_record(path: Path, blank: bytes, number: int, comma: bytes) -> None:
    records = texts(3)
    lines = [record + (b"," if n < 2 else b"") for n, record in enumerate(records)]
    if number in {1, 2}:
        lines[number - 1] = records[number - 1] + comma
    path.write_bytes(b"[\n" + b"\n".join([*lines[:number], blank, *lines[number:]]) + b"\n]\n")

    started = start(path, then_append=NEW)

    assert started.served == [*records, NEW]
    assert array_in(path) == [*map(parsed, records), json.loads(NEW)]


def test_three_damaged_bytes_that_look_like_the_line_end_of_an_editor_cost_one_record(path: Path) -> None:
    records = texts(12)
    whole = journal_of(records)
    at = whole.index(b"},\n", 500)
    path.write_bytes(whole[:at] + b",\r\n" + whole[at + 3 :])

    started = start(path, then_append=NEW)

    number = whole[:at].count(b"\n") - 1
    assert started.served == [*records[:number], *records[number + 1 :], NEW]
    assert array_in(path)[-1] == json.loads(NEW)


def test_a_whole_array_with_line_ends_of_both_kinds_loses_nothing(path: Path) -> None:
    records = texts(6)
    path.write_bytes(journal_of(records).replace(b"},\n", b"},\r\n", 2))

    assert start(path, then_append=NEW).served == [*records, NEW]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_in_the_middle_leaves_the_lines_around_it(data: st.DataObject) -> None:
    records = texts(12)
    whole = journal_of(records)
    begin = data.draw(st.integers(2, len(whole)))
    end = data.draw(st.integers(begin, min(len(whole), begin + 400)))
    content = whole[:begin] + data.draw(st.binary(max_size=400)) + whole[end:]
    before = [record for n, record in enumerate(records) if len(journal_of(records[: n + 1])) - 1 <= begin]
    after = [record for n, record in enumerate(records) if len(journal_of(records[:n])) - 2 >= end and n > 0]

    with scratch() as directory:
        path = directory / "events_backup.json"
        path.write_bytes(content)
        if not before and not after:
            return  # nothing of a journal is left: see the conversion of other files
        started = start(path, then_append=NEW)

        assert [record for record in started.served if record in set(before)] == before
        assert [record for record in started.served if record in set(after)] == after
        assert array_in(path)[-1] == json.loads(NEW)


def test_a_mended_journal_is_whole_at_the_next_start(path: Path) -> None:
    records = texts(40)
    content = bytearray(journal_of(records))
    for n in (3, 17, 39):
        content[len(journal_of(records[:n])) + 5] = 0xFF
    path.write_bytes(content)

    first = start(path)
    second = start(path)

    assert (first.found.damaged, bool(first.found.torn_bytes)) == (2, True)
    assert (second.found.damaged, second.found.torn_bytes) == (0, 0)
    assert second.served == first.served == [records[n] for n in range(40) if n not in (3, 17, 39)]


def test_a_gap_of_zeros_as_a_lost_disk_page_leaves_it_costs_only_what_it_covers(path: Path) -> None:
    records = texts(200)
    content = bytearray(journal_of(records))
    content[4096:8192] = bytes(4096)
    path.write_bytes(content)

    started = start(path)

    lost = [record for record in records if record not in started.served]
    assert len(started.served) + len(lost) == 200
    assert sum(len(record) + 2 for record in lost) < 4096 + 2 * max(map(len, records)) + 4
    assert started.found.damaged == 1
    assert bytes(100) in started.quarantined[0]


def test_damage_across_the_blocks_of_a_large_file_is_found_where_it_is(path: Path) -> None:
    """Recovery reads four megabytes at a time; lines across the border are lines like all others."""
    records = [stored_record(n, properties={"fill": "x" * 900}) for n in range(9_000)]
    content = bytearray(journal_of(records))
    border = 4 << 20
    hurt = [content.count(b"\n", 0, at) - 1 for at in (border, 2 * border - 1)]
    content[border] = content[2 * border - 1] = 0xFF
    path.write_bytes(content)

    started = start(path)

    assert started.found.damaged == len(hurt)
    assert started.served == [record for n, record in enumerate(records) if n not in hurt]
    assert len(array_in(path)) == 9_000 - len(hurt)


def test_a_damaged_line_that_does_not_fit_one_entry_of_the_quarantine_is_kept_whole(path: Path) -> None:
    """Two large events whose newline was hit are one line of half a megabyte."""
    records = [stored_record(n, properties={"fill": chr(97 + n) * 200_000}) for n in range(3)]
    content = bytearray(journal_of(records))
    content[len(journal_of(records[:1])) - 2] = ord("#")
    path.write_bytes(content)

    started = start(path)

    assert started.served == [records[2]]
    aside = b"".join(started.quarantined)
    assert aside.count(b"a") >= 200_000
    assert aside.count(b"b") >= 200_000


@pytest.mark.parametrize("head", [b"", b" ", b"\n", b"x"])
def test_a_journal_without_its_opening_serves_all_its_records_at_every_later_start(path: Path, head: bytes) -> None:
    records = texts(3)
    path.write_bytes(head + journal_of(records)[1:])

    assert start(path).served == start(path, then_append=NEW).served[:3] == records
    assert start(path).served == [*records, NEW]
    assert len(array_in(path)) == 4


def test_two_journals_joined_with_cat_are_one(path: Path) -> None:
    records = texts(6)
    path.write_bytes(journal_of(records[:3]) + journal_of(records[3:]))

    assert start(path).served == records
    assert len(array_in(path)) == 6
    assert start(path).found.damaged == 0


def test_an_empty_file_and_a_missing_one_become_an_empty_journal(path: Path) -> None:
    assert start(path).served == []
    path.write_bytes(b"")
    assert start(path).served == []
    assert path.read_bytes() == b"[\n]\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_journal_is_an_array_after_every_append(path: Path) -> None:
    journal = Journal(path)
    journal.resume_at(1, 0)
    for n in range(50):
        journal.append(texts(n % 4))
        array_in(path)
    journal.close()

    assert start(path).found.records == sum(n % 4 for n in range(50))
