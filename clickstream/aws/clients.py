"""boto3 clients that give up in time and retry what AWS says is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_IN_FLIGHT: Final = 4

# Whose requests are made in one place of this program, by the hundred: boto3's own check of every item costs more
# than a tenth of what the consumer costs in all, and the service checks as well.
_UNCHECKED: Final = frozenset({"dynamodb"})

_RECORDS: Final = "clickstream_records"
_CONNECT_TIMEOUT_S: Final = 2
_READ_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Emulated:
    """An emulator instead of AWS, with credentials that are none."""

    url: str


def producer(region: str, *, emulated: Emulated | None = None) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    """A client of Kinesis for KinesisSink, which tries again by itself and keeps to the limits of a call.

    It neither checks every record nor writes its JSON as boto3 does: two thirds of the processor time of a call.
    """
    kinesis = client("kinesis", region, attempts=1, is_checked=False, emulated=emulated)
    kinesis.meta.events.register("provide-client-params.kinesis.PutRecords", _set_records_aside)
    kinesis.meta.events.register("before-call.kinesis.PutRecords", _write_records)
    return kinesis


def client(
    service: str, region: str, *, attempts: int = 3, is_checked: bool | None = None, emulated: Emulated | None = None
) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    """A client of `service`; without `emulated`, AWS_ENDPOINT_URL, which boto3 reads itself, may name another place."""
    import boto3  # noqa: PLC0415 (the local platform starts without AWS's packages)
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * MAX_IN_FLIGHT,
        parameter_validation=service not in _UNCHECKED if is_checked is None else is_checked,
    )
    place: dict[str, str] = {}
    if emulated is not None:
        place = {"endpoint_url": emulated.url, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client(service, region_name=region, config=config, **place)  # type: ignore[call-overload]  # a name at run time


def _set_records_aside(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
    context[_RECORDS] = params["Records"]
    return {**params, "Records": []}


def _write_records(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    """Write the body anew, now with its records: msgspec writes bytes as base64, which is what Kinesis takes."""
    fields = msgspec.json.decode(params["body"])
    params["body"] = msgspec.json.encode({**fields, "Records": context.pop(_RECORDS)})
