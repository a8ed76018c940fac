"""One visit, and how far it got through the funnel, whatever order its events arrive in.

The funnel page_view -> add_to_cart -> checkout -> purchase counts a session at a step when times
t1 <= t2 <= ... exist for the steps up to it. Taking the earliest possible time at each step decides that, and
with events out of order the earliest times only ever move down, so very few times must be remembered.
"""

from __future__ import annotations

from typing import Final

import msgspec

FUNNEL: Final = ("page_view", "add_to_cart", "checkout", "purchase")
INACTIVITY_MS: Final = 30 * 60_000  # the gap that ends a session without an id; the web analytics convention

# A session that sends more steps out of order than this is a script; its funnel may then be one step short.
_EARLY_TIMES_KEPT: Final = 64


class Session(msgspec.Struct, gc=False, array_like=True):
    """Span and funnel progress of one visit; times are milliseconds since 1970 on the producers' clock."""

    first_ms: int
    last_ms: int
    depth: int = 0  # funnel steps reached in order, 0 to 4
    view_ms: int | None = None  # earliest page_view
    cart_ms: int | None = None  # earliest add_to_cart not before view_ms
    checkout_ms: int | None = None  # earliest checkout not before cart_ms
    purchase_ms: int | None = None  # latest purchase
    early_carts: list[int] | None = None  # add_to_cart before view_ms: count if an earlier view arrives
    early_checkouts: list[int] | None = None  # checkout before cart_ms, likewise

    def take_step(self, step: str, ms: int) -> int:
        """Record a funnel event and return the new depth."""
        if step == "page_view":
            self._view(ms)
        elif step == "add_to_cart":
            self._cart(ms)
        elif step == "checkout":
            self._checkout(ms)
        elif self.purchase_ms is None or ms > self.purchase_ms:
            self.purchase_ms = ms
        self.depth = self._reached()
        return self.depth

    def absorb(self, other: Session) -> None:
        """Become the one visit that both turn out to be."""
        self.first_ms = min(self.first_ms, other.first_ms)
        self.last_ms = max(self.last_ms, other.last_ms)
        if other.purchase_ms is not None:
            self.take_step("purchase", other.purchase_ms)
        for ms in (*(other.early_checkouts or ()), other.checkout_ms):
            if ms is not None:
                self._checkout(ms)
        for ms in (*(other.early_carts or ()), other.cart_ms):
            if ms is not None:
                self._cart(ms)
        if other.view_ms is not None:
            self._view(other.view_ms)
        self.depth = self._reached()

    def _view(self, ms: int) -> None:
        if self.view_ms is not None and ms >= self.view_ms:
            return
        self.view_ms = ms
        early = self.early_carts or ()
        self.early_carts = [cart for cart in early if cart < ms] or None
        for cart in early:
            if cart >= ms:
                self._cart(cart)

    def _cart(self, ms: int) -> None:
        if self.view_ms is None or ms < self.view_ms:
            self.early_carts = _with(self.early_carts, ms)
        elif self.cart_ms is None or ms < self.cart_ms:
            self.cart_ms = ms
            early = self.early_checkouts or ()
            self.early_checkouts = [checkout for checkout in early if checkout < ms] or None
            for checkout in early:
                if checkout >= ms:
                    self._checkout(checkout)

    def _checkout(self, ms: int) -> None:
        if self.cart_ms is None or ms < self.cart_ms:
            self.early_checkouts = _with(self.early_checkouts, ms)
        elif self.checkout_ms is None or ms < self.checkout_ms:
            self.checkout_ms = ms

    def _reached(self) -> int:
        if self.view_ms is None:
            return 0
        if self.cart_ms is None:
            return 1
        if self.checkout_ms is None:
            return 2
        return 4 if self.purchase_ms is not None and self.purchase_ms >= self.checkout_ms else 3


def _with(times: list[int] | None, ms: int) -> list[int]:
    kept = [*(times or ()), ms]
    if len(kept) > _EARLY_TIMES_KEPT:
        kept.remove(min(kept))
    return kept
