"""What one API process has taken in since it started: verdicts, rate, latencies; and what it answered."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

_RATE_SECONDS: Final = 10
_LATENCIES_KEPT: Final = 2048


class Meter:
    """Counts verdicts once they are final: received = accepted + duplicates + rejected, always."""

    def __init__(self, now_ms: int) -> None:
        self.since_ms = now_ms
        self.accepted = 0
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()  # requests of senders without a key that fits, or beyond their rate
        self.failed_commits = 0
        self.last_event_ms: int | None = None
        self._per_second: deque[tuple[int, int]] = deque(maxlen=_RATE_SECONDS + 1)
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES_KEPT)
        self.server_errors = 0  # answers with 5xx
        self._post_latencies_s: deque[float] = deque(maxlen=_LATENCIES_KEPT)

    def take(self, accepted: int, duplicates: int, rejected: Sequence[str], now_ms: int) -> None:
        """Add the verdicts of one request."""
        self.accepted += accepted
        self.duplicates += duplicates
        self.rejected.update(rejected)
        if accepted:
            self.last_event_ms = now_ms
            second = now_ms // 1000
            if self._per_second and self._per_second[-1][0] == second:
                self._per_second[-1] = (second, self._per_second[-1][1] + accepted)
            else:
                self._per_second.append((second, accepted))

    def took(self, latency_s: float) -> None:
        """Add the time from a request's verdicts to its commit."""
        self._latencies_s.append(latency_s)

    def answered(self, method: str, status: int, latency_s: float) -> None:
        """Add an answer; only what is posted has a latency of interest, a read may wait because it was asked to."""
        if status >= 500:
            self.server_errors += 1
        if method == "POST":
            self._post_latencies_s.append(latency_s)

    def take_post_latencies_ms(self) -> dict[str, float | None]:
        """p50 and p99 of the latest posts since the last call; None where there was none."""
        latencies, self._post_latencies_s = self._post_latencies_s, deque(maxlen=_LATENCIES_KEPT)
        return _percentiles_ms(list(latencies))

    def accounting(self) -> dict[str, Any]:
        """received, accepted, duplicates, rejected."""
        rejected = self.rejected.total()
        return {
            "received": self.accepted + self.duplicates + rejected,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": rejected,
        }

    def events_per_second(self, now_ms: int) -> float:
        """Mean over the last ten whole seconds, or over the time since the start while that is shorter."""
        now = now_ms // 1000
        count = sum(count for second, count in self._per_second if now - _RATE_SECONDS <= second < now)
        running_s = now - self.since_ms // 1000
        if running_s < 0:  # the clock was set back
            running_s = _RATE_SECONDS
        return round(count / max(1, min(_RATE_SECONDS, running_s)), 1)

    def latency_ms(self) -> dict[str, float | None]:
        """p50 and p99 of the latest commits in milliseconds; None before the first."""
        return _percentiles_ms(list(self._latencies_s))


def _percentiles_ms(latencies_s: list[float]) -> dict[str, float | None]:
    ordered = sorted(latencies_s)
    if not ordered:
        return {"p50": None, "p99": None}
    return {
        "p50": round(ordered[len(ordered) // 2] * 1000, 2),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 2),
    }
