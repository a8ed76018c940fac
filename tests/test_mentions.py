"""A person is found in what was refused, in whichever form they came; others are not taken for them."""

from __future__ import annotations

import base64
import gzip
import json
import time
import zlib
from urllib.parse import quote, quote_plus

import pytest

from clickstream.mentions import Mentions

EVENT = b'{"distinct_id":"an+na/1"}'
PACKED = base64.b64encode(gzip.compress(EVENT, mtime=0)).decode()


@pytest.mark.parametrize(
    ("person", "content"),
    [
        ("anna", b'{"user_id":"anna"}'),
        ("anna", b'{"a":[{"b":["anna"]}]}'),
        ("anna", b'{"user_id":"anna","user_id":"ben"}'),
        ("12345", b'{"user_id":12345}'),
        ("12345", b'{"properties":{"distinct_id":12345.0}}'),
        ("123456789012345678901234567890", b'{"userId":123456789012345678901234567890}'),
        ("jos\u00e9", rb'{"user_id":"jos\u00e9"}'),
        ("\U0001f600", rb'{"user_id":"\ud83d\ude00", broken'),
        ("bob/1", rb'{"user_id":"bob\/1"}'),
        ("bob/1", rb'{"user_id":"bob\/1", broken'),
        ("carol", b'{"user_id":"carol","name":"\xff"}'),
        ("anna", '{"user_id":"anna"}'.encode("utf-16")),
        ("erin", gzip.compress(b'{"user_id":"erin"', mtime=0)),
        ("erin", gzip.compress(b"{}\n", mtime=0) + gzip.compress(b'{"user_id":"erin"', mtime=0)),
        ("erin", gzip.compress(b'{"user_id":"erin", ' + bytes(range(256)) * 40, mtime=0)[:-100]),
        ("erin", zlib.compress(b'{"user_id":"erin"')),
        ("gina", b"data=" + quote('{"distinct_id":"gina"').encode()),
        ("gi na", b"data=" + quote_plus('{"distinct_id":"gi na"').encode()),
        ("an+na/1", f"data={quote(PACKED)}&compression=gzip-js".encode()),
        ("an+na/1", json.dumps({"data": PACKED}).encode()),
        ("an+na/1", json.dumps({"cx": base64.urlsafe_b64encode(EVENT).decode().rstrip("=")}).encode()),
        ("an+na/1", json.dumps({"ue_pr": EVENT.decode()}).encode()),
        ("anna", b'{"raw":"' + b"[" * 100_000 + b'anna"}'),
        ("anna", b"[" * 100_000 + b'"anna"'),
    ],
)
def test_a_person_is_found_in_every_readable_form(person: str, content: bytes) -> None:
    line = {"code": "c", "raw_base64": base64.b64encode(content).decode()}

    assert Mentions([person]).in_bytes(content)
    assert Mentions(["else", person]).in_line(json.dumps(line).encode())
    assert not Mentions(["nobody"]).in_bytes(content)


def test_a_line_that_a_kill_has_cut_is_searched_too() -> None:
    line = rb'{"received_at":"2026-01-01T00:00:00.000Z","raw":"{\"user_id\":\"jos\\u00e9\",\"email\":\"jo'

    assert Mentions(["jos\u00e9"]).in_line(line)
    assert not Mentions(["jo\u00e9"]).in_line(line)


@pytest.mark.parametrize(
    "content",
    [
        b'{"user_id":"annabel"}',
        b'{"user_id":"annabel", broken',
        b'{"user_id":"ben","properties":{"name":"for anna"}}',
        b'{"user_id":"ben","properties":{"total":5}}',
        b'{"user_id":"5d3f1c1e-9b7a-4c53-8d7e-0a7b1f0c9a11"}',
    ],
)
def test_others_are_not_taken_for_them(content: bytes) -> None:
    assert not Mentions(["anna", "5"]).in_bytes(content)


@pytest.mark.parametrize("piece", [b"%25", rb"\\", b"eyJ", b"{", b"a+", rb"\u005c"])
def test_no_content_makes_the_search_slow(piece: bytes) -> None:
    began_s = time.process_time()

    Mentions(["anna"]).in_bytes(piece * (262_144 // len(piece)))

    assert time.process_time() - began_s < 5  # seconds where it is linear: a tenth
