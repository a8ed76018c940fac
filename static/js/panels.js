// The cards, the funnel, the top lists, the refused events and the footer: HTML and SVG from one answer of /api/stats.

import * as ui from "./ui.js";

const { byId, portion, say } = ui;
const WINDOW_WORDS = { "15m": "15 min", "1h": "hour", "24h": "24 h" };
const STEP_NAMES = { page_view: "View", add_to_cart: "Cart", checkout: "Checkout", purchase: "Purchase" };

// ---- cards

/** Write a card's number. It does not count up to it: the frames of that would cost as much as all other changes. */
function number(id, text, title) {
  say(byId(`value-${id}`), text);
  ui.attribute(byId(`value-${id}`), "title", title);
}

/**
 * Say how `now` stands against the same-length window before; "all" has none, so it says something else. Of what was
 * less than nothing or in another currency there is no percentage: then what it was is said, as in the terminal.
 */
function change(id, now, before, name, { otherwise, what = "", format = ui.exact, isSameUnit = true }) {
  const node = byId(`detail-${id}`);
  const comparable = typeof before === "number" && typeof now === "number" && WINDOW_WORDS[name];
  const than = `the ${WINDOW_WORDS[name]} before`;
  const hasRatio = comparable && before > 0 && isSameUnit;
  const ratio = hasRatio ? now / before - 1 : 0;
  const direction = Math.abs(ratio) < 0.0005 ? "none" : ratio > 0 ? "more" : "less";
  ui.attribute(node, "data-change", direction);
  ui.attribute(node, "title", comparable ? `${format(before)}${what} in ${than}` : "");
  if (!comparable) say(node, otherwise);
  else if (before === 0) say(node, `${what ? `no${what}` : "none"}${now ? ` in ${than}` : ", as before"}`);
  else if (!hasRatio) say(node, `${format(before)}${what} before`);
  else if (ratio > 9) say(node, `↑ ${ui.count(Math.round(now / before))} × before`);
  else if (direction === "none") say(node, `= as many${what} as before`);
  else {
    const word = direction === "more" ? "more" : format === ui.exact ? "fewer" : "less";
    say(node, `${direction === "more" ? "↑" : "↓"} ${ui.percent(Math.abs(ratio))} ${word}${what || " than before"}`);
  }
}

function spark(id, values, spoken) {
  const svg = byId(`viz-${id}`).firstElementChild;
  ui.attribute(svg, "aria-label", spoken);
  const most = Math.max(1, ...values);
  const step = 120 / Math.max(1, values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)} ${(26 - (value / most) * 24).toFixed(1)}`);
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  ui.attribute(svg.querySelector(".spark-line"), "d", line);
  ui.attribute(svg.querySelector(".spark-area"), "d", line && `${line}L120 28L0 28Z`);
}

export function drawCards(stats) {
  const name = stats.window.name;
  const before = stats.previous ?? {};
  const views = stats.events_by_type.page_view ?? 0;
  // The running interval is incomplete: it would end every sparkline in a fall.
  const points = stats.series.points.slice(0, -1);
  const since = stats.window.from ? `since ${ui.day(stats.window.from)}` : "since the start";

  number("events", ui.count(stats.total_events), ui.exact(stats.total_events));
  say(byId("aside-events"), `${ui.decimal(stats.ingest.events_per_second)} per second`);
  change("events", stats.total_events, before.total_events, name, { otherwise: since });
  spark("events", points.map((point) => point.events), "Events over time");

  number("views", ui.count(views), ui.exact(views));
  say(byId("aside-views"), stats.sessions.total ? `${ui.decimal(views / stats.sessions.total)} per session` : "");
  change("views", views, before.page_views, name, { otherwise: since });
  spark("views", points.map((point) => point.by_type.page_view ?? 0), "Page views over time");

  const { total, active, exact } = stats.sessions;
  number("sessions", ui.count(total), exact ? ui.exact(total) : `about ${ui.exact(total)}`);
  say(byId("aside-sessions"), `${ui.count(active)} active`);
  change("sessions", total, before.sessions, name, { otherwise: `of ${stats.users.exact ? "" : "about "}${ui.count(stats.users.total)} ${stats.users.total === 1 ? "user" : "users"}` });
  const meter = byId("viz-sessions").lastElementChild;
  portion(meter.firstElementChild, active / total);
  ui.attribute(meter, "aria-label", `${ui.exact(active)} of ${ui.exact(total)} sessions active in the last 5 minutes`);

  drawConversion(stats, before, name);

  const { cents, currency, orders, average_order: average } = stats.revenue;
  number("revenue", ui.money(cents, currency, 0), ui.money(cents, currency));
  const others = Object.keys(stats.revenue.by_currency).length - 1;
  const aside = others > 0 ? `+${others} ${others === 1 ? "currency" : "currencies"}` : average === null ? "" : `${ui.money(Number(average) * 100, currency, 0)} per order`;
  say(byId("aside-revenue"), aside);
  const then = before.revenue_currency;
  change("revenue", cents, before.revenue_cents, name, { otherwise: `${ui.count(orders)} ${orders === 1 ? "order" : "orders"}`, format: (value) => ui.money(value, then), isSameUnit: then === currency });
  spark("revenue", points.map((point) => point.by_type.purchase ?? 0), "Purchases over time");

  const { received, accepted, duplicates, rejected, since: started } = stats.accounting;
  number("rejected", ui.count(rejected), ui.exact(rejected));
  ui.attribute(byId("card-rejected"), "data-calm", String(rejected === 0));
  say(byId("aside-rejected"), received ? ui.share(rejected, received) : "");
  say(byId("detail-rejected"), `of ${ui.count(received)} since ${ui.day(started)}`);
  const bar = byId("viz-rejected").lastElementChild;
  [accepted, duplicates, rejected].forEach((part, index) => portion(bar.children[index], received ? part / received : 0));
  ui.attribute(bar, "aria-label", `${ui.exact(received)} received: ${ui.exact(accepted)} accepted, ${ui.exact(duplicates)} duplicates, ${ui.exact(rejected)} rejected`);
  drawNow(stats, remember(stats));
}

// ---- what the API keeps no past of: the page's own readings

const SPAN_MS = 300_000; // "active" means within five minutes
const READ_EVERY_MS = 10_000;
let readings = [];

/** Remember active users and refusals of ten minutes; counters of another process are no past of these. */
function remember(stats) {
  const at = Date.parse(stats.generated_at);
  const { since, rejected } = stats.accounting;
  readings = readings.filter((reading) => reading.since === since && reading.at > at - 2 * SPAN_MS - READ_EVERY_MS && reading.at <= at);
  if (readings.length === 0 || at - readings.at(-1).at >= READ_EVERY_MS) readings.push({ at, since, rejected, users: stats.users.active });
  const before = (ms) => readings.find((reading) => Math.abs(at - ms - reading.at) <= READ_EVERY_MS);
  return [before(SPAN_MS), before(2 * SPAN_MS)];
}

function drawNow({ users, accounting }, [before, earlier]) {
  const more = before && users.active - before.users;
  const trend = more ? ` · ${more > 0 ? "↑" : "↓"} ${ui.count(Math.abs(more))}` : before ? " · as before" : "";
  say(byId("now-users"), `${ui.count(users.active)} active ${users.active === 1 ? "user" : "users"}${trend}`);
  ui.attribute(byId("now-users"), "title", `${ui.exact(users.active)} users active in the last 5 minutes${before ? `, ${ui.exact(before.users)} in the 5 minutes before` : ""}`);
  const refused = before && accounting.rejected - before.rejected;
  const then = before && earlier ? `, ${ui.count(before.rejected - earlier.rejected)} before` : "";
  say(byId("now-rejected"), before ? `${ui.count(refused)} in 5 min${then}` : "");
}

function drawConversion(stats, before, name) {
  const ratio = stats.conversion.view_to_purchase;
  number("conversion", ui.percent(ratio), "sessions that went from a page view to a purchase");
  const toPurchase = stats.conversion.cart_abandonment;
  say(byId("aside-conversion"), toPurchase === null ? "" : `${ui.percent(1 - toPurchase)} of carts`);
  change("conversion", stats.events_by_type.purchase ?? 0, before.purchases, name, { otherwise: "from view to purchase", what: " purchases" });
  const steps = byId("viz-conversion").firstElementChild;
  const first = stats.funnel[0]?.sessions;
  stats.funnel.forEach((step, index) => portion(steps.children[index], step.sessions / first));
  ui.attribute(steps, "aria-label", stats.funnel.map((step) => `${STEP_NAMES[step.step]} ${ui.exact(step.sessions)}`).join(", "));
}

// ---- funnel

export function drawFunnel(stats) {
  const steps = stats.funnel;
  const first = steps[0].sessions;
  ui.each(byId("funnel"), steps, makeStep, (node, step, index) => {
    const next = steps[index + 1]?.sessions;
    const [head, bar, slope] = node.children;
    const [label, number, part] = head.children;
    ui.attribute(head, "data-query", `event_type=${step.step}`);
    ui.attribute(head, "data-title", ui.typeName(step.step));
    ui.attribute(head, "title", `Show all ${step.step} events, also those that were no step of this funnel`);
    say(label, STEP_NAMES[step.step] ?? ui.typeName(step.step));
    say(number, ui.count(step.sessions));
    say(part, ui.share(step.sessions, first));
    portion(bar, step.sessions / first);
    ui.show(slope, next !== undefined);
    if (next === undefined) return;
    const top = (sessions) => (100 - 100 * (first ? sessions / first : 0)).toFixed(2);
    ui.attribute(slope.firstElementChild.firstElementChild, "points", `0,${top(step.sessions)} 100,${top(next)} 100,100 0,100`);
    say(slope.children[1], ui.share(next, step.sessions));
    say(slope.children[2], step.sessions ? `−${ui.count(step.sessions - next)}` : "");
    ui.attribute(slope, "title", `${ui.exact(step.sessions - next)} sessions, ${ui.share(step.sessions - next, step.sessions)}, left here`);
  });
  say(byId("loss"), lossText(steps));
  if (!byId("table-funnel").hidden) byId("table-funnel").replaceChildren(funnelTable(steps));
}

function makeStep() {
  const svg = ui.makeSvg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  svg.append(ui.makeSvg("polygon"));
  return ui.make(
    "li", {},
    ui.make("button", { type: "button", class: "step-head" }, ui.make("span", { class: "step-label" }), ui.make("strong", {}), ui.make("span", { class: "step-share" })),
    ui.make("div", { class: "step-bar", "aria-hidden": "true" }),
    ui.make("div", { class: "step-slope" }, svg, ui.make("span", { class: "step-rate" }), ui.make("span", { class: "step-lost" })),
  );
}

function lossText(steps) {
  const losses = steps.slice(1).map((step, index) => ({ from: steps[index], to: step, lost: steps[index].sessions - step.sessions }));
  const most = losses.reduce((worst, loss) => (loss.lost > worst.lost ? loss : worst), { lost: 0 });
  if (!most.lost) return steps[0].sessions ? "No session was lost on the way." : "No session has viewed a page in this window.";
  const name = (step) => STEP_NAMES[step.step] ?? ui.typeName(step.step);
  return `Largest loss: ${name(most.from)} → ${name(most.to)}, ${ui.count(most.lost)} ${most.lost === 1 ? "session" : "sessions"} (${ui.share(most.lost, most.from.sessions)}) left`;
}

export function funnelTable(steps) {
  return ui.table("Conversion funnel", ["Step", "Sessions", "Of the first", "Of the step before", "Left before"], steps.map((step, index) => {
    const before = index ? steps[index - 1].sessions : null;
    return [ui.typeName(step.step), ui.exact(step.sessions), ui.share(step.sessions, steps[0].sessions),
      before === null ? "–" : ui.share(step.sessions, before), before === null ? "–" : ui.exact(before - step.sessions)];
  }));
}

// ---- top lists

const CUT_AT = 200; // characters: of a longer value /stats knows the beginning only, which no event has as its value
const TOP = {
  pages: { what: "page", unit: "views", filter: (value) => ["property.page", JSON.stringify(value)] },
  products: { what: "product", unit: "views · bought", filter: (value) => ["product", value] },
  referrers: { what: "referrer", unit: "views" },
  devices: { what: "device", unit: "views", filter: (value) => ["property.device", JSON.stringify(value)] },
};

/** What asks for the views that `row` counts; nothing where that cannot be asked. */
function viewsOf({ value, count }, filter) {
  const isCut = value.length >= CUT_AT && [...value].length >= CUT_AT;
  return filter && count && !isCut ? new URLSearchParams([["event_type", "page_view"], filter(value)]).toString() : "";
}

export function drawTop(stats, name) {
  const { what, unit, filter } = TOP[name];
  const rows = stats.top[name] ?? [];
  say(byId("top-what"), stats.top.exact ? what : `${what} (approximate: of too many different ones, those that came late are missing)`);
  say(byId("top-unit"), unit);
  drawBars(byId("top-list"), rows, (row) => ({
    name: row.value,
    number: row.purchases === undefined ? ui.count(row.count) : `${ui.count(row.count)} · ${ui.count(row.purchases)}`,
    query: viewsOf(row, filter),
  }), "No page view in this window names one.");
}

export function drawBars(list, rows, describe, nothing) {
  const most = Math.max(1, ...rows.map((row) => row.count));
  const items = rows.length ? rows : nothing ? [null] : [];
  ui.each(list, items, makeBar, (node, row) => {
    const [button] = node.children;
    const [name, number] = button.children;
    node.className = row ? "" : "bar-nothing";
    const { name: text, number: value, query } = row ? describe(row) : { name: nothing, number: "" };
    say(name, text);
    ui.attribute(name, "title", text);
    say(number, value);
    portion(button, row ? row.count / most : 0);
    button.disabled = !query;
    ui.attribute(button, "data-query", query ?? "");
    ui.attribute(button, "data-title", text);
  });
}

const makeBar = () => ui.make("li", {}, ui.make("button", { type: "button", class: "bar-row" }, ui.make("span", { class: "bar-name" }), ui.make("strong", {})));

// ---- refused events, footer

export function drawRejected(stats) {
  const { received, rejected } = stats.accounting;
  const started = `since ${ui.day(stats.accounting.since)}`;
  say(byId("rejected-total"), ui.exact(rejected));
  ui.attribute(byId("panel-rejected"), "data-calm", String(rejected === 0));
  say(byId("note-rejected"), received ? `${ui.share(rejected, received)} of ${ui.count(received)} received ${started}` : `none received ${started}`);
  ui.show(byId("reasons-empty"), rejected === 0);
  const kept = keptText(stats.dashboard.quarantined, rejected);
  if (rejected === 0) say(byId("reasons-empty"), `Nothing was refused ${started}. ${kept || "Whatever is refused is kept here with its reason and its raw text."}`);
  ui.show(byId("quarantined"), rejected > 0 && kept !== "");
  say(byId("quarantined"), kept);
  for (const name of ["received", "accepted", "duplicates", "rejected"]) say(byId(`sum-${name}`), ui.exact(stats.accounting[name]));
  say(byId("sum-since"), `since the API started ${ui.day(stats.accounting.since)}`);
  drawBars(byId("reasons"), reasonsOf(stats), ({ code, name = code, count }) => ({ name, number: ui.exact(count), query: `rejected:${code}` }));
}

const MOST_REASONS = 6;

/** The most frequent codes, and a last row for the others: together they are the number above. */
function reasonsOf({ accounting, rejected_by_code: byCode }) {
  const reasons = Object.entries(byCode).map(([code, count]) => ({ code, count })).sort((a, b) => b.count - a.count);
  const shown = reasons.slice(0, reasons.length > MOST_REASONS ? MOST_REASONS - 1 : MOST_REASONS);
  const rest = accounting.rejected - shown.reduce((sum, { count }) => sum + count, 0);
  const others = reasons.length - shown.length;
  return rest > 0 ? [...shown, { code: "", name: others ? `${ui.exact(others)} other reasons` : "other reasons", count: rest }] : shown;
}

/** What the quarantine holds beside what was refused since the API started: it outlives restarts. */
function keptText(quarantined, rejected) {
  if (typeof quarantined !== "number" || quarantined <= rejected) return "";
  const records = quarantined === 1 ? "1 record" : `${ui.exact(quarantined)} records`;
  return rejected ? `The quarantine holds ${records}, some of them older.` : `The quarantine holds ${records} from before.`;
}

export function drawFooter(stats) {
  const { backend, journal_bytes: size, commit_latency_ms: latency, fsync, dedupe, damaged_records: damaged, spill } = stats.ingest;
  const parts = [backend === "local" || !backend ? `Journal ${ui.bytes(size)}` : `Backend ${backend}`];
  if (typeof latency?.p99 === "number") parts.push(`commit p99 ${ui.decimal(latency.p99)} ms`);
  if (fsync) parts.push(`fsync ${fsync}`);
  if (dedupe) parts.push(`duplicates are known for the last ${ui.exact(dedupe.window)} ids`);
  if (damaged) parts.push(`${ui.exact(damaged)} damaged ${damaged === 1 ? "record" : "records"} skipped`);
  if (spill?.waiting || spill?.records) parts.push(`${ui.exact(spill.waiting ?? spill.records)} events wait in the spill`);
  say(byId("ingest"), parts.join(" · "));
  say(byId("zone"), `Times in your zone (${ui.zone})`);
}
