"""A native request body -> the records in it, as the sender wrote them.

Accepted forms: `{"records": [...]}`, a bare array, one object, one object a line (NDJSON); plain or gzip.
Whether a record is a good event is decided in events/
"""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import Final

import msgspec

from clickstream.errors import RequestRefused
from clickstream.packed import GZIP_OR_ZLIB

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_JSON_SPACE: Final = b" \t\r\n"
_MAX_GZIP_MEMBERS: Final = 100  # a log shipper may join a few; each one costs a copy of what follows it
_BYTE_POSITION: Final = re.compile(r"byte (\d+)")
_NEWLINES_LOST: Final = (
    "; events that follow one another need newlines between them "
    "(curl --data-binary keeps those of a file, -d does not)"
)

# curl sends x-www-form-urlencoded unless told otherwise and sendBeacon sends text/plain; both carry JSON here.
_MEDIA_TYPES: Final = frozenset(
    {
        "",
        "application/json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/gzip",
        "text/plain",
        "text/json",
    }
)
_LINE_MEDIA_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


# Half of a surrogate pair, in group 1; the alternatives before it are what must not be taken for one.
_HALF_PAIR: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


class _Envelope(msgspec.Struct):
    records: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET
    event_type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_envelopes: Final = msgspec.json.Decoder(_Envelope)
_arrays: Final = msgspec.json.Decoder(list[msgspec.Raw])
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decompress(body: bytes, *, encoding: str, max_bytes: int) -> bytes:
    """`body` without its gzip or deflate coding; raises RequestRefused beyond `max_bytes` of plain text.

    gzip is recognised by its first bytes as well, because some senders forget the header and some set it wrongly.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise RequestRefused(
            "unsupported_encoding", f'Content-Encoding "{encoding}" is not read here; send gzip or plain JSON'
        )
    if body[:2] == _GZIP_MAGIC:
        body = _inflate(body, zlib.MAX_WBITS | 16, max_bytes)
    elif encoding == "deflate":
        body = _inflate(body, zlib.MAX_WBITS, max_bytes)
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    return body


def readable(body: bytes, *, encoding: str, max_bytes: int) -> bytes:
    """The text of a refused `body` without its coding, as far as `max_bytes`; nothing where it cannot be had.

    What stays packed cannot be cleaned of secrets and addresses, and so must not be kept.
    """
    is_packed = encoding.strip().lower() not in ("", "identity")
    if GZIP_OR_ZLIB.match(body):
        with contextlib.suppress(RequestRefused):
            return _inflate(body, zlib.MAX_WBITS | 32, max_bytes)
        is_packed = True
    if not is_packed:
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        return b""
    return body


def too_large(max_bytes: int) -> RequestRefused:
    """The refusal of a body beyond `max_bytes`."""
    return RequestRefused(
        "body_too_large", f"the body is larger than {max_bytes:,} bytes (MAX_BODY_BYTES); send smaller batches"
    )


def split(body: bytes, *, media_type: str, max_records: int) -> list[bytes]:
    """The records of a native body in their order, each exactly as sent; raises RequestRefused when there is no JSON.

    In NDJSON each line is a record of its own, so that one bad line costs only itself.
    """
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES and not media_type.endswith("+json"):
        raise RequestRefused(
            "unsupported_media_type", f'Content-Type "{media_type}" is not read here; send application/json'
        )
    body = body.removeprefix(_BOM).strip(_JSON_SPACE)
    if not body:
        raise RequestRefused("empty_body", 'the body is empty; send one event, an array, or {"records": [...]}')
    records = _lines(body) if media_type in _LINE_MEDIA_TYPES else _json_records(body, max_records)
    if len(records) > max_records:
        raise RequestRefused(
            "too_many_records",
            f"{len(records):,} records in one request, at most {max_records:,} (MAX_RECORDS) are read; "
            "send smaller batches",
        )
    return records


def _inflate(body: bytes, window_bits: int, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = max_bytes + 1
    while body and room > 0:
        if len(parts) == _MAX_GZIP_MEMBERS:
            raise RequestRefused("invalid_encoding", f"more than {_MAX_GZIP_MEMBERS} gzip members; compress once")
        stream = zlib.decompressobj(window_bits)
        try:
            part = stream.decompress(body, room)
        except zlib.error as problem:
            raise RequestRefused("invalid_encoding", f"the compressed body is damaged: {problem}") from None
        parts.append(part)
        room -= len(part)
        if room > 0 and not stream.eof:
            raise RequestRefused("invalid_encoding", "the compressed body ends too early; send it again")
        body = stream.unused_data.lstrip(b"\0") if stream.eof else b""
    return b"".join(parts)


def _json_records(body: bytes, max_records: int) -> list[bytes]:
    try:
        if body[:1] == b"[":
            return list(map(bytes, _arrays.decode(body)))
        envelope = _envelopes.decode(body)
    except msgspec.ValidationError:
        return _one_event_or_refuse(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        whole = _HALF_PAIR.sub(_replaced, body) if b"\\u" in body else body
        if whole != body:
            return _slices(body, whole, _json_records(whole, max_records))
        return _lines_or_refuse(body, problem, max_records)
    if isinstance(envelope.records, msgspec.UnsetType) or not isinstance(envelope.event_type, msgspec.UnsetType):
        return [body]
    return list(map(bytes, envelope.records))


def _replaced(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if match[1] else match[0]


def _slices(body: bytes, like: bytes, records: list[bytes]) -> list[bytes]:
    """The records of `body` at the places where `records` stand in `like`, which differs from it in no length.

    msgspec refuses a body for half a surrogate pair (text cut inside an emoji); so it costs its own record only.
    """
    slices = []
    position = 0
    for record in records:
        position = like.index(record, position)
        slices.append(body[position : position + len(record)])
        position += len(record)
    return slices


def _one_event_or_refuse(body: bytes) -> list[bytes]:
    """An event that happens to have a field `records` of its own; anything else of the wrong shape is refused."""
    try:
        fields = _objects.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        fields = {}
    if "event_type" in fields:
        return [body]
    if "records" in fields:
        raise RequestRefused("invalid_body", "records is not an array of events", field="records")
    raise RequestRefused("invalid_body", 'the body is neither an event, an array of events, nor {"records": [...]}')


def _lines_or_refuse(body: bytes, problem: Exception, max_records: int) -> list[bytes]:
    """NDJSON when one of its first lines is a JSON object by itself; pretty-printed but broken JSON is one refusal."""
    lines = _lines(body)
    if len(lines) > 1 and any(_is_object(line) for line in lines[:max_records]):
        return lines
    raise _malformed(body, problem)


def _lines(body: bytes) -> list[bytes]:
    return [line for line in (raw.strip(_JSON_SPACE) for raw in body.split(b"\n")) if line]


def _is_object(line: bytes) -> bool:
    try:
        _objects.decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False
    return True


def _malformed(body: bytes, problem: Exception) -> RequestRefused:
    if isinstance(problem, RecursionError):
        return RequestRefused("malformed_json", "the body is nested too deeply to be read")
    if isinstance(problem, UnicodeDecodeError):
        return RequestRefused("malformed_json", "the body is not UTF-8; JSON travels as UTF-8")
    return RequestRefused("malformed_json", f"the body is not valid JSON: {_where(body, problem)}")


def _where(body: bytes, problem: Exception) -> str:
    reason = str(problem).removeprefix("JSON is malformed: ")
    found = _BYTE_POSITION.search(reason)
    if found is None:
        return f"{reason} (it ends at byte {len(body)})"
    before = body[: int(found[1])]
    line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
    place = f"at line {line}, column {column} (byte {found[1]})"
    # The place of trailing characters is behind the first of them.
    hint = _NEWLINES_LOST if reason.startswith("trailing characters") and before.endswith(b"{") else ""
    return f"{reason[: found.start() - 1].rstrip()} {place}{hint}"
