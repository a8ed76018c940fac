// posthog-js: a page view, a product added, an identify and an order.
import posthog from "posthog-js";

const api = new URLSearchParams(location.search).get("api");
// Only for this test: posthog-js sends nothing from an automated browser unless told so.
const forTest = { opt_out_useragent_filter: true };
posthog.init("phc_TEST", { ...forTest, api_host: api, capture_pageview: true, autocapture: false, capture_pageleave: false });
posthog.capture("Product Added", { product_id: "SKU-1", price: 12.75, quantity: 2 });
posthog.identify("user_1", { plan: "pro" });
posthog.capture("Order Completed", { order_id: "o-1", total: 25.5, currency: "EUR" });
