// The two drawings that need a canvas: events over time and the distribution. Everything they show stands in a
// table beside them too. Animation is off: an animated refresh costs five times as much and says nothing more.

import * as ui from "./ui.js";

const { byId, colour, say } = ui;
const RUNNING = "still running, estimated from what has passed of it";
const MOST_SERIES = 8; // types drawn by themselves; the rest is one line
const MOST_LEGEND = 40;
const LEAST_ARC = 1 / 2000; // of the ring, a quarter of a pixel

// Hidden parts of the library are computed at each update; those switched off are not.
const NO_PLUGINS = { legend: false, title: false, subtitle: false, decimation: false, colors: false };

let series = null;
let mix = null;
let latest = null;
let drawn = { points: [], interval: 60, values: [], lines: "" }; // in the chart of events over time

const LIBRARY = "../vendor/chart-4.6.1.umd.min.js"; // it sets window.Chart
let absent = null; // why it did not come

/** Fetch the library, half of what the page weighs: the numbers need not wait for it. */
export async function load() {
  try {
    await import(LIBRARY);
  } catch (error) {
    absent = error;
  }
}

const isLoaded = () => Boolean(window.Chart);

/** The theme has changed, or the size of text: draw both again. */
export function recolour() {
  ui.forgetColours();
  pixels = 0;
  series?.destroy();
  mix?.destroy();
  series = mix = null;
  if (latest) {
    drawSeries(latest.stats, latest.view);
    drawMix(latest.stats, latest.view);
  }
}

/** Draw again if the reader has changed the size of text. */
export function rescale() {
  const before = pixels;
  pixels = 0;
  if (before && before !== scale()) recolour();
}

let pixels = 0; // device-independent size of text against the usual one; reading it at each refresh forces a layout

function scale() {
  pixels ||= Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  return pixels;
}

const font = () => ({ family: getComputedStyle(document.body).fontFamily, size: Math.round(12 * scale()) });

const tooltip = () => ({
  animation: false, backgroundColor: colour("--raised"), titleColor: colour("--text"), bodyColor: colour("--text"), footerColor: colour("--muted"),
  borderColor: colour("--border"), borderWidth: 1, padding: 10, cornerRadius: 8, titleFont: { ...font(), weight: 600 }, bodyFont: font(), footerFont: { ...font(), weight: 400 },
  boxWidth: 8, boxHeight: 8, boxPadding: 6, usePointStyle: false, caretSize: 0, caretPadding: 12,
});

// ---- events over time

/**
 * The last interval is incomplete and would look like a fall: show what a full interval up to now holds, taking the
 * missing part from the interval before. Exact at its end, an estimate before it.
 */
function estimate(stats, value) {
  const { points, interval_s: interval } = stats.series;
  const running = points[points.length - 1];
  const passed = (Date.parse(stats.window.to) - Date.parse(running.start)) / (interval * 1000);
  const missing = Math.max(0, Math.min(1, 1 - passed));
  return Math.round(value(running) + missing * (points.length > 1 ? value(points[points.length - 2]) : 0));
}

const seen = (point, hidden) => (hidden.size
  ? Object.entries(point.by_type).reduce((sum, [type, count]) => sum + (hidden.has(type) ? 0 : count), 0)
  : point.events);

export function drawSeries(stats, view) {
  latest = { stats, view };
  const { interval_s: interval, points } = stats.series;
  const values = points.map((point) => seen(point, view.hidden));
  values[values.length - 1] = estimate(stats, (point) => seen(point, view.hidden));
  drawn = { points, interval, values, lines: view.lines };
  if (isLoaded()) ui.whenSeen("canvas-series", drawLines); // before the words: measuring text would lay them out
  describe(points, values, ui.duration(interval * points.length * 1000), interval);
  if (!byId("table-series").hidden) byId("table-series").replaceChildren(seriesTable(stats, view));
  if (absent) throw absent;
}

function drawLines() {
  const { stats, view } = latest;
  const { points, values, lines } = drawn;
  const byType = lines === "types";
  const before = series?.options.scales.y.stacked === byType ? series.data.datasets : [];
  if (!byType && before.length && moveEnd(before[0])) return;
  const datasets = kept(before, byType ? typeSets(stats, view.hidden) : [totalSet(values, points[0].start)]);
  const data = { labels: points.map((_, index) => index), datasets };
  if (series) {
    series.data = data;
    series.options.scales.y.stacked = byType;
    series.options.scales.x.max = points.length - 1;
    series.update("none");
  } else series = makeSeries(data, byType);
}

/**
 * Most refreshes change nothing but the running interval: then the last point moves within the scales that are there,
 * for half of what an update costs, and where it would move by less than half a pixel nothing is drawn. False when more
 * has changed, or when the reader is looking at a point.
 */
function moveEnd({ data, from }) {
  const { points, values } = drawn;
  const last = values.length - 1;
  const y = series.scales.y;
  const isSame = from === points[0].start && data.length === values.length && data.every((value, index) => value === values[index] || index === last);
  if (!isSame || values[last] > y.max || series.getActiveElements().length) return false;
  data[last] = values[last];
  const line = series.getDatasetMeta(0);
  const end = line.data[last];
  const height = y.getPixelForValue(values[last]);
  if (Math.abs(height - end.y) < 0.5) return true;
  end.y = height;
  line.dataset.points = line.data; // its curve is made anew
  series.draw();
  return true;
}

/** `sets` in the place of those before, so that the chart moves its points instead of making them anew. */
const kept = (before, sets) => sets.map((set, index) => (before[index] ? Object.assign(before[index], set) : set));

const totalSet = (values, from) => ({
  from, data: values, borderColor: colour("--accent"), backgroundColor: ui.faded(colour("--accent"), 0.1), fill: "origin", borderWidth: 2 * scale(), pointRadius: 0, pointHoverRadius: 5, tension: 0.2, cubicInterpolationMode: "monotone",
});

/**
 * Draws what is estimated of the one line apart: a dotted link and a hollow point. Options for each point or segment
 * would say the same, but are resolved for all sixty of them at each refresh.
 */
const runningEnd = {
  id: "runningEnd",
  beforeDatasetsDraw(chart) {
    chart.ctx.save();
    const [from] = ends(chart);
    if (!from) return;
    chart.ctx.beginPath();
    chart.ctx.rect(0, 0, from.x, chart.height);
    chart.ctx.clip();
  },
  afterDatasetsDraw(chart) {
    const { ctx } = chart;
    ctx.restore();
    const [from, to] = ends(chart);
    if (!from) return;
    ctx.save();
    ctx.strokeStyle = colour("--accent");
    ctx.fillStyle = colour("--surface");
    ctx.lineWidth = 2 * scale();
    ctx.beginPath();
    ctx.setLineDash([3, 4]);
    ctx.moveTo(from.x, from.y);
    ctx.lineTo(to.x, to.y);
    ctx.stroke();
    ctx.beginPath();
    ctx.setLineDash([]);
    ctx.arc(to.x, to.y, 4 * scale(), 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
    ctx.restore();
  },
};

/** The last two points of the one line; none when types are stacked. */
const ends = (chart) => (drawn.lines === "total" ? chart.getDatasetMeta(0).data.slice(-2) : []);

function typeSets(stats, hidden) {
  const { points } = stats.series;
  const totals = new Map();
  for (const point of points) {
    for (const [type, count] of Object.entries(point.by_type)) totals.set(type, (totals.get(type) ?? 0) + count);
  }
  const types = [...totals.keys()].filter((type) => !hidden.has(type)).sort((a, b) => totals.get(b) - totals.get(a));
  const drawn = types.slice(0, MOST_SERIES);
  const rest = types.slice(MOST_SERIES);
  const data = (value) => [...points.slice(0, -1).map(value), estimate(stats, value)];
  const sets = drawn.map((type) => typeSet(ui.typeName(type), colour(ui.typeColour(type)), data((point) => point.by_type[type] ?? 0)));
  if (rest.length) {
    const sum = (point) => rest.reduce((total, type) => total + (point.by_type[type] ?? 0), 0);
    sets.push(typeSet(`${rest.length} further types`, colour("--muted"), data(sum)));
  }
  if (sets.length) sets[0].fill = "origin"; // the others down to the curve below them; "stack" would fill to a straight line
  return sets;
}

const typeSet = (label, line, data) => ({
  label, data, borderColor: colour("--surface"), backgroundColor: line, fill: "-1", borderWidth: 1, pointRadius: 0, pointHoverRadius: 0, tension: 0.2, cubicInterpolationMode: "monotone",
});

/** A new chart draws itself at once, so it is given its data: drawing it empty first would double what it costs. */
function makeSeries(data, stacked) {
  const text = colour("--muted");
  return new window.Chart(byId("canvas-series"), {
    type: "line",
    plugins: [runningEnd],
    data,
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false }, layout: { padding: { right: 6, top: 6 } },
      plugins: { ...NO_PLUGINS, tooltip: { ...tooltip(), callbacks: tooltipTexts } },
      scales: {
        x: {
          type: "linear", min: 0, max: data.labels.length - 1, grid: { display: false }, border: { display: false }, afterBuildTicks: roundTimes,
          ticks: { color: text, font: font(), maxRotation: 0, autoSkip: false, callback: (index) => ui.minute(drawn.points[index].start) },
        },
        y: { stacked, beginAtZero: true, suggestedMax: 4, border: { display: false }, grid: { color: colour("--grid") }, ticks: { color: text, font: font(), precision: 0, maxTicksLimit: 6, padding: 8, callback: (value) => ui.count(value) } },
      },
    },
  });
}

/** Ticks where a clock strikes: as many as there is room for, and no other one is measured. */
function roundTimes(axis) {
  const { points, interval } = drawn;
  const most = Math.max(2, Math.floor(axis.chart.width / (6.5 * font().size)));
  const minutes = (points.length * interval) / 60;
  const step = STEPS_MIN.find((step) => minutes / step <= most) ?? STEPS_MIN.at(-1);
  axis.ticks = points.flatMap(({ start }, value) => (ui.minuteOfDay(start) % step === 0 ? [{ value }] : []));
}

const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360];

const tooltipTexts = {
  title: ([item]) => (item ? ui.full(drawn.points[item.dataIndex].start) : ""),
  label: (item) => ` ${item.dataset.label ? `${item.dataset.label}: ` : ""}${ui.exact(item.raw)}${item.dataset.label ? "" : " events"}`,
  footer: ([item]) => (item?.dataIndex === drawn.points.length - 1 ? RUNNING : ""),
};

function describe(points, values, span, interval) {
  const complete = values.slice(0, -1);
  const soFar = seen(points.at(-1), latest.view.hidden);
  const peak = Math.max(...complete, soFar);
  say(byId("title-series"), interval === 60 ? "Events per minute" : `Events per ${interval / 60} minutes`);
  const when = peak > Math.max(...complete) ? points.length - 1 : complete.indexOf(peak);
  const most = peak > 0 ? ` · peak ${ui.count(peak)} at ${ui.minute(points[when].start)}` : "";
  say(byId("note-series"), peak > 0 || values.at(-1) > 0 ? `last ${span}${most}` : `none in the last ${span}`);
  const reader = byId("reader");
  ui.attribute(reader, "max", String(values.length - 1));
  readPoint();
}

/** What the reader's slider stands on, in words. */
export function readPoint() {
  const { points, values } = drawn;
  if (!points.length) return;
  const index = Math.min(Number(byId("reader").value), points.length - 1);
  const text = `${ui.minute(points[index].start)}, ${ui.exact(values[index])} events${index === points.length - 1 ? ` (${RUNNING})` : ""}`;
  ui.attribute(byId("reader"), "aria-valuetext", text);
  say(byId("reader-text"), text);
}

export function seriesTable(stats, view) {
  const types = Object.keys(stats.events_by_type).filter((type) => !view.hidden.has(type)).slice(0, MOST_SERIES);
  const points = stats.series.points;
  const rows = points.map((point, index) => [
    index === points.length - 1 ? `${ui.minute(point.start)} (running)` : ui.minute(point.start),
    ui.exact(seen(point, view.hidden)), ...types.map((type) => ui.exact(point.by_type[type] ?? 0)),
  ]);
  return ui.table("Events over time, newest first", ["Time", "Events", ...types.map(ui.typeName)], rows.reverse());
}

// ---- distribution

export function drawMix(stats, view) {
  latest = { stats, view };
  const types = Object.entries(stats.events_by_type);
  const visible = types.filter(([type]) => !view.hidden.has(type));
  const total = visible.reduce((sum, [, count]) => sum + count, 0);
  say(byId("mix-total"), ui.count(total));
  ui.attribute(byId("mix-total"), "title", ui.exact(total));
  say(byId("mix-unit"), view.hidden.size ? "shown" : total === 1 ? "event" : "events");
  if (isLoaded()) ui.whenSeen("canvas-mix", () => drawRing(visible, total));
  drawLegend(types, total, view);
  if (absent) throw absent;
}

function drawRing(visible, total) {
  const labels = visible.map(([type]) => ui.typeName(type));
  const data = total ? visible.map(([, count]) => count) : [1];
  const backgroundColor = total ? visible.map(([type]) => colour(ui.typeColour(type))) : [colour("--border")];
  if (!mix) mix = makeMix(labels, { data, backgroundColor }, total > 0);
  else if (moves(data, mix.data.datasets[0].data)) {
    mix.data.labels = labels;
    Object.assign(mix.data.datasets[0], { data, backgroundColor });
    mix.options.plugins.tooltip.enabled = total > 0;
    mix.update("none");
  }
}

/** Whether an arc of the ring would end at another pixel. */
function moves(data, before) {
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const [now, then] = [sum(data), sum(before)];
  return data.length !== before.length || data.some((value, index) => Math.abs(value / now - before[index] / then) > LEAST_ARC);
}

function drawLegend(types, total, view) {
  const gone = [...view.hidden].filter((type) => !types.some(([name]) => name === type)).map((type) => [type, 0]);
  const rows = [...types, ...gone].slice(0, MOST_LEGEND);
  const rest = types.slice(MOST_LEGEND);
  const shown = rest.length ? [...rows, [null, rest.reduce((sum, [, count]) => sum + count, 0)]] : rows;
  ui.each(byId("legend"), shown, makeLegendRow, (node, [type, count]) => {
    const button = node.querySelector("button");
    const off = type !== null && view.hidden.has(type);
    if (type !== null) ui.paint(button, type);
    button.disabled = type === null;
    ui.attribute(button, "data-type", type ?? "");
    ui.attribute(button, "aria-pressed", String(!off));
    say(button.lastElementChild, type === null ? `${rest.length} further types` : ui.typeName(type));
    ui.attribute(button, "title", type ?? "");
    say(node.children[1], ui.count(count));
    say(node.children[2], off ? "hidden" : ui.share(count, total));
  });
}

const makeLegendRow = () => ui.make(
  "tr", {},
  ui.make("th", { scope: "row" }, ui.make("button", { type: "button", class: "type" }, ui.make("span", { class: "swatch", "aria-hidden": "true" }), ui.make("span", {}))),
  ui.make("td", {}), ui.make("td", { class: "muted" }),
);

function makeMix(labels, set, enabled) {
  return new window.Chart(byId("canvas-mix"), {
    type: "doughnut",
    data: { labels, datasets: [{ ...set, borderColor: colour("--surface"), borderWidth: 2, hoverOffset: 0, hoverBorderColor: colour("--surface") }] },
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, cutout: "70%",
      plugins: { ...NO_PLUGINS, tooltip: { ...tooltip(), enabled, callbacks: { label: (item) => ` ${item.label}: ${ui.share(item.parsed, mix.data.datasets[0].data.reduce((sum, value) => sum + value, 0))}` } } },
    },
  });
}
