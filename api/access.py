"""Who may do what: read events, change what is kept, send events."""

from __future__ import annotations

import re
from typing import Final

from flask import request

from api.parts import parts
from clickstream.access import TurnedAway, WriteAccess
from clickstream.dashboard.access import holds, why_strange
from clickstream.errors import ClickstreamError, RequestRefused

_LONGEST_ORIGIN: Final = 100
_UNNAMED: Final = "a site that does not say its name"


def refuse_strangers() -> None:
    """Raise RequestRefused: 401 without the token where one is set, else 403 for an address that is not ours."""
    here = parts()
    token = here.read_token
    if token:
        given = request.authorization
        if given is None or not holds(token, given.token):
            wrong = "this is not the READ_TOKEN; " if given is not None else ""
            raise RequestRefused("unauthorized", f"{wrong}send the header Authorization: Bearer READ_TOKEN")
    elif strange := why_strange(request.environ, here.host):
        raise RequestRefused("forbidden", f"{strange}; use 127.0.0.1, or set READ_TOKEN and send it")


def refuse_other_sites() -> None:
    """Raise RequestRefused when a page of another site wants something changed: browsers name it in Origin."""
    origin = request.headers.get("Origin")
    if request.method not in ("GET", "HEAD", "OPTIONS") and origin and origin.partition("://")[2] != request.host:
        raise RequestRefused("forbidden", f"pages of {origin[:100]} may not change anything here")


def refuse_pages_of_other_sites() -> None:
    """Raise RequestRefused when a page of another site asks at all, also for an image or by a link."""
    page = _page()
    if page is not None and page.partition("://")[2] != request.host:
        raise RequestRefused("forbidden", f"pages of {page[:100]} may not change anything here")


def admit(access: WriteAccess, events: int, key_in_body: str | None = None) -> str | None:
    """Source that sends these `events`, by its write key wherever that stands; raises RequestRefused."""
    if access.is_open:
        return None
    try:
        return access.admit(_presented(key_in_body), origin=_page(), address=request.remote_addr or "", events=events)
    except RequestRefused as refusal:
        parts().pipeline.meter.denied[refusal.code] += 1
        if isinstance(refusal, TurnedAway):  # beyond a rate they come back, so nothing is lost
            _tell(refusal)
        raise


def _tell(refusal: TurnedAway) -> None:
    """Log whom to look for; the text of the origin is the sender's own, so it is cut and stands escaped in quotes."""
    origin = _page()
    page = "none" if origin is None else repr(origin[:_LONGEST_ORIGIN])
    route = f"{request.method} {request.url_rule}"
    parts().turned_away.failed(ClickstreamError(f"{refusal.reason} route={route} origin={page}"))


def _page() -> str | None:
    """Origin of the page that sends, as far as the browser says; None when nothing tells of another site's page.

    Images and links have no Origin, but a Referer unless the page forbids it, and Sec-Fetch-Site where this API is
    reached by https or as localhost.
    """
    headers = request.headers
    if origin := headers.get("Origin"):
        return origin
    if referer := headers.get("Referer"):
        scheme, _, rest = referer.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}"
    return _UNNAMED if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") else None


def _presented(key_in_body: str | None) -> str | None:
    given = request.authorization
    in_header = None if given is None else given.token or given.username
    return request.headers.get("X-Write-Key") or key_in_body or request.args.get("write_key") or in_header
