// Recent events: rows are kept by event_id, so that selection, focus and scroll survive a refresh.

import * as ui from "./ui.js";

const { byId, say } = ui;
const MOST_CHARACTERS = 160;
const IN_SIGHT = 12; // rows: eleven fit into the list

let rows = new Map();
let events = [];

/** One value as short text, whatever its sender made of it. */
export function short(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

const price = (value, currency) => (typeof value === "number" ? ui.money(value * 100, typeof currency === "string" ? currency : "USD") : undefined);
const joined = (...parts) => parts.filter((part) => part !== undefined && part !== null && part !== "").map(short).join(" · ");

const TELLING = {
  page_view: (p) => joined(p.page ?? p.title ?? p.url, p.product_name),
  click: (p) => joined(p.element ?? p.target, p.page),
  search: (p) => joined(p.query === undefined ? undefined : `“${short(p.query)}”`, p.results_count === undefined ? undefined : `${short(p.results_count)} ${p.results_count === 1 ? "result" : "results"}`),
  add_to_cart: (p) => joined(p.product_name ?? p.product_id, price(p.price, p.currency), p.quantity > 1 ? `× ${p.quantity}` : undefined),
  remove_from_cart: (p) => joined(p.product_name ?? p.product_id, price(p.price, p.currency)),
  checkout: (p) => joined(price(p.cart_value, p.currency) ?? price(p.total, p.currency), p.order_id),
  purchase: (p) => joined(price(p.total ?? p.revenue ?? p.value, p.currency), p.order_id),
};

/** The one line that says what an event was about. */
export function telling(event) {
  if (event.left_out_bytes) return `large event, ${ui.bytes(event.left_out_bytes)}`;
  const properties = event.properties !== null && typeof event.properties === "object" ? event.properties : {};
  const line = Object.hasOwn(TELLING, event.event_type) ? TELLING[event.event_type](properties) : "";
  return line || Object.entries(properties).slice(0, 3).map(([key, value]) => `${short(key)}: ${short(value)}`).join(" · ") || "–";
}

/** Rows beyond those in sight are made only for a reader who scrolls in the list or has entered it: most leave unread. */
let isBrowsed = false; // asking the list itself forces a layout

/** The list was scrolled, entered or left: true when rows are to be made now. */
export function browse({ currentTarget: list }) {
  const before = isBrowsed;
  isBrowsed = list.scrollTop > 0 || list.matches(":focus-within");
  return isBrowsed && !before;
}

export function drawFeed(stats, view) {
  if (rows.size === 0) drawRows(stats, view); // old rows are better than none
  else ui.whenSeen("panel-feed", () => drawRows(stats, view));
}

function drawRows(stats, view) {
  const fresh = stats.recent_events.filter((event) => event !== null && typeof event === "object");
  const first = rows.size === 0 && events.length === 0;
  events = fresh;
  const wanted = fresh.filter((event) => matches(event, view));
  const body = byId("feed");
  body.style.setProperty("--rows", wanted.length); // of what height it is, whatever stands in it
  const kept = new Map();
  const made = isBrowsed ? wanted : wanted.slice(0, IN_SIGHT);
  ui.attribute(body.parentElement, "aria-rowcount", String(wanted.length + 1)); // and the heading
  made.forEach((event, index) => {
    const key = event.event_id ?? `${index}`;
    const row = rows.get(key) ?? makeRow(event, !first);
    if (rows.has(key)) delete row.dataset.fresh; // the wash lasts until the next refresh: no animation to pay for
    kept.set(key, row);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const [key, row] of rows) if (!kept.has(key)) row.remove();
  rows = kept;
  const filtered = wanted.length !== fresh.length;
  say(byId("note-feed"), filtered ? `${ui.exact(wanted.length)} of the ${ui.exact(fresh.length)} newest` : "newest first");
  ui.show(byId("feed-empty"), wanted.length === 0);
  say(byId("feed-empty"), fresh.length ? `None of the ${ui.exact(fresh.length)} newest events matches. Browse all events to look further back.` : "No events yet.");
}

function matches(event, view) {
  if (view.hidden.has(event.event_type)) return false;
  return !view.search || JSON.stringify(event).toLowerCase().includes(view.search.toLowerCase());
}

// The roles are said because the display of a row is not a table's.
const blank = ui.make(
  "tr", { role: "row" },
  ui.make("td", { role: "cell", class: "time" }),
  ui.make("td", { role: "cell" }, ui.make("span", { class: "chip" }, ui.make("span", { class: "swatch", "aria-hidden": "true" }), ui.make("span", {}))),
  ui.make("td", { role: "cell", class: "what" }, ui.make("button", { type: "button", class: "row-open" })),
  ui.make("td", { role: "cell", class: "id" }),
  ui.make("td", { role: "cell", class: "id" }),
);

export function makeRow(event, fresh) {
  const row = blank.cloneNode(true);
  const [time, type, what, user, session] = row.children;
  const chip = type.firstElementChild;
  time.append(ui.clock(event.timestamp));
  chip.lastElementChild.append(ui.typeName(event.event_type));
  ui.paint(chip, event.event_type);
  what.firstElementChild.append(telling(event));
  user.append(short(event.user_id ?? event.anonymous_id ?? "–"));
  session.append(short(event.session_id ?? "–"));
  row.event = event;
  if (fresh) row.dataset.fresh = "";
  if (ui.isDated(event.timestamp)) row.dataset.dated = "";
  return row;
}

/** What a cell says in full; made when somebody points at it, because most rows leave unread. */
export function explain({ target }) {
  const cell = target.closest(".feed td");
  const event = cell?.parentElement.event;
  if (!event || cell.title) return;
  const { event_type: type, timestamp, user_id: user, anonymous_id: device, session_id: session } = event;
  cell.title = [`${ui.full(timestamp)} (${ui.zone})`, short(type), telling(event), short(user ?? device ?? ""), short(session ?? "")][cell.cellIndex];
}
