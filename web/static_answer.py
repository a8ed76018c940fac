"""A static file as an answer, for whichever process serves it."""

from __future__ import annotations

from flask import Response, request

from clickstream.dashboard.static_files import StaticFile


def static_answer(file: StaticFile, *, keep: str) -> Response:
    """`file`, compressed for a client that unpacks it; 304 when the client has it; `keep` is its Cache-Control."""
    zipped = file.gzipped is not None and takes_gzip()
    response = Response(file.gzipped if zipped else file.body, content_type=file.content_type)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    response.set_etag(file.etag, weak=zipped)  # a strong one would promise the same bytes in both forms
    response.headers["Cache-Control"] = keep
    response.make_conditional(request)
    del response.headers["Date"]  # the server gives every answer one
    return response


def takes_gzip() -> bool:
    """True when the client of the current request unpacks gzip."""
    return request.accept_encodings.quality("gzip") > 0
