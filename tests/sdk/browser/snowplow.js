// @snowplow/browser-tracker: a page view, a product added, an identify and an order.
import { flushBuffer, newTracker, setUserId, trackPageView, trackSelfDescribingEvent, trackStructEvent } from "@snowplow/browser-tracker";

const api = new URLSearchParams(location.search).get("api");
const ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce";
newTracker("sp", api, { appId: "shop", stateStorageStrategy: "cookieAndLocalStorage" });
trackPageView();
const added = { schema: "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0", data: { sku: "SKU-1", quantity: 2 } };
trackSelfDescribingEvent({ event: added });
setUserId("user_1");
trackStructEvent({ category: "account", action: "identify" });
const action = { schema: `${ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2`, data: { type: "transaction" } };
const transaction = { transaction_id: "o-1", revenue: 25.5, currency: "EUR" };
trackSelfDescribingEvent({ event: action, context: [{ schema: `${ECOMMERCE}/transaction/jsonschema/1-0-0`, data: transaction }] });
// This tracker sends failed events again together with the visitor's next one; this page has none, so it asks for it.
setInterval(() => flushBuffer(), 500);
