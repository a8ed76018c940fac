// Sends two page views, a product added, an identify and an order with @rudderstack/rudder-sdk-node.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const client = new RudderAnalytics("WRITE_KEY", { dataPlaneUrl: process.argv[2], flushAt: 100, retryCount: 5 });
const userId = "user_1";
client.identify({ userId, traits: { plan: "pro" } });
client.page({ userId, name: "Shoes", properties: { url: "https://shop.test/shoes" } });
client.track({ userId, event: "Product Viewed", properties: { product_id: "SKU-1", price: 12.75 } });
client.track({ userId, event: "Product Added", properties: { product_id: "SKU-1", quantity: 2 } });
client.track({ userId, event: "Order Completed", properties: { order_id: "o-1", total: 25.5, currency: "EUR" } });
await client.flush();
process.exit(0);
