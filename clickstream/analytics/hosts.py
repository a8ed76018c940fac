"""The host of a referrer as SQL: what answers count it under, as /stats does (clickstream/stats/top.py).

It stands without `www.`; where there is no address with a host, the whole text does. They differ only in what no
browser sends: hosts beyond ASCII that urlsplit refuses, as they may be taken for others, or whose small letters are
written otherwise in Python (İ, a last Σ), and hosts in brackets that are not quite an address of IPv6.
"""

from __future__ import annotations

from typing import Final

from clickstream.analytics.sources import literal
from clickstream.stats.top import LONGEST_VALUE

# What urlsplit takes for the host of an address, behind blanks, scheme and user and before the port: group 3. It takes
# out line ends and tabs first. In brackets only an address of IPv6 stands. \x20 is a blank.
_ADDRESS: Final = literal(
    r"^[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#\[\]]*@)?"
    r"(\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+\]|[^/?#@:\[\]]+)(:[^/?#@\[\]]*)?([/?#]|$)"
)


def one_line(column: str) -> str:
    """SQL of a text without its line ends and tabs."""
    return f"replace(replace(replace({column}, '\t', ''), '\n', ''), '\r', '')"


def _host_of(column: str) -> str:
    flat = one_line(column)
    written = f"replace(replace(regexp_extract({flat}, {_ADDRESS}, 3), '[', ''), ']', '')"
    # What follows a % stays as it is. Where nothing does, Athena finds null and DuckDB an empty text.
    host = f"lower(regexp_extract({written}, '^[^%]*')) || coalesce(regexp_extract({written}, '%.*'), '')"
    named = f"CASE WHEN regexp_matches({flat}, {_ADDRESS}) THEN {host} ELSE {column} END"
    return (
        f"CASE WHEN {named} LIKE 'www.%' THEN substr({named}, 5, {LONGEST_VALUE}) "
        f"ELSE substr({named}, 1, {LONGEST_VALUE}) END"
    )


HOST: Final = _host_of("referrer")
