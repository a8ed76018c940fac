"""boto3 clients that give up in time and retry what AWS says is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

MAX_IN_FLIGHT: Final = 4

# Lists of hundreds, made in one place of this program. boto3 checks and writes them entry by entry, which is up to two
# thirds of the processor time of a call; here msgspec writes them at once, and the service checks them.
_LISTS: Final = {"kinesis": ("PutRecords", "Records"), "dynamodb": ("TransactWriteItems", "TransactItems")}

_CONNECT_TIMEOUT_S: Final = 2
_READ_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True)
class Emulated:
    """An emulator instead of AWS, with credentials that are none."""

    url: str


def producer(region: str, *, emulated: Emulated | None = None) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    """A client of Kinesis for KinesisSink, which tries again by itself and keeps to the limits of a call.

    Its records are not checked here.
    """
    return client("kinesis", region, attempts=1, is_checked=False, emulated=emulated)


def client(
    service: str, region: str, *, attempts: int = 3, is_checked: bool | None = None, emulated: Emulated | None = None
) -> Any:  # noqa: ANN401 (boto3 makes its classes at run time)
    """A client of `service`; without `emulated`, AWS_ENDPOINT_URL, which boto3 reads itself, may name another place.

    DynamoDB's requests are not checked here unless `is_checked` says so: they are all made by CounterTable.
    """
    import boto3  # noqa: PLC0415 (the local platform starts without AWS's packages)
    from botocore.config import Config  # noqa: PLC0415

    if is_checked is None:
        is_checked = service != "dynamodb"
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=2 * MAX_IN_FLIGHT,
        parameter_validation=is_checked,
    )
    place: dict[str, str] = {}
    if emulated is not None:
        place = {"endpoint_url": emulated.url, "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    made = boto3.client(service, region_name=region, config=config, **place)  # type: ignore[call-overload]  # a name at run time
    if not is_checked:
        _write_list(made.meta.events, service)
    return made


def _write_list(events: Any, service: str) -> None:  # noqa: ANN401 (botocore)
    operation, name = _LISTS[service]
    aside = f"clickstream.{name}"

    def set_aside(params: dict[str, Any], context: dict[str, Any], **_: object) -> dict[str, Any]:
        context[aside] = params[name]
        return {**params, name: []}

    def write(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        # Before it is signed. msgspec writes bytes as base64, as both services take them.
        fields = msgspec.json.decode(params["body"])
        params["body"] = msgspec.json.encode({**fields, name: context.pop(aside)})

    events.register(f"provide-client-params.{service}.{operation}", set_aside)
    events.register(f"before-call.{service}.{operation}", write)
