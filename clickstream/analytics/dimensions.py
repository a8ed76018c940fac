"""What events say that visits are chosen by and answers are broken down by, as SQL over the view `events`."""

from __future__ import annotations

import re
from typing import Final

from clickstream.analytics.hosts import HOST, one_line
from clickstream.analytics.sources import literal
from clickstream.errors import RequestRefused
from clickstream.query import PROPERTY

_COLUMNS: Final = {
    "event_type": "event_type",
    "page": "page",
    "product": "coalesce(product_name, product_id)",
    "referrer": "referrer",
    "is_bot": "is_bot",
    **{name: name for name in ("device", "browser", "os", "country", "utm_source", "utm_medium", "utm_campaign")},
}
KNOWN: Final = tuple(_COLUMNS)
# What a JSON path can hold between quotes, in DuckDB and in Athena alike; a = would end the name in --visit NAME=TEXT.
_OWN: Final = re.compile(r"[^=\"'\\\[\]*\x00-\x1f\x7f\ud800-\udfff]{1,128}")


def wrong_with_name(name: str) -> str:
    """Why no event can say anything under `name`; empty when it can."""
    if name in _COLUMNS:
        return ""
    if not name.startswith(PROPERTY):
        own = f"a property of yours is {PROPERTY}{name[:40] or 'NAME'}"
        return f'nothing is known by "{name[:40]}"; known: {", ".join(KNOWN)}; {own}'
    if not _OWN.fullmatch(name.removeprefix(PROPERTY)):
        none = "none of them a quote, bracket, =, *, \\ or control character"
        return f"{PROPERTY} needs the name of a property: 1 to 128 characters, {none}"
    return ""


def name_of(text: str) -> str:
    """`text`, where it is what something can be known by; raises RequestRefused."""
    if reason := wrong_with_name(text):
        raise RequestRefused("invalid_parameter", reason, field="by")
    return text


def type_of(text: str) -> str:
    """`text`, where it can be a type of events; raises RequestRefused."""
    if not text or any("\ud800" <= character <= "\udfff" for character in text):
        raise RequestRefused("invalid_parameter", "of needs a type of events, such as purchase", field="of")
    return text


def counted_as(name: str) -> str:
    """SQL of the text under which an answer counts what an event says under `name`: a referrer by its host alone."""
    return HOST if name == "referrer" else said(name)


def is_counted_as(name: str, text: str) -> str:
    """SQL that is true when what an event says under `name` counts as `text`."""
    is_it = f"{counted_as(name)} = {literal(text)}"
    if name != "referrer" or not text.isprintable():
        return is_it
    # Nearly all others are told apart without looking for their host, in a twentieth of the time. A % or _ in `text`
    # stands for itself too, and for more, which the host then decides.
    return f"(lower({one_line(name)}) LIKE lower({literal(f'%{text}%')}) AND {is_it})"


def said(name: str) -> str:
    """SQL of the text that an event says under `name`, null where it says none.

    Of a property of one's own a text that is not empty counts, and a number, true or false as JSON writes it.
    """
    if name in _COLUMNS:
        return _COLUMNS[name]
    path = literal(f'$."{name.removeprefix(PROPERTY)}"')
    found = f"CAST(json_extract(properties, {path}) AS VARCHAR)"
    return (
        f"CASE WHEN {found} LIKE '\"_%\"' THEN json_extract_string(properties, {path}) "
        f"WHEN regexp_matches({found}, '^[-0-9tf]') THEN {found} END"
    )
