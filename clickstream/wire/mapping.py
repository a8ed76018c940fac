"""What all adapters share: names, products, and the record they build; times are in clocks.py."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from clickstream.events import PlainEvent
from clickstream.user_agents import describe
from clickstream.wire.base import WireBatch, WireRequest

Json = Any
Object = dict[str, Any]

# The names of Segment's e-commerce specification, which PostHog and RudderStack users follow as well.
COMMERCE_TYPES: Final = {
    "product_viewed": "page_view",
    "product_clicked": "click",
    "products_searched": "search",
    "product_added": "add_to_cart",
    "product_removed": "remove_from_cart",
    "checkout_started": "checkout",
    "order_completed": "purchase",
}

NUMBER: Final = (int, float)  # a tuple: isinstance with int | float builds the union anew at each call
_URL_SAFE: Final = str.maketrans("-_ ", "+/+")
_MAX_TYPE_LENGTH: Final = 64
_WORD_BORDER: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")


class Sdk(msgspec.Struct, omit_defaults=True, gc=False):
    """Where an event came from, and everything its SDK sent that has no place of its own in our event."""

    family: str
    library: str | None = None
    version: str | None = None
    original_event: str | None = None
    original_timestamp: Json = None
    clock_skew_ms: int = 0
    fields: Object = {}


class Record(PlainEvent, kw_only=True, omit_defaults=True, gc=False):
    """Our event, as complete and as sound as its SDK made it, and what else its SDK sent."""

    event_type: Json
    event_id: Json = None
    timestamp: Json = None
    raw_properties: msgspec.Raw = msgspec.field(name="properties", default=msgspec.Raw(b"{}"))
    sdk: Sdk | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def batch_of(sent: Sequence[Json], read: Callable[[Object], Record], body: bytes, write_key: str | None) -> WireBatch:
    """What `read` makes of each object in `sent`; anything else in there is a record as it came.

    Where they nest too deep to be written it is `body`, which held them.
    """
    try:
        made = [read(one) if isinstance(one, dict) else one for one in sent]
        records = [_encode(one) for one in made]
    except RecursionError:
        return WireBatch([body], write_key)
    if not all(isinstance(one, Record) for one in made):
        return WireBatch(records, write_key)
    for one in made:
        one.sdk = None  # it is written, and would only take room until the event is kept
    return WireBatch(records, write_key, events=made)


def as_sent(request: WireRequest) -> bytes:
    """The body of `request`, or of a pixel, which has none, its parameters."""
    return request.body or urlencode(request.query).encode()


def raw(properties: Json) -> msgspec.Raw:
    """`properties` as JSON."""
    return msgspec.Raw(_encode(properties))


def decode_json(body: bytes | str) -> Json:
    """The value `body` holds, or None when it is not JSON (JSON's own null is no event either)."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def base64_text(text: str) -> str:
    """The text in `text`, plain or URL-safe base64 with or without padding; empty when it is neither."""
    try:
        return base64.b64decode(text.translate(_URL_SAFE).rstrip("=") + "===").decode()
    except ValueError:
        return ""


def decode_base64(text: str) -> Json:
    """The JSON value in base64 `text`, or None."""
    return decode_json(base64_text(text))


def as_object(value: Json) -> Object:
    """`value` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=10_000)
def snake_case(name: str) -> str:
    """Spell `name` as an event type: "Product Viewed" and "productViewed" are `product_viewed`.

    Names without any latin letter or digit, and the tails of very long ones, become a checksum, so that two
    different names stay two types.
    """
    words = _NOT_WORD.sub("_", _WORD_BORDER.sub("_", name).lower()).strip("_")
    if not words:
        return f"event_{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
    if not words[0].isalpha():
        words = f"event_{words}"
    if len(words) > _MAX_TYPE_LENGTH:
        return f"{words[: _MAX_TYPE_LENGTH - 9]}_{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
    return words


def type_of(name: Json) -> str | None:
    """The event type for a name that an SDK's user chose; None when there is none."""
    if not isinstance(name, str) or not name:
        return None
    words = snake_case(name)
    return COMMERCE_TYPES.get(words, words)


def identifier(value: Json) -> Json:
    """An id as our event wants it: numbers as text, nothing for empty ones; anything else is left to validation."""
    if value is None or type(value) is str:
        return value or None
    return str(value) if isinstance(value, NUMBER) and not isinstance(value, bool) else value


def path_of(url: Json) -> str | None:
    """The path of an address, as `page` wants it."""
    return _path_of(url) if isinstance(url, str) and url else None


@lru_cache(maxsize=10_000)
def _path_of(url: str) -> str | None:
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return None


def number(value: Json) -> Json:
    """A number that came as text; anything else as it is."""
    if not isinstance(value, str):
        return value
    parsed = decode_json(value.strip())
    return parsed if isinstance(parsed, NUMBER) and not isinstance(parsed, bool) else value


def put(properties: Object, name: str, value: Json) -> None:
    """Add one thing that the SDK did not say itself; never overwrite what it did."""
    if value is not None and value != "" and properties.get(name) is None:
        properties[name] = value


def fill(properties: Object, additions: Mapping[str, Json]) -> None:
    """`put` each of `additions`."""
    for name, value in additions.items():
        put(properties, name, value)


def agent_of(user_agent: Json) -> Mapping[str, str]:
    """Device, browser and system of a browser; empty for anything else."""
    return _agent(user_agent) if isinstance(user_agent, str) and user_agent.startswith("Mozilla/") else {}


@lru_cache(maxsize=4096)
def _agent(user_agent: str) -> Mapping[str, str]:
    agent = describe(user_agent)
    known = {"device": agent.device, "browser": agent.browser, "os": agent.os}
    return {name: value for name, value in known.items() if value is not None}


def fill_commerce(properties: Object, event_type: str | None) -> None:
    """Add the standard names of a product, and `items` and `total` of an order, from what SDKs call them."""
    if "sku" in properties or ("name" in properties and "product_id" in properties):
        fill(properties, {"product_id": properties.get("sku"), "product_name": properties.get("name")})
    if event_type != "purchase":
        return
    products = properties.get("products")
    if isinstance(products, list):
        put(properties, "items", [line_item(product) for product in products if isinstance(product, dict)] or None)
    for name in ("revenue", "value"):
        put(properties, "total", properties.get(name))


def line_item(product: Object) -> Object:
    """One product under the standard names, whatever its SDK calls them."""
    item: Object = {}
    for name, aliases in _ITEM_ALIASES:
        for alias in aliases:
            value = product.get(alias)
            if value is not None:
                item[name] = number(value) if name in ("price", "quantity") else value
                break
    return item


_ITEM_ALIASES: Final = (
    ("product_id", ("product_id", "item_id", "id", "sku")),
    ("product_name", ("product_name", "item_name", "name")),
    ("category", ("category", "item_category")),
    ("price", ("price",)),
    ("quantity", ("quantity",)),
)
