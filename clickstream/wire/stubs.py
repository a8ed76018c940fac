"""What browser SDKs fetch before they send anything: settings that say "everything goes here, nothing else is on"."""

from __future__ import annotations

from typing import Any

from clickstream.wire.base import Answer, WireBatch, WireRequest, json_answer


def segment_settings(request: WireRequest) -> WireBatch:
    """Answer Segment's settings: the host that served them takes the events."""
    key = request.path.split("/")[3]
    address = {
        "apiHost": f"{request.headers.get('host', 'localhost')}/v1",
        "protocol": request.headers.get("x-forwarded-proto", "http"),
    }
    document = {"integrations": {"Segment.io": {"apiKey": key, "type": "browser", **address}}, "plan": {}}
    return WireBatch([], key, json_answer(200, document))


def rudderstack_source_config(request: WireRequest) -> WireBatch:
    """Answer RudderStack's `sourceConfig`, without which its browser SDK never starts."""
    key = request.query.get("writeKey")
    off = {"enabled": False}
    source = {
        "id": "local",
        "name": "local",
        "writeKey": key or "",
        "workspaceId": "local",
        "enabled": True,
        "connections": [],
        "destinations": [],
        "config": {"statsCollection": {"errors": off, "metrics": off}},
    }
    return WireBatch([], key, json_answer(200, {"source": source}))


def posthog_flags(_: WireRequest) -> WireBatch:
    """Answer flags and decide: no flags."""
    return WireBatch([], None, json_answer(200, {**_posthog_config(), "flags": {}, "featureFlags": {}}))


def posthog_remote_config(request: WireRequest) -> WireBatch:
    """Answer the browser SDK's configuration, as JSON or as an empty script."""
    if request.path.endswith(".js"):
        return WireBatch([], None, Answer(200, b"", {"Content-Type": "text/javascript"}))
    return WireBatch([], None, json_answer(200, _posthog_config()))


def posthog_nothing(_: WireRequest) -> WireBatch:
    """Take what is not an event of ours (session recordings, surveys) and keep none of it."""
    return WireBatch([], None, json_answer(200, {"status": 1, "surveys": []}))


def _posthog_config() -> dict[str, Any]:
    return {
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": False,
        "supportedCompression": ["gzip-js", "base64"],
        "hasFeatureFlags": False,
        "sessionRecording": False,
        "surveys": False,
        "capturePerformance": False,
        "autocaptureExceptions": False,
        "heatmaps": False,
        "siteApps": [],
        "toolbarParams": {},
        "isAuthenticated": False,
    }
