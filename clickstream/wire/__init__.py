"""Foreign SDK bodies to events: one adapter a family, and the one table of their routes."""

from __future__ import annotations

from typing import Final

from clickstream.wire import aws_clickstream, posthog, segment, snowplow, stubs
from clickstream.wire.base import Answer, Answers, Route, WireBatch, WireRequest, cors_headers, preflight

_POSTHOG_RULES: Final = ("/batch", "/e", "/capture", "/i/v0/e")
_SEGMENT_SINGLE: Final = ("track", "page", "identify", "screen", "group", "alias", "t", "p", "i", "s", "g", "a")
_TP2: Final = "/com.snowplowanalytics.snowplow/tp2"


def _with_slash(*rules: str) -> tuple[str, ...]:
    return tuple(form for rule in rules for form in (rule, rule + "/"))


# The registry: every compatibility route of the API stands here, and nowhere else. Rules are Flask's.
ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "segment",
        ("/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"),
        ("POST",),
        segment.decode_batch,
        segment.ANSWERS,
    ),
    Route("segment", tuple(f"/v1/{n}" for n in _SEGMENT_SINGLE), ("POST",), segment.decode_single, segment.ANSWERS),
    Route(
        "segment",
        ("/pixel/v1/track", "/pixel/v1/page", "/v1/pixel/track", "/v1/pixel/page", "/v1/pixel/identify"),
        ("GET",),
        segment.decode_pixel,
        segment.PIXEL_ANSWERS,
    ),
    Route("segment", ("/v1/projects/<key>/settings",), ("GET",), stubs.segment_settings, segment.ANSWERS),
    Route("segment", _with_slash("/sourceConfig"), ("GET",), stubs.rudderstack_source_config, segment.ANSWERS),
    Route("posthog", _with_slash(*_POSTHOG_RULES), ("POST", "GET"), posthog.decode_events, posthog.ANSWERS),
    Route(
        "posthog",
        _with_slash("/i/v1/analytics/events"),
        ("POST",),
        posthog.decode_analytics_events,
        posthog.ANSWERS,
    ),
    Route("posthog", _with_slash("/flags", "/decide"), ("POST", "GET"), stubs.posthog_flags, posthog.ANSWERS),
    Route(
        "posthog",
        ("/array/<key>/config", "/array/<key>/config.js"),
        ("GET",),
        stubs.posthog_remote_config,
        posthog.ANSWERS,
    ),
    Route("posthog", _with_slash("/s", "/api/surveys"), ("POST", "GET"), stubs.posthog_nothing, posthog.ANSWERS),
    Route("snowplow", (_TP2,), ("POST",), snowplow.decode_tp2, snowplow.ANSWERS),
    Route("snowplow", ("/i",), ("GET",), snowplow.decode_pixel, snowplow.PIXEL_ANSWERS),
    Route("aws_clickstream", ("/collect",), ("POST",), aws_clickstream.decode_collect, aws_clickstream.ANSWERS),
)

__all__ = ["ROUTES", "Answer", "Answers", "Route", "WireBatch", "WireRequest", "cors_headers", "preflight"]
