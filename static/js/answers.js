// What an answer looks like: for each question its first sentence, its picture and its tables.

import { inSentence, label } from "./dimensions.js";
import { drawFunnel } from "./funnels.js";
import { heatTable, rowsTable, timeBars } from "./pictures.js";
import { bar, first, groups, most, number, ratio, some, sum } from "./rows.js";
import * as ui from "./ui.js";

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MOST_DAYS_LATER = 30; // as the answer has them
const MOST_CURRENCIES = 4;
const DAYS = `Days are those of ${ui.zone}; the first and the last may not be whole.`;
// A day of an answer is a date alone: read as its midnight in UTC, it is written as that.
const fullDays = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const shortDays = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });
const hours = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hour12: false });
const tenths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

const dayText = (day) => fullDays.format(Date.parse(day));

/** Seconds in words, in the two largest units. */
function lasting(seconds) {
  if (typeof seconds !== "number") return ui.exact(undefined);
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${ui.exact(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}

const dayColumn = () => ({ name: "Day", isUnbroken: true, text: (row) => dayText(row.day), title: (row) => `${row.day}, ${ui.zone}` });

// ---- the questions; `nothing` is what an empty answer means, `isEmpty` when it is one though it has rows

function drawTraffic(rows) {
  const best = rows.reduce((most, row) => (row.page_views > most.page_views ? row : most));
  return {
    sentence: `${some(sum(rows, "events"), "event")} on ${some(rows.length, "day")}, ${some(sum(rows, "page_views"), "page view")}; most of these on ${dayText(best.day)}: ${ui.exact(best.page_views)} by ${some(best.people, "person", "people")}.`,
    parts: [
      timeBars({
        rows, at: (row) => Date.parse(row.day), stepMs: DAY_MS, value: (row) => row.page_views, when: (ms) => fullDays.format(ms),
        label: "Page views by day", described: (found) => some(found.value, "page view"),
      }),
      rowsTable({ caption: "Events, page views and people by day", columns: [dayColumn(), number("page_views", "Page views", bar("page_views", rows)), number("people", "People"), number("events", "Events")], rows }),
    ],
    note: `Who comes on two days is counted on both. ${DAYS}`,
  };
}

function drawSessions(rows) {
  const sessions = sum(rows, "sessions");
  const events = rows.reduce((total, row) => total + row.sessions * row.events_per_session, 0);
  const seconds = rows.reduce((total, row) => total + row.sessions * row.average_duration_s, 0);
  return {
    sentence: `${some(sessions, "session")}, of which ${ui.share(sum(rows, "bounced"), sessions)} bounced; on average ${ui.decimal(events / sessions)} events in ${lasting(seconds / sessions)}.`,
    parts: [
      timeBars({
        rows, at: (row) => Date.parse(row.day), stepMs: DAY_MS, value: (row) => row.sessions, part: (row) => row.bounced, when: (ms) => fullDays.format(ms),
        label: "Sessions by day; the stronger part bounced", described: (found) => `${some(found.value, "session")}, ${ui.exact(found.part)} bounced`,
      }),
      rowsTable({
        caption: "Sessions by day",
        columns: [
          dayColumn(), number("sessions", "Sessions", bar("sessions", rows)), number("bounced", "Bounced"), ratio("bounce_rate", "Bounce rate"),
          { name: "Events each", text: (row) => tenths.format(row.events_per_session) }, { name: "Average duration", text: (row) => lasting(row.average_duration_s) },
        ],
        rows,
      }),
    ],
    note: DAYS,
  };
}

/**
 * The cohorts of an answer, each with `told(day)`: how many of it were `back` and how many could be, or null; and for how
 * many days that is known of any. Of days after the last one on which anybody came nothing is: they are left empty, not 0.
 */
function cohortsOf(rows) {
  const end = Math.max(...rows.map((row) => Date.parse(row.cohort) + row.day_number * DAY_MS));
  const cohorts = groups(rows, "cohort").map(([day, found]) => {
    const people = found[0].cohort_people;
    const back = new Map(found.map((row) => [row.day_number, row.people]));
    return { day, people, told: (later) => (Date.parse(day) + later * DAY_MS <= end ? { back: back.get(later) ?? 0, of: people } : null) };
  });
  return { cohorts, known: Math.min(MOST_DAYS_LATER, Math.round((end - Date.parse(rows[0].cohort)) / DAY_MS)) + 1 };
}

function drawRetention(rows, { isChosen }) {
  const { cohorts, known } = cohortsOf(rows);
  const days = Array.from({ length: known }, (_, day) => day);
  const everybody = sum(cohorts, "people");
  const all = days.map((day) => {
    const told = cohorts.map((cohort) => cohort.told(day)).filter(Boolean);
    return { back: sum(told, "back"), of: sum(told, "of") };
  });
  const line = (names, told, isTotal) => ({
    names, isTotal, shares: told.map((one) => one && one.back / one.of),
    titles: told.map((one, day) => one && `${ui.exact(one.back)} of ${some(one.of, "person", "people")} after ${some(day, "day")}: ${ui.share(one.back, one.of)}`),
  });
  const lines = [
    line(["All", ui.exact(everybody)], all, true),
    ...cohorts.map(({ day, people, told }) => line([shortDays.format(Date.parse(day)), ui.exact(people)], days.map(told), false)),
  ];
  const after = (day, words) => (all[day] ? [`${ui.share(all[day].back, all[day].of)} ${words}`] : []);
  const came = [...after(1, "came back the next day"), ...after(7, "after a week"), ...after(30, "after 30 days")];
  return {
    sentence: came.length > 0 ? `Of ${some(everybody, "person", "people")} ${came.join(", ")}.` : `${some(everybody, "person", "people")}, all first seen on the last day: none could come back yet.`,
    parts: [heatTable({
      caption: "Percent of the people first seen on a day who came back so many days later",
      head: ["First seen", "People", ...days.map((day) => (day === 0 ? "Day 0" : String(day)))],
      rows: lines, text: (share) => (share === 1 ? "100" : tenths.format(share * 100)), most: Math.max(0.001, ...lines.flatMap(({ shares }) => shares.slice(1))),
    })],
    note: `Percent of the people first seen on a day, within this span${isChosen ? " and the chosen visits" : ""}, who came back${isChosen ? " in such a visit" : ""} N days later. Days after the last activity are empty; the last one may not be over. Days are those of ${ui.zone}.`,
  };
}

function drawPaths(rows) {
  const ended = (row) => row.next_page === null;
  const from = groups(rows, "page").map(([page, found]) => ({ page, found, times: sum(found, "transitions") })).sort((a, b) => b.times - a.times);
  const [top] = rows.filter((row) => !ended(row));
  return {
    sentence: top ? `The most frequent way: from ${ui.inline(top.page)} to ${ui.inline(top.next_page)}, ${some(top.transitions, "time")} (${ui.percent(top.share)} of those who were on ${ui.inline(top.page)}).` : "Nobody went from one page to another.",
    parts: from.map(({ page, found }) => rowsTable({
      caption: `From ${page}`, isCaptionShown: true,
      columns: [
        { name: "Next page", text: (row) => (ended(row) ? "the visit ended" : `→ ${row.next_page}`), isNothing: ended },
        { ...ratio("share", "Share"), bar: (row) => row.share }, number("transitions", "Times"),
      ],
      rows: found,
    })),
    note: firstHundred(rows, "steps from page to page"),
  };
}

function drawTopPages(rows) {
  return {
    sentence: `${some(sum(rows, "views"), "view")} of ${some(rows.length, "page")}; ${ui.share(rows[0].views, sum(rows, "views"))} of them are ${ui.inline(rows[0].page)}.`,
    parts: [rowsTable({
      caption: "Pages by views, with the sessions that began and ended there",
      columns: [
        { ...first("page", "Page"), visit: "page" }, number("views", "Views", bar("views", rows)), number("sessions", "Sessions"), number("people", "People"),
        number("entries", "Entries"), number("exits", "Exits"),
      ],
      rows,
    })],
    note: ["Entries and exits: the sessions whose first and whose last page view is of this page.", firstHundred(rows, "pages")].filter(Boolean).join(" "),
  };
}

function drawTopProducts(rows) {
  const sold = [...rows].sort((a, b) => b.units - a.units)[0];
  return {
    sentence: `${some(sum(rows, "views"), "view")} of ${some(rows.length, "product")}, ${some(sum(rows, "units"), "unit")} bought${sold.units ? `; most often ${ui.inline(sold.product)}, ${some(sold.units, "unit")}` : ""}.`,
    parts: [rowsTable({ caption: "Products by views and units bought", columns: [{ ...first("product", "Product"), visit: "product" }, number("views", "Views", bar("views", rows)), number("units", "Units bought")], rows })],
    note: firstHundred(rows, "products"),
  };
}

function drawRevenue(rows) {
  const currencies = groups(rows, "currency").map(([currency, found]) => ({ currency, found, cents: sum(found, "revenue_cents"), orders: sum(found, "orders") })).sort((a, b) => b.orders - a.orders);
  const highest = new Map(currencies.map(({ currency, found }) => [currency, most(found, "revenue_cents")]));
  const total = ({ currency, cents, orders }) => `${ui.money(cents, currency)} in ${some(orders, "order")}`;
  const others = currencies.length - MOST_CURRENCIES;
  return {
    sentence: `${currencies.slice(0, MOST_CURRENCIES).map(total).join("; ")}${others > 0 ? `; and ${some(others, "further currency", "further currencies")}` : ""}.`,
    parts: [
      ...currencies.slice(0, MOST_CURRENCIES).map(({ currency, found }) => timeBars({
        rows: found, among: rows, at: (row) => Date.parse(row.day), stepMs: DAY_MS, value: (row) => row.revenue_cents, when: (ms) => fullDays.format(ms),
        label: `Revenue by day in ${currency}`, described: ({ value }) => ui.money(value, currency),
      })),
      rowsTable({
        caption: "Orders and revenue by day and currency",
        columns: [
          dayColumn(), { name: "Revenue", text: (row) => ui.money(row.revenue_cents, row.currency), bar: (row) => row.revenue_cents / highest.get(row.currency) },
          first("currency", "Currency"), number("orders", "Orders"), { name: "Average order", text: (row) => ui.money(row.average_order_cents, row.currency) },
        ],
        rows,
      }),
    ],
    note: currencies.length > 1 ? `Bars compare days of the same currency. ${DAYS}` : DAYS,
  };
}

function drawHours(rows) {
  const sessions = sum(rows, "sessions");
  const when = (time) => hours.format(new Date(time));
  return {
    sentence: `${ui.share(sum(rows, "purchased"), sessions)} of ${some(sessions, "session")} bought.`,
    parts: [
      timeBars({
        rows, at: (row) => Date.parse(row.hour), stepMs: HOUR_MS, value: (row) => row.sessions, part: (row) => row.purchased, when,
        label: "Sessions by hour; the stronger part bought", described: (found) => `${some(found.value, "session")}, ${ui.exact(found.part)} bought (${ui.share(found.part, found.value)})`,
      }),
      rowsTable({
        caption: "Sessions and buyers by hour",
        columns: [
          { name: "Hour", isUnbroken: true, text: (row) => when(row.hour), title: (row) => row.hour }, number("sessions", "Sessions", bar("sessions", rows)),
          number("carted", "Cart"), number("checked_out", "Checkout"), number("purchased", "Bought"), ratio("conversion", "Conversion"),
        ],
        rows,
      }),
    ],
    note: "Hours are those of your time zone.",
  };
}

function drawBreakdown(rows, { by, of: type }) {
  const dimensions = groups(rows, "dimension");
  const leading = dimensions.slice(0, 3).map(([name, found]) => `${label(name).toLowerCase()} ${ui.inline(found[0].dimension_value)}`);
  const of = by ? firstHundred(rows, "values") : "At most 20 values of each.";
  return {
    sentence: by ? `Of ${some(sum(rows, "events"), type ? `${ui.inline(type)} event` : "event")} with ${ui.inline(inSentence(by))}, ${ui.share(rows[0].events, sum(rows, "events"))} say ${ui.inline(rows[0].dimension_value)}.` : `Most ${type ? `${ui.inline(type)} events` : "events"} come from ${leading.join(", ")}.`,
    parts: dimensions.map(([name, found]) => rowsTable({
      caption: label(name), isCaptionShown: true,
      columns: [{ ...first("dimension_value", "Value"), visit: name }, number("events", "Events", bar("events", found)), number("sessions", "Sessions"), number("orders", "Orders")],
      rows: found,
    })),
    note: `${of} An event that does not say one is in no row${by ? "" : " of it"}. Orders are all those of the sessions in a row.`.trim(),
  };
}

const firstHundred = (rows, what) => (rows.length >= 100 ? `The first ${rows.length} ${what}; there may be more.` : "");

function drawAny(rows) {
  const columns = Object.keys(rows[0]).map((field) => ({ name: ui.typeName(field), text: (row) => (typeof row[field] === "number" ? ui.decimal(row[field]) : String(row[field] ?? ui.exact(undefined))) }));
  return { sentence: "", parts: [rowsTable({ caption: "Answer", columns, rows })] };
}

const SHAPES = {
  funnel: { draw: drawFunnel, nothing: "No session took the first step in this span", nothingBy: (name) => `No session with ${name} took the first step in this span`, isEmpty: (rows) => rows.every((row) => row.sessions === 0 || row.dimension_value === null) },
  traffic: { draw: drawTraffic, nothing: "No events in this span" },
  sessions: { draw: drawSessions, nothing: "No sessions in this span" },
  retention: { draw: drawRetention, nothing: "Nobody was seen in this span" },
  paths: { draw: drawPaths, nothing: "No page was viewed in this span", isGrid: true },
  top_pages: { draw: drawTopPages, nothing: "No page was viewed in this span" },
  top_products: { draw: drawTopProducts, nothing: "No product was viewed or bought in this span" },
  revenue: { draw: drawRevenue, nothing: "Nothing was bought in this span" },
  conversion_by_hour: { draw: drawHours, nothing: "No session saw a page in this span" },
  breakdown: { draw: drawBreakdown, nothing: "No event in this span says its device, browser, country or campaign", nothingBy: (name, type) => `No ${type ? `${type} event` : "event"} in this span says ${name}`, isGrid: true },
};

/** `answer`, of chosen visits where `asked.isChosen`, `asked.by` one thing, and `asked.of` one type of events, as nodes, or, where there is nothing to show, what that means in `nothing`. */
export function drawn({ name, rows }, asked) {
  const shape = Object.hasOwn(SHAPES, name) ? SHAPES[name] : { draw: drawAny, nothing: "No events in this span" };
  if (rows.length === 0 || shape.isEmpty?.(rows)) return { nothing: asked.by || asked.of ? shape.nothingBy(asked.by ? ui.inline(inSentence(asked.by)) : "any of these", asked.of && ui.inline(asked.of)) : shape.nothing };
  const { sentence, parts, note } = shape.draw(rows, asked);
  return {
    nodes: [
      ...(sentence ? [ui.make("p", { class: "sentence" }, sentence)] : []),
      ui.make("div", { class: shape.isGrid && parts.length > 1 ? "answer-parts answer-grid" : "answer-parts" }, ...parts.filter(Boolean)),
      ...(note ? [ui.make("p", { class: "note" }, note)] : []),
    ],
  };
}
