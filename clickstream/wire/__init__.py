"""Foreign SDK bodies to events: one adapter a family, and the one table of their routes."""

from __future__ import annotations

from typing import Final

from clickstream.wire.base import Answer, Answers, Route, WireBatch, WireRequest, cors_headers, preflight

# The registry: every compatibility route of the API stands here, and nowhere else.
ROUTES: Final[tuple[Route, ...]] = ()

__all__ = ["ROUTES", "Answer", "Answers", "Route", "WireBatch", "WireRequest", "cors_headers", "preflight"]
