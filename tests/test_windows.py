from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from clickstream.timestamps import MINUTE_MS
from clickstream.windows import Occurrence, Window, WindowRules, WindowState, advance, finish, window_start

RULES = WindowRules(size_ms=MINUTE_MS, out_of_orderness_ms=5_000, allowed_lateness_ms=2 * MINUTE_MS)


def at(second: float, event_id: str, event_type: str = "click", cents: int = 0) -> Occurrence:
    return Occurrence(event_id, event_type, round(second * 1000), cents)


occurrences = st.lists(
    st.builds(
        Occurrence,
        event_id=st.integers(0, 60).map(str),
        event_type=st.sampled_from(["click", "purchase"]),
        ms=st.integers(-10 * MINUTE_MS, 10 * MINUTE_MS),
        cents=st.integers(0, 500),
    ),
    max_size=80,
)


def test_a_window_includes_its_start_and_excludes_its_end() -> None:
    assert [window_start(ms) for ms in (0, 59_999, 60_000, -1)] == [0, 0, 60_000, -60_000]


def test_a_window_fires_when_the_watermark_reaches_its_end_and_not_before() -> None:
    state, fired = advance(WindowState(), [at(1, "a"), at(64.999, "b")], RULES)
    assert fired == []

    _, fired = advance(state, [at(65, "c")], RULES)

    assert fired == [Window(0, events=1, by_type={"click": 1})]


def test_a_late_event_within_the_allowance_fires_its_window_again() -> None:
    state, _ = advance(WindowState(), [at(1, "a"), at(70, "b")], RULES)

    state, fired = advance(state, [at(2, "late", "purchase", cents=250)], RULES)

    assert fired == [Window(0, events=2, by_type={"click": 1, "purchase": 1}, cents=250)]
    assert state.late == 0


def test_an_event_after_the_allowance_is_counted_as_late_and_changes_nothing() -> None:
    state, fired = advance(WindowState(), [at(1, "a"), at(185, "b")], RULES)
    assert fired[-1] == Window(0, events=1, by_type={"click": 1}, is_final=True)

    state, fired = advance(state, [at(2, "too late")], RULES)

    assert (fired, state.late) == ([], 1)


def test_a_repeated_event_id_counts_once() -> None:
    state, _ = advance(WindowState(), [at(1, "a"), at(1, "a"), at(1, "a")], RULES)

    assert state.open[0].events == 1
    assert state.duplicates == 2


def test_an_early_clock_moves_the_watermark_once_and_it_never_goes_back() -> None:
    state, _ = advance(WindowState(), [at(600, "ahead"), at(500, "behind")], RULES)

    assert state.watermark_ms == 595_000


@given(occurrences, st.lists(st.integers(0, 80), max_size=5))
def test_how_events_are_cut_into_batches_changes_nothing(events: list[Occurrence], cuts: list[int]) -> None:
    state, fired = WindowState(), []
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    for begin, end in itertools.pairwise(edges):
        state, more = advance(state, events[begin:end], RULES)
        fired += more

    whole_state, whole_fired = advance(WindowState(), events, RULES)

    assert (state, fired) == (whole_state, whole_fired)


@given(occurrences)
def test_every_event_is_counted_in_one_final_window_or_as_late_or_as_duplicate(events: list[Occurrence]) -> None:
    state, fired = advance(WindowState(), events, RULES)
    final = [window for window in fired if window.is_final] + finish(state)

    assert len({window.start_ms for window in final}) == len(final)
    assert sum(window.events for window in final) + state.late + state.duplicates == len(events)


@given(occurrences)
def test_with_patience_for_everything_windows_equal_a_plain_count(events: list[Occurrence]) -> None:
    patient = WindowRules(allowed_lateness_ms=100 * MINUTE_MS)
    unique = {(window_start(event.ms), event.event_id): event for event in reversed(events)}
    expected = Counter(start for start, _ in unique)

    state, _ = advance(WindowState(), events, patient)

    assert {window.start_ms: window.events for window in finish(state)} == expected
    assert sum(window.cents for window in finish(state)) == sum(event.cents for event in unique.values())
