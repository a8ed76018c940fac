"""Every form in which a native request body may come."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream.bodies import decompress, split
from clickstream.errors import REQUEST_CODES, RequestRefused
from tests.support.native import JSON_VALUES, encoded, native_event

A, B = encoded(native_event("a")), encoded(native_event("b"))
MAX_BYTES = 5 * 1024 * 1024


def records(body: bytes, media_type: str = "application/json") -> list[bytes]:
    return split(body, media_type=media_type, max_records=10_000)


def refusal(body: bytes, media_type: str = "application/json") -> str:
    with pytest.raises(RequestRefused) as caught:
        records(body, media_type)
    assert str(caught.value)
    assert caught.value.status == REQUEST_CODES[caught.value.code]
    return caught.value.code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"records":[%b,%b]}' % (A, B), [A, B]),
        (b'{"records":[%b],"source":"web"}' % A, [A]),
        (b'{"records":[]}', []),
        (b"[%b,%b]" % (A, B), [A, B]),
        (b"[]", []),
        (b"[1,null]", [b"1", b"null"]),
        (A, [A]),
        (b"%b\n%b\n" % (A, B), [A, B]),
        (b"%b\r\n\r\n%b" % (A, B), [A, B]),
        (b"%b\nnonsense\n%b" % (A, B), [A, b"nonsense", B]),
        (b"  \n%b\n " % A, [A]),
        (b"\xef\xbb\xbf%b" % A, [A]),
        (b"{}", [b"{}"]),
        (b'{"records":[1],"event_type":"x"}', [b'{"records":[1],"event_type":"x"}']),
        (b'{"records":7,"event_type":"x"}', [b'{"records":7,"event_type":"x"}']),
    ],
)
def test_each_form_is_split_into_its_records_as_they_were_sent(body: bytes, expected: list[bytes]) -> None:
    assert records(body) == expected


@pytest.mark.parametrize(
    "media_type",
    [
        "", "application/json", "application/json; charset=utf-8", "text/plain", "text/plain;charset=UTF-8",
        "APPLICATION/JSON",
        "application/x-www-form-urlencoded", "application/octet-stream", "application/vnd.events+json",
        "application/x-ndjson",
    ],
)  # fmt: skip
def test_json_is_read_under_the_media_types_that_senders_use(media_type: str) -> None:
    assert records(A, media_type) == [A]


@pytest.mark.parametrize(
    "media_type", ["image/png", "text/html", "multipart/form-data; boundary=x", "application/xml", "x"]
)
def test_other_media_types_are_refused(media_type: str) -> None:
    assert refusal(A, media_type) == "unsupported_media_type"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b" \r\n", "empty_body"),
        (b"\xef\xbb\xbf", "empty_body"),
        (b"nonsense", "malformed_json"),
        (b"{", "malformed_json"),
        (b"[", "malformed_json"),
        (b'{"records":[', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"records":' * 100_000, "invalid_body"),
        (b"\xff\xfe{\x00}\x00", "malformed_json"),
        (b"5", "invalid_body"),
        (b"null", "invalid_body"),
        (b'"text"', "invalid_body"),
        (b'{"records":{}}', "invalid_body"),
        (b'{"records":null}', "invalid_body"),
        (b"not\njson\n", "malformed_json"),
    ],
)
def test_what_holds_no_records_is_refused(body: bytes, code: str) -> None:
    assert refusal(body) == code


def test_lost_newlines_between_events_are_named_and_other_garbage_is_not() -> None:
    with pytest.raises(RequestRefused, match=r"need newlines between them \(curl --data-binary keeps those"):
        records(A + B)
    with pytest.raises(RequestRefused) as other:
        records(A + b"]")
    assert "newlines" not in str(other.value)


def test_ndjson_by_its_media_type_judges_every_line_by_itself() -> None:
    assert records(b"x\n%b\ny" % A, "application/x-ndjson") == [b"x", A, b"y"]


def test_more_records_than_allowed_are_refused() -> None:
    assert refusal(b"[" + b"1," * 10_000 + b"1]") == "too_many_records"
    assert refusal(b"{}\n" * 10_001) == "too_many_records"
    assert len(records(b"[" + b"1," * 9_999 + b"1]")) == 10_000


@given(st.lists(JSON_VALUES, max_size=5))
def test_any_array_comes_apart_into_its_values(values: list[object]) -> None:
    assert [json.loads(record) for record in records(json.dumps(values).encode())] == values


@given(st.binary(max_size=200) | st.text('[]{}":,\\ \nrecodsnul01e-.', max_size=60).map(str.encode))
def test_no_body_does_anything_but_split_or_be_refused(body: bytes) -> None:
    try:
        found = records(body)
    except RequestRefused as problem:
        assert problem.code in REQUEST_CODES
    else:
        assert all(isinstance(record, bytes) and record for record in found)


def test_gzip_is_recognised_by_its_bytes_whatever_the_header_says() -> None:
    for encoding in ("gzip", "", "identity", "x-gzip", "deflate", " GZIP "):
        assert decompress(gzip.compress(A), encoding=encoding, max_bytes=MAX_BYTES) == A


def test_a_plain_body_that_claims_to_be_gzip_is_taken_as_it_is() -> None:
    assert decompress(A, encoding="gzip", max_bytes=MAX_BYTES) == A


def test_deflate_is_read() -> None:
    assert decompress(zlib.compress(A), encoding="deflate", max_bytes=MAX_BYTES) == A


def test_joined_gzip_members_are_read_to_the_last() -> None:
    assert (
        decompress(gzip.compress(A) + gzip.compress(b"\n" + B), encoding="gzip", max_bytes=MAX_BYTES) == A + b"\n" + B
    )


def _encoding_refusal(body: bytes, encoding: str = "gzip", max_bytes: int = MAX_BYTES) -> str:
    with pytest.raises(RequestRefused) as caught:
        decompress(body, encoding=encoding, max_bytes=max_bytes)
    return caught.value.code


def test_every_truncation_of_a_gzip_body_is_refused() -> None:
    whole = gzip.compress(A)

    codes = {_encoding_refusal(whole[:length]) for length in range(2, len(whole))}

    assert codes == {"invalid_encoding"}


def test_damaged_and_unknown_encodings_are_refused() -> None:
    assert _encoding_refusal(b"\x1f\x8bnonsense") == "invalid_encoding"
    assert _encoding_refusal(gzip.compress(A) + b"rest") == "invalid_encoding"
    assert _encoding_refusal(A, "deflate") == "invalid_encoding"
    assert _encoding_refusal(A, "br") == "unsupported_encoding"
    assert _encoding_refusal(A, "gzip, gzip") == "unsupported_encoding"


def test_a_bomb_is_refused_after_the_limit_not_after_its_whole_size() -> None:
    bomb = gzip.compress(bytes(400 * 1024 * 1024), 1)
    tracemalloc.start()

    code = _encoding_refusal(bomb)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code == "body_too_large"
    assert peak < 5 * MAX_BYTES


def test_exactly_the_limit_is_allowed() -> None:
    assert decompress(gzip.compress(bytes(1000)), encoding="", max_bytes=1000) == bytes(1000)
    assert _encoding_refusal(gzip.compress(bytes(1001)), max_bytes=1000) == "body_too_large"
    assert _encoding_refusal(bytes(1001), "", max_bytes=1000) == "body_too_large"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (gzip.compress(b"") * 260_000, "invalid_encoding"),
        (b"x\n" * 2_600_000, "malformed_json"),
        (b"[" + b"1," * 2_600_000 + b"1]", "too_many_records"),
        (b'"' * MAX_BYTES, "invalid_body"),
        (b"{}\n" * 1_700_000, "too_many_records"),
    ],
    ids=["empty gzip members", "short lines", "short records", "quotes", "empty objects"],
)
def test_five_hostile_megabytes_are_refused_within_seconds(body: bytes, code: str) -> None:
    begin = time.process_time()

    with pytest.raises(RequestRefused) as caught:
        records(decompress(body, encoding="", max_bytes=MAX_BYTES + 400_000))

    assert caught.value.code == code
    assert time.process_time() - begin < 5  # plain work takes up to one; what this guards against took a minute
