// @aws/clickstream-web: a page view, a product added, an identify and an order.
import { ClickstreamAnalytics } from "@aws/clickstream-web";

const api = new URLSearchParams(location.search).get("api");
ClickstreamAnalytics.init({ appId: "shop", endpoint: `${api}/collect`, isTrackScrollEvents: false, isTrackPageLoadEvents: false });
ClickstreamAnalytics.record({ name: "add_to_cart", attributes: { product_id: "SKU-1" } });
ClickstreamAnalytics.setUserId("user_1");
const items = [{ id: "SKU-1", name: "Shoe", price: 12.75, quantity: 2 }];
ClickstreamAnalytics.record({ name: "purchase", attributes: { order_id: "o-1", _value: 25.5, _currency: "EUR" }, items });
window.clickstreamSdk = ClickstreamAnalytics;
