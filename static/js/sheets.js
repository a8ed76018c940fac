// The sheet at the side: one event whole, all events by filter, the refused events with their raw text.

import { makeRow, short } from "./feed.js";
import * as ui from "./ui.js";

const { byId, say } = ui;
const PAGE = 50;
const sheet = byId("sheet");
const body = byId("sheet-body");
let trail = []; // how to draw what "Back" returns to

export function open(kind, detail) {
  trail = [];
  enter(() => DRAW[kind](detail));
  if (!sheet.open) sheet.showModal();
  byId("sheet-title").focus();
}

function enter(drawing) {
  trail.push(drawing);
  ui.show(byId("sheet-back"), trail.length > 1);
  body.scrollTop = 0;
  drawing();
}

function back() {
  trail.pop();
  enter(trail.pop());
}

byId("sheet-close").addEventListener("click", () => sheet.close());
byId("sheet-back").addEventListener("click", back);
sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
body.addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (!event.target.closest(".row-open") || !row?.event) return;
  event.stopPropagation(); // the page would open the same event without a way back
  enter(() => drawEvent(row.event));
});

const DRAW = {
  event: (event) => drawEvent(event),
  events: ({ query = "", title }) => drawEvents(query, title),
  rejected: ({ code }) => drawRejected(code),
};

async function loadText(path, query) {
  let response;
  let text;
  try {
    response = await fetch(`${path}?${query}`, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    text = await response.text();
  } catch {
    throw new Error("The dashboard did not answer.");
  }
  if (!response.ok) throw new Error(read(text).error?.message ?? `The dashboard answered ${response.status}.`);
  return text;
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("The dashboard answered with something that is not JSON.");
  }
}

const load = async (path, query) => read(await loadText(path, query));

const failed = (error) => ui.make("p", { class: "failed", role: "alert" }, error.message);

// ---- one event

function drawEvent(event) {
  say(byId("sheet-title"), `${ui.typeName(event.event_type)} event`);
  const fact = (name, value, title) => (value === undefined || value === null ? [] : [ui.make("dt", {}, name), ui.make("dd", title ? { title } : {}, short(value))]);
  const facts = ui.make(
    "dl", { class: "facts" },
    ...fact("Happened", event.timestamp, ui.full(event.timestamp)), ...fact("Received", event.received_at, ui.full(event.received_at)),
    ...fact("User", event.user_id), ...fact("Device id", event.anonymous_id), ...fact("Session", event.session_id), ...fact("Event id", event.event_id),
  );
  const raw = ui.make("pre", { class: "raw" }, "Loading …");
  const copy = ui.make("button", { type: "button", class: "button", disabled: "" }, "Copy JSON");
  const actions = ui.make("div", { class: "actions" }, copy);
  const all = (name, field, value) => {
    if (typeof value !== "string") return;
    const button = ui.make("button", { type: "button", class: "button" }, name);
    button.addEventListener("click", () => enter(() => drawEvents(new URLSearchParams({ [field]: value }).toString(), `${field} ${value}`)));
    actions.append(button);
  };
  all("All of this session", "session_id", event.session_id);
  all("All of this user", "user_id", event.user_id);
  body.replaceChildren(facts, actions, raw);
  showStored(event, raw, copy);
}

/** Show and copy the event as it is stored: read by a browser, a number of more than 15 digits would be another one. */
async function showStored(event, raw, copy) {
  const names = ["event_id", "event_type", "session_id", "user_id", "anonymous_id"].filter((name) => typeof event[name] === "string");
  try {
    const stored = await loadText("/api/event", new URLSearchParams(names.map((name) => [name, event[name]])));
    say(raw, indented(stored));
    copy.addEventListener("click", () => ui.copy(stored, copy));
    copy.disabled = false;
  } catch (error) {
    say(raw, event.left_out_bytes ? "" : JSON.stringify(event, null, 2));
    raw.before(failed(error), ui.make("p", { class: "note" }, "This is what the page has read: numbers of more than 15 digits may be rounded."));
  }
}

/** JSON text on lines of its own; what its values are made of stays as it is. */
function indented(text) {
  let depth = 0;
  const line = (by) => `\n${"  ".repeat((depth += by))}`;
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\s+|[{[]\s*[}\]]|[{}[\],:]/g, (token) => {
    if (token === "{" || token === "[") return token + line(1);
    if (token === "}" || token === "]") return line(-1) + token;
    if (token === ",") return token + line(0);
    return token === ":" ? ": " : token.startsWith('"') ? token : token.replace(/\s+/, "");
  });
}

// ---- events by filter

function drawEvents(query, title) {
  say(byId("sheet-title"), title ? `Events: ${title}` : "All events");
  const heads = ["Time", "Event", "What", "User", "Session"].map((name) => ui.make("th", { role: "columnheader", scope: "col" }, name));
  const rows = ui.make("tbody", { role: "rowgroup" });
  const table = ui.make("table", { role: "table", class: "feed" }, ui.make("caption", { class: "hidden" }, "Events, newest first"), ui.make("thead", { role: "rowgroup" }, ui.make("tr", { role: "row" }, ...heads)), rows);
  const note = ui.make("p", { class: "note", role: "status" }, "Loading …");
  const more = ui.make("p", { class: "more" });
  body.replaceChildren(note, table, more);
  const next = async (cursor) => {
    more.replaceChildren();
    try {
      const page = await load("/api/events", `${query}${query ? "&" : ""}limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`);
      rows.append(...page.events.map((event) => makeRow(event, false)));
      say(note, rows.children.length ? `${ui.exact(rows.children.length)} events, newest first${page.next_cursor ? "; there are older ones" : "; these are all"}.` : "No stored event matches.");
      if (!page.next_cursor) return;
      const button = ui.make("button", { type: "button", class: "button" }, "Show older events");
      button.addEventListener("click", () => next(page.next_cursor));
      more.append(button);
    } catch (error) {
      more.append(failed(error));
    }
  };
  next("");
}

// ---- the quarantine

async function drawRejected(code) {
  say(byId("sheet-title"), code ? `Rejected events: ${code}` : "Rejected events");
  const note = ui.make("p", { class: "note", role: "status" }, "Loading …");
  body.replaceChildren(note);
  try {
    const { rejected, total } = await load("/api/rejected", new URLSearchParams({ limit: "100", ...(code ? { code } : {}) }));
    say(note, rejected.length ? `${keptText(rejected.length, total, code)} None of it is among the events: fix the sender and send it again, or mend it here by POST /rejected/replay.` : "Nothing was refused.");
    body.append(...rejected.map(refusal));
  } catch (error) {
    say(note, "");
    body.append(failed(error));
  }
}

const keptText = (shown, total, code) => (code
  ? `The newest ${ui.exact(shown)} with this code; the quarantine holds ${ui.exact(total)} in all.`
  : `The newest ${ui.exact(shown)} of ${ui.exact(total)} kept.`);

function refusal({ received_at: when, code, field, message, source, raw, raw_base64: base64, raw_bytes: length }) {
  const text = raw ?? base64 ?? ""; // nothing came, or nothing of it could be kept
  const copy = ui.make("button", { type: "button", class: "link" }, "Copy raw text");
  copy.addEventListener("click", () => ui.copy(text, copy));
  const came = [ui.moment(when), `from ${short(source ?? "unknown")}`];
  if (base64 !== undefined) came.push("no text, shown as base64");
  if (length !== undefined) came.push(`${ui.bytes(length)} in all`);
  return ui.make(
    "article", { class: "refusal" },
    ui.make("p", {}, ui.make("strong", {}, ui.make("code", {}, short(code))), field ? ` in ${short(field)}` : ""),
    ui.make("p", {}, short(message ?? "")),
    ui.make("p", { class: "note", title: ui.full(when) }, `${came.join(" · ")} `, ...(text ? [copy] : [])),
    ...(text ? [ui.make("pre", { class: "raw" }, text)] : []),
  );
}
