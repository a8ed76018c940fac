// Sends two page views, a product added, an identify and an order with @segment/analytics-node.
import { Analytics } from "@segment/analytics-node";

const analytics = new Analytics({ writeKey: "WRITE_KEY", host: process.argv[2], maxRetries: 5 });
const userId = "user_1";
analytics.identify({ userId, traits: { plan: "pro" } });
analytics.page({ userId, name: "Shoes", properties: { url: "https://shop.test/shoes" } });
analytics.track({ userId, event: "Product Viewed", properties: { product_id: "SKU-1", price: 12.75 } });
analytics.track({ userId, event: "Product Added", properties: { product_id: "SKU-1", quantity: 2 } });
analytics.track({ userId, event: "Order Completed", properties: { order_id: "o-1", total: 25.5, currency: "EUR" } });
await analytics.closeAndFlush({ timeout: 30000 });
