"""Two statistical tests, without a library: the chance of a deviation as large as this one if the model is right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

_LEAST_EXPECTED = 5.0
_ENOUGH_TERMS = 10_000


def chi_square_p(observed: Sequence[int], shares: Sequence[float]) -> float | None:
    """P-value that counts come from these shares; None when too few of the cells are expected to be filled.

    Cells that expect fewer than 5 are counted together, as the approximation needs; anything in a cell that
    expects nothing is impossible: 0.
    """
    total = sum(observed)
    cells = [(count, share * total) for count, share in zip(observed, shares, strict=True)]
    if any(count and not expected for count, expected in cells):
        return 0.0
    large = [cell for cell in cells if cell[1] >= _LEAST_EXPECTED]
    small = [cell for cell in cells if 0 < cell[1] < _LEAST_EXPECTED]
    if small:
        large.append((sum(count for count, _ in small), math.fsum(expected for _, expected in small)))
    if len(large) < 2:
        return None
    statistic = math.fsum((count - expected) ** 2 / expected for count, expected in large)
    return upper_gamma((len(large) - 1) / 2, statistic / 2)


def upper_gamma(a: float, x: float) -> float:
    """Regularized upper incomplete gamma function Q(a, x): the tail of a chi-square distribution."""
    if x <= 0:
        return 1.0
    front = math.exp(-x + a * math.log(x) - math.lgamma(a))
    return 1.0 - front * _series(a, x) if x < a + 1 else front * _fraction(a, x)


def kolmogorov_smirnov_p(sample: Iterable[float], cumulative: Callable[[float], float]) -> float:
    """P-value that the sample comes from a continuous distribution with this cumulative function."""
    ordered = sorted(sample)
    size = len(ordered)
    distance = max(
        max((rank + 1) / size - cumulative(value), cumulative(value) - rank / size)
        for rank, value in enumerate(ordered)
    )
    scaled = (math.sqrt(size) + 0.12 + 0.11 / math.sqrt(size)) * distance  # Stephens' correction for finite samples
    return min(1.0, max(0.0, 2 * math.fsum(_kolmogorov_term(k, scaled) for k in range(1, 101))))


def _kolmogorov_term(k: int, scaled: float) -> float:
    return (1 if k % 2 else -1) * math.exp(-2 * (k * scaled) ** 2)


def _series(a: float, x: float) -> float:
    """The lower function's power series, without its front factor."""
    term = total = 1 / a
    for n in range(1, _ENOUGH_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * 1e-15:
            break
    return total


def _fraction(a: float, x: float) -> float:
    """The upper function's continued fraction, without its front factor (Lentz's method)."""
    b = x + 1 - a
    c, d = 1e300, 1 / b
    result = d
    for n in range(1, _ENOUGH_TERMS):
        factor = -n * (n - a)
        b += 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        result *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return result
