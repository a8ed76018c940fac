"""Sends two page views, a product added, a person and an order with posthog."""

import sys

from posthog import Posthog

client = Posthog("phc_TEST", host=sys.argv[1], max_retries=5, flush_interval=0.2)
client.capture("$identify", distinct_id="user_1", properties={"$set": {"plan": "pro"}})
client.capture("$pageview", distinct_id="user_1", properties={"$current_url": "https://shop.test/shoes"})
client.capture("Product Viewed", distinct_id="user_1", properties={"product_id": "SKU-1", "price": 12.75})
client.capture("Product Added", distinct_id="user_1", properties={"product_id": "SKU-1", "quantity": 2})
client.capture("Order Completed", distinct_id="user_1", properties={"order_id": "o-1", "total": 25.5})
client.shutdown()
