"""boto3 clients that give up in time and retry what AWS says is worth it."""

from __future__ import annotations

from typing import Any, Final

MAX_IN_FLIGHT: Final = 4

_CONNECT_TIMEOUT_S: Final = 2
_READ_TIMEOUT_S: Final = 10


def client(service: str, region: str, *, attempts: int = 3) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    """A client of `service`; AWS_ENDPOINT_URL, which boto3 reads itself, points it at an emulator."""
    import boto3  # noqa: PLC0415 (the local platform starts without AWS's packages)
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * MAX_IN_FLIGHT,
    )
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]  # a name at run time
