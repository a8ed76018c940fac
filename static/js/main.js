// The page: keeps what is looked at in the URL, draws the parts, does what the reader asks for.

import { browse, drawFeed, explain } from "./feed.js";
import { drawState, Source } from "./freshness.js";
import * as charts from "./charts.js";
import * as panels from "./panels.js";
import * as ui from "./ui.js";

const { byId, say } = ui;
const API_URL = document.body.dataset.publicApiUrl;

// ---- what is looked at; it lives in the URL, so that a view can be shared

const WINDOWS = ["15m", "1h", "24h", "all"];
const WINDOW_MINUTES = { "15m": 15, "1h": 60, "24h": 1440 };
const TOPS = ["pages", "products", "referrers", "devices"];
const oneOf = (value, values, otherwise) => (values.includes(value) ? value : otherwise);

function readView() {
  const query = new URLSearchParams(location.search);
  return {
    window: oneOf(query.get("window"), WINDOWS, "all"),
    hidden: new Set(query.getAll("hide")),
    search: query.get("q") ?? "",
    lines: oneOf(query.get("lines"), ["total", "types"], "total"),
    top: oneOf(query.get("top"), TOPS, "pages"),
  };
}

const view = readView();
let otherWindow = new URLSearchParams(location.search).get("window") ?? ""; // what the address asked for and nobody knows
if (WINDOWS.includes(otherWindow)) otherWindow = "";

function writeView() {
  const query = new URLSearchParams();
  if (view.window !== "all") query.set("window", view.window);
  for (const type of [...view.hidden].sort()) query.append("hide", type);
  if (view.search) query.set("q", view.search);
  if (view.lines !== "total") query.set("lines", view.lines);
  if (view.top !== "pages") query.set("top", view.top);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

const source = new Source(() => view.window, refresh);
let drawn = null; // the numbers on the page; not the newest while paused
let paused = false;

// ---- drawing: a part that fails is named and does not take the others with it

const PARTS = {
  // The canvases first: setting their font asks for styles, which are then not yet out of date.
  "events over time": () => charts.drawSeries(drawn, view),
  "event distribution": () => charts.drawMix(drawn, view),
  cards: () => panels.drawCards(drawn),
  funnel: () => panels.drawFunnel(drawn),
  "top lists": () => panels.drawTop(drawn, view.top),
  "recent events": () => drawFeed(drawn, view),
  "rejected events": () => panels.drawRejected(drawn),
  footer: () => panels.drawFooter(drawn),
};
const CHARTS = ["events over time", "event distribution"];
let broken = [];

function draw(names = Object.keys(PARTS)) {
  if (!drawn) return;
  broken = broken.filter((name) => !names.includes(name));
  for (const name of names) {
    try {
      PARTS[name]();
    } catch (error) {
      console.error(name, error);
      broken.push(name);
    }
  }
}

/** The first drawing part by part, so that a slow phone can scroll and tap in between; the charts when they can be. */
async function drawFirst() {
  const names = Object.keys(PARTS);
  for (const name of [...names, null, ...CHARTS]) {
    if (name === null) await charts.load();
    else draw([name]);
    await new Promise((resume) => setTimeout(resume));
  }
  (window.requestIdleCallback ?? setTimeout)(ui.drawUnseen); // a picture of the whole page shall have no empty place
}

let lastDrawn = null;

function refresh() {
  if (source.stats && !paused) drawn = source.stats;
  const empty = drawn !== null && drawn.total_events === 0 && !drawn.ingest?.dedupe?.ids && !drawn.accounting?.accepted;
  ui.show(byId("welcome"), empty); // before drawing: a hidden canvas has no size
  ui.show(byId("dashboard"), !empty);
  if (empty) {
    showWelcome();
    draw(["footer"]);
  } else if (drawn && lastDrawn === null) drawFirst();
  else if (drawn && drawn !== lastDrawn) draw();
  lastDrawn = drawn;
  ui.attribute(document.body, "data-view", drawn === null ? (source.problem?.kind === "loading" ? "loading" : "unknown") : empty ? "empty" : "dashboard");
  drawNotice();
  drawFilter();
  drawState({ source, drawn, paused, broken });
}

async function showWelcome() {
  const { drawWelcome } = await import("./welcome.js");
  drawWelcome(byId("welcome"), drawn, API_URL);
}

// ---- what is left out

const WINDOW_WORDS = { "15m": "the last 15 minutes", "1h": "the last hour", "24h": "the last 24 hours", all: "all time" };

function drawNotice() {
  const [text, action, name] = noticeText();
  ui.show(byId("notice"), text !== "" && document.body.dataset.view === "dashboard");
  say(byId("notice-text"), text);
  say(byId("notice-action"), action ?? "");
  ui.show(byId("notice-action"), Boolean(action));
  ui.attribute(byId("notice-action"), "data-action", name ?? "");
}

function noticeText() {
  const shown = drawn?.window?.name;
  if (shown && shown !== view.window && source.problem) return [`These are still the numbers of ${WINDOW_WORDS[shown]}; those of ${WINDOW_WORDS[view.window]} are not known yet.`];
  if (otherWindow) return [`${otherWindow.slice(0, 20)} is not a window: there are ${WINDOWS.join(", ")}. These are the numbers of ${WINDOW_WORDS[view.window]}.`];
  if (drawn?.total_events === 0 && shown !== "all") return [`No events in ${WINDOW_WORDS[shown]}.`, "Show all time", "window"];
  if (view.hidden.size === 0) return [""];
  const names = [...view.hidden].map(ui.typeName).join(", ");
  return [`Hidden from both charts and the recent events: ${names}. Cards and funnel count everything.`, "Show all types", "types"];
}

function drawFilter() {
  ui.show(byId("filter-count"), view.hidden.size > 0);
  say(byId("filter-count"), `${view.hidden.size} hidden`);
  if (!drawn || !byId("filter-panel").matches(":popover-open")) return;
  const types = [...new Set([...Object.keys(drawn.events_by_type ?? {}), ...view.hidden])].slice(0, 100);
  ui.each(byId("filter-types"), types, makeCheck, (node, type) => {
    const [box, swatch, name] = node.firstElementChild.children;
    box.checked = !view.hidden.has(type);
    box.value = type;
    ui.paint(swatch, type);
    say(name, ui.typeName(type));
  });
}

const makeCheck = () => ui.make("li", {}, ui.make("label", {}, ui.make("input", { type: "checkbox" }), ui.make("span", { class: "swatch", "aria-hidden": "true" }), ui.make("span", {})));

// ---- what the reader does

function changeTypes(change) {
  change(view.hidden);
  writeView();
  draw([...CHARTS, "recent events"]);
  drawNotice();
  drawFilter();
}

const toggle = (type) => changeTypes((hidden) => (hidden.delete(type) ? hidden : hidden.add(type)));

function chooseWindow(name) {
  view.window = name;
  otherWindow = "";
  writeView();
  source.forget();
  drawControls();
  if (paused) setPaused(false);
  source.poll();
}

function setPaused(on) {
  paused = on;
  ui.attribute(byId("pause"), "aria-pressed", String(on));
  ui.attribute(byId("pause"), "aria-label", on ? "Resume" : "Pause");
  say(byId("pause-word"), on ? "Resume" : "Pause");
  refresh();
}

function drawControls() {
  for (const input of byId("window").elements) if (input.name === "window") input.checked = input.value === view.window;
  byId("search").value = view.search;
  for (const lines of ["total", "types"]) ui.attribute(byId(`series-${lines}`), "aria-pressed", String(view.lines === lines));
  for (const name of TOPS) {
    ui.attribute(byId(`tab-${name}`), "aria-selected", String(view.top === name));
    byId(`tab-${name}`).tabIndex = view.top === name ? 0 : -1;
  }
  ui.attribute(byId("top"), "aria-labelledby", `tab-${view.top}`);
}

async function open(kind, detail) {
  const sheets = await import("./sheets.js");
  sheets.open(kind, detail);
}

function onClick(event) {
  const node = event.target.closest("button");
  const row = event.target.closest(".feed tr");
  if (node?.dataset.type && node.classList.contains("type")) toggle(node.dataset.type);
  else if (row?.event) open("event", row.event);
  else if (node?.dataset.open) open(node.dataset.open, {});
  else if (node?.dataset.query?.startsWith("rejected:")) open("rejected", { code: node.dataset.query.split(":")[1] });
  else if (node?.dataset.query) open("events", eventsOf(node.dataset, drawn.window));
  else if (node?.dataset.table) showTable(node);
  else if (node?.dataset.top) {
    view.top = node.dataset.top;
    writeView();
    drawControls();
    draw(["top lists"]);
  }
}

/** The events behind a number: in a window those that happened in it, the running minute included. */
function eventsOf({ query, title }, { name, from }) {
  if (name === "all") return { query, title };
  const until = new Date(Date.parse(from) + WINDOW_MINUTES[name] * 60_000).toISOString();
  return { query: `${query}&since=${from}&until=${until}`, title: `${title} in ${WINDOW_WORDS[name]}` };
}

function showTable(button) {
  const region = byId(button.getAttribute("aria-controls"));
  const on = region.hidden;
  ui.show(region, on);
  region.parentElement.dataset.table = String(on);
  ui.attribute(button, "aria-expanded", String(on));
  say(button, on ? "Show as chart" : "Show as table");
  draw(["events over time", "funnel"]);
}

function listen() {
  document.addEventListener("click", onClick);
  document.addEventListener("pointerover", explain, { passive: true });
  byId("window").addEventListener("change", (event) => chooseWindow(event.target.value));
  byId("window").addEventListener("submit", (event) => event.preventDefault());
  byId("pause").addEventListener("click", () => setPaused(!paused));
  ui.offerThemes(byId("theme"), charts.recolour);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", charts.recolour);
  byId("search").addEventListener("input", (event) => {
    view.search = event.target.value.trim();
    writeView();
    draw(["recent events"]);
  });
  for (const name of ["scroll", "focusin", "focusout"]) {
    byId("list").addEventListener(name, (event) => browse(event) && draw(["recent events"]), { passive: true });
  }
  for (const lines of ["total", "types"]) {
    byId(`series-${lines}`).addEventListener("click", () => {
      view.lines = lines;
      writeView();
      drawControls();
      draw(["events over time"]);
    });
  }
  byId("reader").addEventListener("input", charts.readPoint);
  ui.tabKeys(document.querySelector("[role=tablist]"));
  byId("filter-panel").addEventListener("toggle", drawFilter);
  byId("filter-types").addEventListener("change", (event) => toggle(event.target.value));
  byId("filter-all").addEventListener("click", () => changeTypes((hidden) => hidden.clear()));
  byId("notice-action").addEventListener("click", (event) => (
    event.target.dataset.action === "window" ? chooseWindow("all") : changeTypes((hidden) => hidden.clear())));
  byId("banner-action").addEventListener("click", () => source.poll());
  document.addEventListener("visibilitychange", () => (document.hidden ? source.stop() : source.poll()));
  matchMedia("(forced-colors: active)").addEventListener("change", charts.recolour);
  addEventListener("beforeprint", ui.drawUnseen);
  ui.watch("canvas-series", "canvas-mix", "panel-feed");
  new ResizeObserver(charts.rescale).observe(document.querySelector(".mark")); // as large as the text
  window.addEventListener("popstate", () => location.reload());
}

/** The page may have come with its first numbers: nothing to wait for. */
function start() {
  const found = byId("numbers").textContent;
  if (found.startsWith("null")) source.poll();
  else source.take(JSON.parse(found));
}

listen();
writeView(); // without what the address has that is no view
drawControls();
setInterval(() => document.hidden || drawState({ source, drawn, paused, broken }), 1000);
start();
