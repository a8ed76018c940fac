"""Sends two page views, a product added, an identify and an order with segment-analytics-python."""

import sys

from segment.analytics.client import Client

client = Client("WRITE_KEY", host=sys.argv[1], max_retries=5, upload_interval=0.2)
client.identify("user_1", {"plan": "pro"})
client.page("user_1", name="Shoes", properties={"url": "https://shop.test/shoes"})
client.track("user_1", "Product Viewed", {"product_id": "SKU-1", "price": 12.75})
client.track("user_1", "Product Added", {"product_id": "SKU-1", "price": 12.75, "quantity": 2})
client.track("user_1", "Order Completed", {"order_id": "o-1", "total": 25.5, "currency": "EUR"})
client.shutdown()
