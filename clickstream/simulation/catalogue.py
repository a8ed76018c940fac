"""What a shop has and who comes by: products, people, devices, channels, drawn once into pools.

Faker costs about 0.4 ms a value, so events never call it.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Generic, TypeVar

import msgspec
from faker import Faker

T = TypeVar("T")

CATEGORIES: Final[Mapping[str, Sequence[str]]] = {
    "Shoes": ("Trail Runner", "Sneaker", "Hiking Boot", "Sandal", "Loafer"),
    "Clothing": ("Rain Jacket", "Hoodie", "T-Shirt", "Chinos", "Merino Sweater"),
    "Electronics": ("Headphones", "Power Bank", "Smart Lamp", "Keyboard", "Webcam"),
    "Home": ("Throw Blanket", "Desk Organizer", "Wall Clock", "Storage Basket", "Floor Lamp"),
    "Kitchen": ("Chef's Knife", "Cast-Iron Pan", "Pour-Over Set", "Mixing Bowl", "Kettle"),
    "Outdoor": ("Daypack", "Camping Stove", "Headlamp", "Water Bottle", "Picnic Rug"),
    "Beauty": ("Hand Cream", "Shampoo Bar", "Face Serum", "Lip Balm", "Bath Salt"),
    "Toys": ("Puzzle", "Building Set", "Board Game", "Plush Bear", "Kite"),
}

# Share of visits in per cent: mobile 64, desktop 33, tablet 3; what a device runs follows from the device.
_DEVICES: Final = {
    ("mobile", "Chrome", "Android"): 40.0,
    ("mobile", "Safari", "iOS"): 20.0,
    ("mobile", "Samsung Internet", "Android"): 3.0,
    ("mobile", "Firefox", "Android"): 1.0,
    ("desktop", "Chrome", "Windows"): 19.0,
    ("desktop", "Chrome", "macOS"): 4.0,
    ("desktop", "Edge", "Windows"): 5.0,
    ("desktop", "Safari", "macOS"): 3.0,
    ("desktop", "Firefox", "Linux"): 2.0,
    ("tablet", "Safari", "iOS"): 2.0,
    ("tablet", "Chrome", "Android"): 1.0,
}
_PLACES: Final = {
    ("US", "en-US"): 52.0,
    ("GB", "en-GB"): 12.0,
    ("DE", "de-DE"): 9.0,
    ("CA", "en-CA"): 8.0,
    ("FR", "fr-FR"): 7.0,
    ("AU", "en-AU"): 5.0,
    ("NL", "nl-NL"): 3.0,
    ("JP", "ja-JP"): 2.0,
    ("BR", "pt-BR"): 2.0,
}
# Channel: how a visit began; the referrer, and the campaign where it was paid for.
_CHANNELS: Final[Mapping[tuple[str, str, str], float]] = {
    ("", "", ""): 30.0,
    ("www.google.com", "", ""): 25.0,
    ("www.bing.com", "", ""): 5.0,
    ("www.google.com", "google", "cpc"): 15.0,
    ("www.instagram.com", "instagram", "social"): 6.0,
    ("www.facebook.com", "facebook", "social"): 4.0,
    ("mail.google.com", "newsletter", "email"): 8.0,
}
_REFERRAL_SHARE: Final = 7.0
_NAMES: Final = 200  # of people, who are told apart by a number: each takes Faker 0.15 ms
_REFERRAL_SITES: Final = 12
_ADJECTIVES: Final = ("blue", "cheap", "best")
_CAMPAIGNS: Final = ("spring_sale", "new_arrivals", "free_shipping", "brand")
_CLICKS: Final = {
    "home": ("hero-banner", "newsletter-signup", "menu", "featured-tile"),
    "category": ("filter-price", "filter-size", "sort-by", "next-page"),
    "product": ("image-gallery", "size-guide", "reviews", "wishlist"),
    "cart": ("promo-code", "shipping-info"),
}


class Weighted(Generic[T]):
    """Values with weights; a fraction from 0 to 1 picks one by binary search."""

    def __init__(self, values: Iterable[T], weights: Iterable[float]) -> None:
        self.values: Sequence[T] = tuple(values)
        bounds = list(accumulate(weights))
        self._bounds = [bound / bounds[-1] for bound in bounds[:-1]]

    def pick(self, fraction: float) -> T:
        """The value whose share holds `fraction`."""
        return self.values[bisect_right(self._bounds, fraction)]


@dataclass(frozen=True, slots=True)
class Product:
    """One thing on sale; `fields` are the event properties that name it, `view` those of its page."""

    cents: int
    path: str
    title: str
    fields: Mapping[str, Any]
    view: bytes


@dataclass(frozen=True, slots=True)
class Category:
    """One section of the shop."""

    path: str
    title: str
    queries: Sequence[str]
    view: bytes


def opened(properties: Mapping[str, Any]) -> bytes:
    """Encode `properties` without the closing brace, so that more can follow."""
    return msgspec.json.encode(properties)[:-1]


class CatalogueModel(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Sizes and distributions of the pools; prices are lognormal, popularity is 1 / (rank + shift) ** exponent."""

    seed: int = 1
    products: int = 1000
    people: int = 2000
    price_mu: float = 3.3
    price_sigma: float = 0.73
    popularity_shift: float = 3.0
    popularity_exponent: float = 0.85
    quantities: Sequence[float] = (0.72, 0.18, 0.06, 0.02, 0.01, 0.01)
    currency: str = "USD"


class Catalogue:
    """The pools of one shop; the same model gives the same catalogue."""

    def __init__(self, model: CatalogueModel) -> None:
        fake = Faker("en_US")
        fake.seed_instance(model.seed)
        rng = random.Random(model.seed)  # noqa: S311 - repeatable, not secret
        self.currency = model.currency
        self.categories = tuple(_category(name, nouns) for name, nouns in CATEGORIES.items())
        names = [fake.user_name() for _ in range(_NAMES)]
        self.people = tuple(f"{names[number % _NAMES]}_{number}" for number in range(model.people))
        self.products = Weighted(
            [_product(fake, rng, model, number) for number in range(model.products)],
            [(rank + model.popularity_shift) ** -model.popularity_exponent for rank in range(1, model.products + 1)],
        )
        self.quantities = Weighted(range(1, len(model.quantities) + 1), model.quantities)
        self.devices = Weighted(
            [{"device": device, "browser": browser, "os": system} for device, browser, system in _DEVICES],
            _DEVICES.values(),
        )
        self.places = Weighted(
            [{"locale": locale, "country": country} for country, locale in _PLACES], _PLACES.values()
        )
        self.channels = Weighted(*_channels(fake))
        self.campaigns = _CAMPAIGNS
        self.clicks = _CLICKS


def _category(name: str, nouns: Sequence[str]) -> Category:
    words = [noun.lower() for noun in nouns]
    phrases = [f"{adjective} {words[0]}" for adjective in _ADJECTIVES]
    path = f"/category/{name.lower()}"
    return Category(path, name, (*words, *phrases), opened({"page": path, "title": name, "category": name}))


def _product(fake: Faker, rng: random.Random, model: CatalogueModel, number: int) -> Product:
    category = rng.choice(tuple(CATEGORIES))
    name = f"{fake.last_name()} {rng.choice(CATEGORIES[category])}"
    cents = max(99, round(100 * math.exp(model.price_mu + model.price_sigma * rng.gauss(0.0, 1.0))))
    product_id = f"p{number + 1:04d}"
    fields = {"product_id": product_id, "product_name": name, "category": category, "price": cents / 100}
    path = f"/products/{product_id}"
    return Product(cents, path, name, fields, opened({"page": path, "title": name, **fields}))


def _channels(fake: Faker) -> tuple[list[tuple[str, str, str]], list[float]]:
    """Referrer, source and medium of each channel, and their shares."""
    sites = [(fake.domain_name(), "", "") for _ in range(_REFERRAL_SITES)]
    return [*_CHANNELS, *sites], [*_CHANNELS.values(), *([_REFERRAL_SHARE / len(sites)] * len(sites))]
