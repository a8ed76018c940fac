"""Shorter ways through moto to the same answers, for the calls that a demo makes by the hundred.

Most of what an event costs in the emulator went into parsing the same condition three times for each item, looking
for ten names in every attribute of every item, searching each answer for a <RequestId> that JSON has not, and
listing a directory of 180 services for each call. None of it is needed to give the same answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec
from moto import backends
from moto.core import responses
from moto.core.model import Shape, StructureShape
from moto.core.parse import BaseJSONParser
from moto.core.responses import ActionContext, ActionResult, BaseResponse
from moto.core.serialize import BaseJSONSerializer, ResponseSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.kinesis.responses import KinesisResponse

_CONDITIONS_KEPT: Final = 10_000
_ATTRIBUTE: Final = "AttributeValue"  # of DynamoDB: one of ten members is there
_JSON: Final = "application/x-amz-json-1.1"
_SURELY_SMALL: Final = 100_000  # bytes of an item, of which the service takes four times as many

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def install() -> None:
    """Take them in this process."""
    _list_services_once()
    _parse_conditions_once()
    _look_only_for_what_is_there()
    _write_json_fast()
    _check_items_once()
    _compare_texts_as_texts()
    _pass_records_through()


def _list_services_once() -> None:
    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services
    responses.method_names_from_class = lru_cache(maxsize=None)(method_names_from_class)  # type: ignore[attr-defined]


def _parse_conditions_once() -> None:
    original = ConditionExpressionParser.parse
    known: dict[str, tuple[Any, list[str], list[str]]] = {}

    def parse(self: ConditionExpressionParser) -> Any:  # noqa: ANN401 (as the original)
        if not self.condition_expression:
            return original(self)
        key = repr((self.condition_expression, self.expression_attribute_names, self.expression_attribute_values))
        if key not in known:
            if len(known) >= _CONDITIONS_KEPT:
                known.clear()
            condition = original(self)
            known[key] = condition, self.expr_attr_names_found[:], self.expr_attr_values_found[:]
        condition, names, values = known[key]
        # Copies, because moto adds to the lists.
        self.expr_attr_names_found, self.expr_attr_values_found = names[:], values[:]
        return condition

    ConditionExpressionParser.parse = parse  # type: ignore[method-assign]


def _look_only_for_what_is_there() -> None:
    parse, serialize, value_of = (
        BaseJSONParser._parse_structure,
        BaseJSONSerializer._serialize_type_structure,
        ResponseSerializer.get_value,
    )

    def parse_structure(self: Any, shape: StructureShape, value: Any) -> Any:  # noqa: ANN401 (as the original)
        if shape.name != _ATTRIBUTE or value is None:
            return parse(self, shape, value)  # type: ignore[no-untyped-call]
        return {name: self._parse_shape(shape.members[name], value[name]) for name in value if name in shape.members}

    def serialize_structure(self: Any, serialized: Any, value: Any, shape: StructureShape, key: str) -> None:  # noqa: ANN401
        if shape.name != _ATTRIBUTE or type(value) is not dict or not key:
            serialize(self, serialized, value, shape, key)
            return
        found: dict[str, Any] = {}
        for name, one in value.items():
            self._serialize(found, one, shape.members[name], name)
        self._default_serialize(serialized, found, shape, key)

    def get_value(self: Any, value: Any, key: str, shape: Shape) -> Any:  # noqa: ANN401 (as the original)
        if type(value) is dict and key in value and not self._value_picker.response_transformers:
            return value[key]
        return value_of(self, value, key, shape)

    BaseJSONParser._parse_structure = parse_structure  # type: ignore[method-assign]
    BaseJSONSerializer._serialize_type_structure = serialize_structure  # type: ignore[method-assign]
    ResponseSerializer.get_value = get_value  # type: ignore[method-assign]


def _write_json_fast() -> None:
    enrich = BaseResponse._enrich_response

    def enrich_response(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:  # noqa: ANN401
        if isinstance(body, str) and "<RequestId>" not in body:
            return enrich(headers, "")[0], body
        return enrich(headers, body)

    BaseResponse._enrich_response = staticmethod(enrich_response)  # type: ignore[method-assign]
    BaseJSONSerializer._serialize_body = lambda self, body: _encode(body).decode()  # type: ignore[method-assign]


def _check_items_once() -> None:
    """An item's size is added up anew for each attribute that moto puts in."""

    def initialize(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: dict[str, Any]) -> None:
        self.hash_key, self.range_key = hash_key, range_key
        self.attrs = LimitedSizeDict()
        found = {key: DynamoType(value) for key, value in attrs.items()}
        if sum(value.size() for value in found.values()) < _SURELY_SMALL:
            self.attrs.update(found)
        else:
            for key, value in found.items():
                self.attrs[key] = value  # adds up

    Item.__init__ = initialize  # type: ignore[method-assign]


def _compare_texts_as_texts() -> None:
    hash_of, equal = DynamoType.__hash__, DynamoType.__eq__

    def hashed(self: DynamoType) -> int:
        return hash(("S", self.value)) if self.type == "S" else hash_of(self)

    def equals(self: DynamoType, other: DynamoType) -> bool:
        return self.value == other.value if self.type == "S" == other.type else equal(self, other)

    DynamoType.__hash__ = hashed  # type: ignore[method-assign]
    DynamoType.__eq__ = equals  # type: ignore[method-assign]


class _Written(ActionResult):
    """An answer in JSON, ready to be sent."""

    def execute_result(self, context: ActionContext) -> tuple[int, dict[str, str], str]:
        return 200, {"Content-Type": _JSON}, _encode(self.result).decode()


def _pass_records_through() -> None:
    """Data comes and goes as base64; moto decodes and encodes it, and reads a request once for each parameter."""

    def put_records(self: KinesisResponse) -> ActionResult:
        asked = _decode(self.raw_body)
        return _Written(
            self.kinesis_backend.put_records(asked.get("StreamARN"), asked.get("StreamName"), asked["Records"])
        )

    def get_records(self: KinesisResponse) -> ActionResult:
        asked = _decode(self.raw_body)
        iterator, records, behind_ms = self.kinesis_backend.get_records(
            asked.get("StreamARN"), asked["ShardIterator"], asked.get("Limit")
        )
        found = [
            {
                "Data": record.data,
                "PartitionKey": record.partition_key,
                "SequenceNumber": str(record.sequence_number),
                "ApproximateArrivalTimestamp": record.created_at,
            }
            for record in records
        ]
        return _Written({"NextShardIterator": iterator, "Records": found, "MillisBehindLatest": behind_ms})

    KinesisResponse.put_records = put_records  # type: ignore[method-assign]
    KinesisResponse.get_records = get_records  # type: ignore[method-assign]
