// How an answer compares with that of the span before it, as long and up to the same time of day.

import { some, sum } from "./rows.js";
import * as ui from "./ui.js";

const counted = (field, one) => ({ of: (rows) => sum(rows, field), shown: (value) => some(value, one) });
const shared = (part, all, words) => ({ isShare: true, of: (rows) => (all(rows) ? part(rows) / all(rows) : null), shown: (value) => `${ui.percent(value)} ${words}` });

// What of an answer is compared; `now` are the rows of the span itself.
const MEASURES = {
  traffic: () => counted("page_views", "page view"),
  sessions: () => counted("sessions", "session"),
  funnel: (now) => shared((rows) => rows.at(-1)?.sessions ?? 0, (rows) => rows[0]?.sessions, now.at(-1).step === "purchase" ? "bought" : "took all steps"),
  conversion_by_hour: () => shared((rows) => sum(rows, "purchased"), (rows) => sum(rows, "sessions"), "bought"),
  revenue: (now) => {
    const currency = mostUsed(now);
    return { of: (rows) => sum(rows.filter((row) => row.currency === currency), "revenue_cents"), shown: (value) => ui.money(value, currency) };
  },
};

function mostUsed(rows) {
  const orders = new Map();
  for (const row of rows) orders.set(row.currency, (orders.get(row.currency) ?? 0) + row.orders);
  return [...orders].sort((a, b) => b[1] - a[1])[0][0];
}

/** Whether `answer`, which has rows, is of a kind that is compared. */
export const isCompared = ({ name, columns }) => Object.hasOwn(MEASURES, name) && !columns.includes("dimension");

/** A sentence on `before`, the answer of the span called `words`, beside `now`. */
export function comparison(now, before, words) {
  const measure = MEASURES[now.name](now.rows);
  const [value, earlier] = [now, before].map(({ rows }) => measure.of(rows));
  if (earlier === null) return `${words}: no sessions.`;
  return `${words}: ${measure.shown(earlier)}; now ${measure.isShare ? points(value - earlier) : change(value, earlier)}.`;
}

function change(value, earlier) {
  if (value === earlier) return "as much";
  if (earlier <= 0) return value > earlier ? "more" : "less";
  return `${ui.percent(Math.abs(value - earlier) / earlier)} ${value > earlier ? "more" : "less"}`;
}

function points(difference) {
  const tenths = Math.round(Math.abs(difference) * 1000) / 10;
  return tenths === 0 ? "as much" : `${ui.decimal(tenths)} ${tenths === 1 ? "point" : "points"} ${difference > 0 ? "more" : "less"}`;
}
