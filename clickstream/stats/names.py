"""Counts by a name that producers choose: common names always, others while there is room, the rest together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from clickstream.events import STANDARD_TYPES

MOST_NAMES: Final = 500  # types, or currencies, that are counted by themselves: in all, and in each minute
OTHER_TYPES: Final = "(other)"  # no producer's type: those begin with a letter
OTHER_CURRENCIES: Final = "XXX"  # ISO 4217: no currency

_TYPES: Final = frozenset({*STANDARD_TYPES, OTHER_TYPES})
# ISO 4217. Nobody who invents codes shall push an amount in real money out of its sum.
_CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
    COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
    INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XCG XOF XPF XXX YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 (a line of codes is read, a column of them is not)
)


def add_types(counts: dict[str, int], more: Mapping[str, int], *, most: int = MOST_NAMES) -> None:
    """Add `more` to `counts`; beyond `most` names, new types that are not standard count as OTHER_TYPES."""
    _add(counts, more, most, _TYPES, OTHER_TYPES)


def add_currencies(cents: dict[str, int], more: Mapping[str, int], *, most: int = MOST_NAMES) -> None:
    """Add `more` to `cents`; beyond `most` codes, new ones that no country has count as OTHER_CURRENCIES."""
    _add(cents, more, most, _CURRENCIES, OTHER_CURRENCIES)


def sum_of_types(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sum of `parts` by type, by the rule of `add_types`."""
    return _bounded(_sum(parts), _TYPES, OTHER_TYPES)


def sum_of_currencies(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Sum of `parts` by currency, by the rule of `add_currencies`."""
    return _bounded(_sum(parts), _CURRENCIES, OTHER_CURRENCIES)


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Names stay in the order in which they came first, so what is bounded afterwards is what came late."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _bounded(total: dict[str, int], common: frozenset[str], rest: str) -> dict[str, int]:
    if len(total) <= MOST_NAMES:
        return total
    bounded: dict[str, int] = {}
    _add(bounded, total, MOST_NAMES, common, rest)
    return bounded


def _add(counts: dict[str, int], more: Mapping[str, int], most: int, common: frozenset[str], rest: str) -> None:
    for name, count in more.items():
        known = name if name in counts or name in common or len(counts) < most else rest
        counts[known] = counts.get(known, 0) + count
