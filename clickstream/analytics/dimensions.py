"""What events say that visits are chosen by and answers are broken down by, as SQL over the view `events`."""

from __future__ import annotations

import re
from typing import Final

from clickstream.analytics.sources import literal
from clickstream.errors import RequestRefused

PROPERTY: Final = "property."  # what stands before the name of a property of one's own
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


# What urlsplit takes for the host of an address, behind blanks, scheme and user and before the port: group 3. It takes
# out line ends and tabs first. In brackets only an address of IPv6 stands. \x20 is a blank.
_ADDRESS: Final = literal(
    r"^[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#\[\]]*@)?"
    r"(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(:[^/?#@\[\]]*)?([/?#]|$)"
)
_LONGEST_HOST: Final = 200  # of /stats, clickstream/stats/top.py


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
    """SQL of the text under which an answer counts what an event says under `name`: a referrer by its host alone.

    The host is that of /stats, without `www.`, and the whole text where it is no address with a host. They differ only
    in what no browser sends: hosts beyond ASCII that urlsplit refuses, as they may be taken for others, or whose small
    letters are written otherwise in Python (İ, a last Σ), and hosts in brackets that are not quite an address of IPv6.
    """
    return _HOST if name == "referrer" else said(name)


def is_counted_as(name: str, text: str) -> str:
    """SQL that is true when what an event says under `name` counts as `text`."""
    is_it = f"{counted_as(name)} = {literal(text)}"
    if name != "referrer" or not text.isprintable():
        return is_it
    # Nearly all others are told apart without looking for their host, in a twentieth of the time. A % or _ in `text`
    # stands for itself too, and for more, which the host then decides.
    return f"(lower({_one_line(name)}) LIKE lower({literal(f'%{text}%')}) AND {is_it})"


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


def _one_line(column: str) -> str:
    return f"replace(replace(replace({column}, '\t', ''), '\n', ''), '\r', '')"


def _host_of(column: str) -> str:
    one_line = _one_line(column)
    written = f"replace(replace(regexp_extract({one_line}, {_ADDRESS}, 3), '[', ''), ']', '')"
    # What follows a % stays as it is. Where nothing does, Athena finds null and DuckDB an empty text.
    host = f"lower(regexp_extract({written}, '^[^%]*')) || coalesce(regexp_extract({written}, '%.*'), '')"
    named = f"CASE WHEN regexp_matches({one_line}, {_ADDRESS}) THEN {host} ELSE {column} END"
    return (
        f"CASE WHEN {named} LIKE 'www.%' THEN substr({named}, 5, {_LONGEST_HOST}) "
        f"ELSE substr({named}, 1, {_LONGEST_HOST}) END"
    )


_HOST: Final = _host_of("referrer")
