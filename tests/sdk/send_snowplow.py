"""Sends two page views, a product added, an identify and an order with snowplow-tracker."""

import sys
import time

from snowplow_tracker import (
    Emitter,
    PageView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce"
delivered: list[object] = []
emitter = Emitter(sys.argv[1], batch_size=5, request_timeout=5, on_success=delivered.extend)
tracker = Tracker("shop", [emitter], subject=Subject().set_user_id("user_1"), app_id="shop")

action = SelfDescribingJson(f"{ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2", {"type": "transaction"})
transaction = SelfDescribingJson(
    f"{ECOMMERCE}/transaction/jsonschema/1-0-0", {"transaction_id": "o-1", "revenue": 25.5, "currency": "EUR"}
)
added = SelfDescribingJson(
    "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0", {"sku": "SKU-1", "quantity": 2}
)

tracker.track(StructuredEvent("account", "identify"))
tracker.track(PageView("https://shop.test/shoes", "Shoes"))
tracker.track(StructuredEvent("shop", "Product Viewed", label="SKU-1"))
tracker.track(SelfDescribing(added))
tracker.track(SelfDescribing(action, context=[transaction]))
tracker.flush()
deadline = time.monotonic() + 30
while len(delivered) < 5 and time.monotonic() < deadline:
    time.sleep(0.05)
sys.exit(0 if len(delivered) >= 5 else "not delivered")
