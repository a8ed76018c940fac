// @segment/analytics-next: a page view, a product added, an identify and an order.
import { AnalyticsBrowser } from "@segment/analytics-next";

const api = new URLSearchParams(location.search).get("api");
const analytics = AnalyticsBrowser.load({ writeKey: "WRITE_KEY", cdnURL: api });
analytics.page();
analytics.track("Product Added", { product_id: "SKU-1", price: 12.75, quantity: 2 });
analytics.identify("user_1", { plan: "pro" });
analytics.track("Order Completed", { order_id: "o-1", total: 25.5, currency: "EUR" });
