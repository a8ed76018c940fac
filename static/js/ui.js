// Small tools of the page: elements without innerHTML, numbers and times as the reader's browser writes them,
// and one colour for each event type.

export const byId = (id) => document.getElementById(id);

/** Write text only when it differs, and into the text node that is there: an unchanged node costs no layout. */
export function say(node, text) {
  const only = node.firstChild === node.lastChild ? node.firstChild : null;
  if (only?.nodeType !== Node.TEXT_NODE) node.textContent = text;
  else if (only.data !== text) only.data = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

export function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Set how much of its parent a bar takes, from 0 to 1. */
export function portion(node, ratio) {
  const share = Math.max(0, Math.min(1, ratio || 0)).toFixed(4);
  if (node.style.getPropertyValue("--share") !== share) node.style.setProperty("--share", share);
}

/** An element with attributes and children; children are nodes or text, never markup. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function makeSvg(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Make `parent` have one child for each item: children are kept and updated, so focus and scroll survive. */
export function each(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, index) => {
    if (index === parent.children.length) parent.append(create());
    update(parent.children[index], item, index);
  });
}

export function table(caption, head, rows) {
  return make(
    "table", { class: "data" }, make("caption", { class: "hidden" }, caption),
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, column) => (
      column === 0 ? make("th", { scope: "row" }, cell) : make("td", {}, cell)))))),
  );
}

/** Arrow keys, Home and End move through the tabs of `list`, and choose the one they reach. */
export function tabKeys(list) {
  list.addEventListener("keydown", (event) => {
    const tabs = [...list.children];
    const now = tabs.indexOf(event.target);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tab = tabs.at(next % tabs.length);
    tab.click();
    tab.focus();
  });
}

// ---- what is dear to draw waits until the reader is about to see it; numbers in words never do

const FAR = "200px";
const away = new Set();
const waiting = new Map();

/** Learn when the elements `ids` come near and go. */
export function watch(...ids) {
  const sight = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) away.delete(target.id);
      else away.add(target.id);
    }
    drawWaiting((id) => !away.has(id));
  }, { rootMargin: FAR });
  for (const id of ids) sight.observe(byId(id));
}

/** Draw now what stands in the element `id`, or, where that is out of sight, when it comes near: the last `draw` counts. */
export function whenSeen(id, draw) {
  waiting.set(id, draw);
  drawWaiting((other) => other === id && !away.has(id));
}

function drawWaiting(due) {
  for (const [id, draw] of waiting) if (due(id) && waiting.delete(id)) draw();
}

/** Draw all that waits, seen or not: the page is about to be printed. */
export const drawUnseen = () => drawWaiting(() => true);

// ---- numbers

const whole = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const oneDecimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const UNKNOWN = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const exact = (value) => (isNumber(value) ? whole.format(value) : UNKNOWN);
export const count = (value) => (isNumber(value) && value >= 1e6 ? compact.format(value) : exact(value));
export const decimal = (value) => (isNumber(value) ? oneDecimal.format(value) : UNKNOWN);

export function percent(ratio) {
  if (!isNumber(ratio)) return UNKNOWN;
  return ratio > 0 && ratio < 0.001 ? `<${percents.format(0.001)}` : percents.format(ratio);
}

export const share = (part, all) => percent(isNumber(part) && all ? part / all : undefined);

const MOST_MONEY_FORMATS = 64; // currencies are named by senders
const moneyFormats = new Map();

/** How to write an amount of `currency`; making one costs more than using it a hundred times. */
function moneyFormat(currency, digits, large) {
  const key = `${currency} ${large ? "large" : digits}`;
  let format = moneyFormats.get(key);
  if (!format) {
    const options = { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    if (large) Object.assign(options, { notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 2 });
    try {
      format = new Intl.NumberFormat(undefined, options);
    } catch {
      format = { format: (amount) => `${whole.format(amount)} ${currency}` }; // a currency code that Intl does not know
    }
    if (moneyFormats.size >= MOST_MONEY_FORMATS) moneyFormats.clear();
    moneyFormats.set(key, format);
  }
  return format;
}

export const money = (cents, currency, digits = 2) => (
  isNumber(cents) ? moneyFormat(currency, digits, Math.abs(cents) >= 1e8).format(cents / 100) : UNKNOWN);

export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  const power = value < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${oneDecimal.format(value / 1000 ** power)} ${["bytes", "kB", "MB", "GB", "TB"][power]}`;
}

// ---- times

const clockTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const minuteTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const dayTime = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
const yearDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const yearTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hour12: false });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
/** The time zone of this browser; one that knows none counts in UTC. */
export const zone = timeZone === "Etc/Unknown" ? "UTC" : timeZone;

const formatted = (format, time) => {
  const moment = new Date(time);
  return Number.isNaN(moment.getTime()) ? UNKNOWN : format.format(moment);
};

const DAY_MS = 86_400_000;
const ago = (time) => Math.abs(Date.now() - new Date(time));
const date = (time) => formatted(ago(time) < 180 * DAY_MS ? dayTime : yearDay, time); // without its year an older one reads as the latest such day
let lastClock = { second: NaN, text: "" }; // events of one second come together, and formatting is what a row costs most

export const isDated = (time) => !(ago(time) < DAY_MS);

export function clock(time) {
  const second = Math.floor(new Date(time) / 1000);
  if (second !== lastClock.second) lastClock = { second, text: isDated(time) ? date(time) : formatted(clockTime, time) };
  return lastClock.text;
}

export const moment = (time) => formatted(isDated(time) ? yearTime : clockTime, time);
export const minute = (time) => formatted(minuteTime, time);
export const day = (time) => (ago(time) < DAY_MS / 2 ? minute(time) : date(time));
export const full = (time) => formatted(fullTime, time);

export function minuteOfDay(time) {
  const moment = new Date(time);
  return moment.getHours() * 60 + moment.getMinutes();
}

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
}

// ---- words

const MOST_LETTERS = 80;

/** `text` with a capital and a full stop, unless it begins with an address or ends with a mark of its own. */
export function sentence(text) {
  const begun = /^[a-z]+:\/\//.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(begun) ? begun : `${begun}.`;
}

/** `text` within a sentence: no longer than a line, and without what would turn around the words behind it. */
export function inline(text) {
  const letters = [...text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")];
  return letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS).join("")}…` : letters.join("");
}

export const howToStart = (script) => `If you stopped it, start it with ./run_demo.sh or .venv/bin/python ${script}.`;

// ---- event types

const STANDARD = ["page_view", "click", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase"];
const CUSTOM_COLOURS = 8;

export function typeName(type) {
  const words = String(type).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Name of the CSS colour of a type; a custom type has the same one in every browser and in the terminal. */
export function typeColour(type) {
  if (STANDARD.includes(type)) return `--type-${type}`;
  let sum = 0;
  for (const character of String(type)) sum = (sum * 31 + character.codePointAt(0)) % 65_521;
  return `--type-custom-${(sum % CUSTOM_COLOURS) + 1}`;
}

export function paint(node, type) {
  const value = `var(${typeColour(type)})`;
  if (node.style.getPropertyValue("--type") !== value) node.style.setProperty("--type", value);
}

// A canvas knows no CSS variables: they are read once per theme. With forced colours, those that mean something stay.

let colours = new Map();
let probe = null;
const MEANING = /^--(type|accent)/;

export function colour(name) {
  if (!colours.has(name)) {
    if (!probe) document.body.append((probe = make("span", { hidden: "" })));
    probe.style.forcedColorAdjust = MEANING.test(name) ? "none" : "auto";
    probe.style.color = `var(${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

export function forgetColours() {
  colours = new Map();
}

export const faded = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, (_, parts) => `rgba(${parts}, ${alpha})`);

// ---- theme; the server reads the cookie, so that a page has its theme before it is painted

const THEMES = { system: "as the system", light: "light", dark: "dark" };

/** Let `button` go from theme to theme; `changed` is called after each change. */
export function offerThemes(button, changed) {
  const now = () => document.documentElement.dataset.theme ?? "system";
  const label = () => {
    attribute(button, "aria-label", `Theme: ${THEMES[now()]}`);
    attribute(button, "title", `Theme: ${THEMES[now()]}`);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const name = names[(names.indexOf(now()) + 1) % names.length];
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    document.cookie = `theme=${name};path=/;max-age=${name === "system" ? 0 : 31_536_000};samesite=strict`;
    label();
    changed();
  });
  label();
}

// ---- clipboard

export async function copy(text, button) {
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  try {
    await navigator.clipboard.writeText(text);
    say(button, "Copied");
  } catch {
    say(button, "Select and copy"); // the page was opened without https or on another host
  }
  setTimeout(() => say(button, before), 2000);
}
