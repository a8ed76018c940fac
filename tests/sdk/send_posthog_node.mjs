// Sends two page views, a product added, an identify and an order with posthog-node.
import { PostHog } from "posthog-node";

const client = new PostHog("phc_TEST", { host: process.argv[2], flushAt: 100, fetchRetryCount: 5, fetchRetryDelay: 200 });
const distinctId = "user_1";
client.identify({ distinctId, properties: { plan: "pro" } });
client.capture({ distinctId, event: "$pageview", properties: { $current_url: "https://shop.test/shoes" } });
client.capture({ distinctId, event: "Product Viewed", properties: { product_id: "SKU-1", price: 12.75 } });
client.capture({ distinctId, event: "Product Added", properties: { product_id: "SKU-1", quantity: 2 } });
client.capture({ distinctId, event: "Order Completed", properties: { order_id: "o-1", total: 25.5 } });
await client.shutdown(30000);
