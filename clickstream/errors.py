"""The errors of the project, but for those that one command or part handles itself; the class says who must act.

ClickstreamError
├── ConfigError          the operator: a setting is wrong or missing
├── RequestRefused       the sender: the whole request is at fault (HTTP 4xx)
│   └── RateLimited          too many events for now (access.py)
├── Unavailable          nobody: try again later (HTTP 503 + Retry-After)
│   ├── Replaying            the journal is still being read after a start
│   └── BackendUnavailable   the place where events are kept cannot take them now
├── ApiProblem           whoever runs the API: it gave no usable answer (client/reading.py)
├── PortTaken            the operator: another process listens there, or the host is none of this machine
└── JournalError         the operator: the journal file needs attention
    ├── JournalLocked    another process writes this journal
    └── JournalDamaged   the file is not a journal, or cannot be made one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# The closed list of error codes. docs/api.md explains each one; a test compares the two.
REQUEST_CODES: Final = {
    "malformed_json": 400,
    "empty_body": 400,
    "invalid_body": 400,
    "invalid_encoding": 400,
    "all_rejected": 400,
    "invalid_parameter": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "body_too_large": 413,
    "too_many_records": 413,
    "unsupported_media_type": 415,
    "unsupported_encoding": 415,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
    "replaying": 503,
}
RECORD_CODES: Final = frozenset(
    {
        "malformed_json",
        "not_an_object",
        "missing_field",
        "missing_identity",
        "invalid_type",
        "invalid_value",
        "duplicate_key",
        "number_out_of_range",
        "invalid_unicode",
        "event_too_large",
        "nesting_too_deep",
    }
)


class ClickstreamError(Exception):
    """Root of this project's errors."""


class ConfigError(ClickstreamError):
    """One or more settings are wrong; the message lists all of them."""


class RequestRefused(ClickstreamError):
    """The whole request is at fault and was not processed.

    `code` is one of REQUEST_CODES and decides the HTTP status.
    """

    def __init__(self, code: str, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    @property
    def status(self) -> int:
        """HTTP status that belongs to `code`."""
        return REQUEST_CODES[self.code]


class Unavailable(ClickstreamError):
    """Cannot be done now; the sender keeps its events and tries again after `retry_after_s` seconds."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Replaying(Unavailable):
    """The journal is still being read after a start."""

    code = "replaying"


class BackendUnavailable(Unavailable):
    """The place where events are kept cannot take them now; nothing may be acknowledged.

    `kept` are the indexes of those records that are kept all the same, ascending, as far as that is known.
    """

    def __init__(self, message: str, *, retry_after_s: int = 1, kept: Sequence[int] = ()) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.kept = kept


class PortTaken(ClickstreamError):
    """The address to be served cannot be listened on: another process does, or it is none of this machine."""


class JournalError(ClickstreamError):
    """The journal file needs the operator's attention."""


class JournalLocked(JournalError):
    """Another process is writing this journal."""


class JournalDamaged(JournalError):
    """The file is not a journal and cannot be turned into one without losing something."""


def failure(problem: OSError) -> str:
    """What went wrong with which file, without the number that the system has for it."""
    what = problem.strerror or str(problem)
    return f"{problem.filename}: {what}" if problem.filename else what
