"""Self-describing JSON inside Snowplow events: opened, and found by the names of its schemas."""

from __future__ import annotations

from typing import Any, Final

from clickstream.wire import mapping
from clickstream.wire.mapping import Object, as_object

_JSON_FIELDS: Final = (("ue_px", "ue_pr"), ("cx", "co"))
_EMBEDDED: Final = tuple(name for names in _JSON_FIELDS for name in names)


def unpack(event: Object) -> tuple[Any, Object, dict[str, list[Object]]]:
    """Name and content of the event, and its entities by the name of their schema.

    The name is that of its self-describing JSON, its structured action, or its kind. Embedded JSON, plain or base64,
    is put in place of its text; text that holds none stays.
    """
    kind = event.get("e")
    if event.keys().isdisjoint(_EMBEDDED):
        return _plain_name(event, kind), {}, {}
    _open_json(event)
    entities = _entities(event)
    if kind != "ue":
        return _plain_name(event, kind), {}, entities
    inner = as_object(as_object(event.get("ue_pr")).get("data"))
    name = _schema_name(inner["schema"]) if "schema" in inner else None
    return name, as_object(inner.get("data")), entities


def _plain_name(event: Object, kind: Any) -> Any:  # noqa: ANN401 - as sent
    return event.get("se_ac") if kind == "se" else None if kind == "ue" else kind


def _open_json(event: Object) -> None:
    for encoded, plain in _JSON_FIELDS:
        for name, read in ((encoded, mapping.decode_base64), (plain, mapping.decode_json)):
            value = read(event[name]) if isinstance(event.get(name), str) else None
            if value is not None:
                del event[name]
                event[plain] = value


def _entities(event: Object) -> dict[str, list[Object]]:
    named: dict[str, list[Object]] = {}
    attached = as_object(event.get("co")).get("data")
    for entity in attached if isinstance(attached, list) else ():
        if isinstance(entity, dict) and isinstance(entity.get("data"), dict):
            named.setdefault(_schema_name(entity.get("schema")), []).append(entity["data"])
    return named


def _schema_name(schema: object) -> str:
    parts = str(schema).removeprefix("iglu:").split("/")
    return parts[1] if len(parts) == 4 else str(schema)
