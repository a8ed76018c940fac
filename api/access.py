"""Who may read events: the holder of READ_TOKEN, or without one whoever sits at this machine."""

from __future__ import annotations

from flask import current_app, request

from clickstream.dashboard.access import holds, is_this_machine
from clickstream.errors import RequestRefused


def refuse_strangers() -> None:
    """Raise RequestRefused: 401 without the token where one is set, else 403 for an address that is not ours."""
    token: str = current_app.config["READ_TOKEN"]
    if token:
        given = request.authorization
        if given is None or not holds(token, given.token):
            raise RequestRefused("unauthorized", "send the header Authorization: Bearer READ_TOKEN")
    elif not is_this_machine(request.host, current_app.config["HOST"]):
        # Any web page can point a name of its own at 127.0.0.1 and read what answers; only the Host gives it away.
        raise RequestRefused(
            "forbidden", f"{request.host[:60]} is not this machine; use 127.0.0.1, or set READ_TOKEN and send it"
        )
