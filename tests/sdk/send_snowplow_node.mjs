// Sends two page views, a product added, an identify and an order with @snowplow/node-tracker.
import { buildPageView, buildSelfDescribingEvent, buildStructEvent, newTracker } from "@snowplow/node-tracker";

const ECOMMERCE = "iglu:com.snowplowanalytics.snowplow.ecommerce";
let delivered = 0;
const done = new Promise((resolve) => {
  const onRequestSuccess = (batch) => (delivered += batch.length) >= 5 && resolve();
  // This tracker sends a failed batch again with the next event; here it is the last one, so ask for it.
  const onRequestFailure = ({ willRetry }) => willRetry && setTimeout(() => tracker.flush(), 100);
  const tracker = newTracker(
    { namespace: "sp", appId: "shop" },
    { endpoint: process.argv[2], bufferSize: 5, onRequestSuccess, onRequestFailure },
  );
  tracker.setUserId("user_1");
  tracker.track(buildStructEvent({ category: "account", action: "identify" }));
  tracker.track(buildPageView({ pageUrl: "https://shop.test/shoes", pageTitle: "Shoes" }));
  tracker.track(buildStructEvent({ category: "shop", action: "Product Viewed", label: "SKU-1" }));
  const added = { schema: "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0", data: { sku: "SKU-1", quantity: 2 } };
  tracker.track(buildSelfDescribingEvent({ event: added }));
  const action = { schema: `${ECOMMERCE}/snowplow_ecommerce_action/jsonschema/1-0-2`, data: { type: "transaction" } };
  const transaction = { transaction_id: "o-1", revenue: 25.5, currency: "EUR" };
  const context = [{ schema: `${ECOMMERCE}/transaction/jsonschema/1-0-0`, data: transaction }];
  tracker.track(buildSelfDescribingEvent({ event: action }), context);
  tracker.flush();
});
await done;
process.exit(0);
