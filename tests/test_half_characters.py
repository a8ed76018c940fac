"""Text that was cut inside a character, as JavaScript's slice does to emoji, costs its own record only."""

from __future__ import annotations

import pytest

from clickstream.bodies import split
from clickstream.errors import RequestRefused

GOOD = b'{"event_type": "click", "user_id": "u", "text": "\\ud83d\\ude00 \\\\ud83d"}'
CUT = b'{"event_type":"click","user_id":"u","text":"\\uD83D"}'


def records(body: bytes) -> list[bytes]:
    return split(body, media_type="application/json", max_records=10)


@pytest.mark.parametrize("form", [b'{"records": [%s, %s ,%s]}', b"[%s,\n%s,%s]", b"%s\n%s\n%s"])
def test_the_records_beside_it_come_as_they_were_sent(form: bytes) -> None:
    assert records(form % (GOOD, CUT, GOOD)) == [GOOD, CUT, GOOD]


def test_one_event_alone_is_still_one_record() -> None:
    assert records(CUT) == [CUT]


def test_the_second_half_alone_counts_as_half() -> None:
    assert records(b'[{"text":"\\ude00\\ud83d"},' + GOOD + b"]") == [b'{"text":"\\ude00\\ud83d"}', GOOD]


def test_a_body_that_is_no_json_besides_is_refused_at_its_true_place() -> None:
    with pytest.raises(RequestRefused, match="line 1, column 25"):
        records(b'[{"text":"\\ud83d"},{"a" 1}]')
