// The span of time that is asked about: a preset, or whole days of this browser's time zone, and the instants these mean.

const DAY = /^\d{4}-\d\d-\d\d$/;
const DATES = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const FIRST_DAY = "1970-01-01";
const LAST_DAY = "9999-12-30"; // the day after it is the last that RFC 3339 can write
const PRESETS = { "24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days", all: "all time" };
const DAY_MS = 86_400_000;
const PRESET_DAYS = { "7d": 7, "30d": 30 }; // today included
const USUAL = "30d";

/** The span in an address: a preset in `name`, which may be none of ours, else the days `since` and `until`, of which one may be missing. */
export function read(query) {
  const since = query.get("since") ?? "";
  const until = query.get("until") ?? "";
  if (since || until) return { name: "", since, until };
  return preset(query.get("span") || USUAL);
}

export const preset = (name) => ({ name, since: "", until: "" });

export function write({ name, since, until }, query) {
  if (name) query.set("span", name);
  if (since) query.set("since", since);
  if (until) query.set("until", until);
}

/** Why nothing can be asked for this span, in a sentence; empty when it can. */
export function problem({ name, since, until }) {
  if (name && !Object.hasOwn(PRESETS, name)) return `${name.slice(0, 20)} is not a span: there are ${Object.keys(PRESETS).join(", ")}, or choose days.`;
  for (const day of [since, until]) {
    if (day && !isDay(day)) return `${day.slice(0, 20)} is not a day from ${FIRST_DAY} to ${LAST_DAY}.`;
  }
  return since && until && until < since ? "The last day is before the first: nothing is asked until they are in order." : "";
}

/** The bounds as the API takes them: RFC 3339 in UTC, `since` included and `until` not. */
export function bounds(span, now = new Date()) {
  if (span.name === "24h") return { since: stamp(new Date(now - DAY_MS)) };
  const { since, until } = days(span, now);
  const found = {};
  if (since) found.since = stamp(midnight(since));
  if (until && !span.name) found.until = stamp(midnight(until, 1));
  return found;
}

/**
 * The span before, as long and, where this one goes on, up to the same time of day: its bounds, and what it is called.
 * Null where this one has no beginning.
 */
export function before(span, now = new Date()) {
  if (span.name === "24h") return { bounds: { since: stamp(new Date(now - 2 * DAY_MS)), until: stamp(new Date(now - DAY_MS)) }, words: "The 24 hours before" };
  const { since, until } = days(span, now);
  if (!since) return null;
  const goesOn = span.name !== "" || !until || until >= local(now);
  const length = Math.round((midnight(goesOn ? local(now) : until, 1) - midnight(since)) / DAY_MS);
  if (length < 1) return null; // it begins in the future
  const end = goesOn ? new Date(now.getFullYear(), now.getMonth(), now.getDate() - length, now.getHours(), now.getMinutes(), now.getSeconds()) : midnight(since);
  const named = length === 1 ? "The day before" : `The ${length} days before`;
  return { bounds: { since: stamp(midnight(since, -length)), until: stamp(end) }, words: goesOn ? `${named}, up to this time of day` : named };
}

/** The days that stand in the inputs. */
export function days({ name, since, until }, now = new Date()) {
  if (!Object.hasOwn(PRESET_DAYS, name)) return { since, until };
  const first = new Date(now.getFullYear(), now.getMonth(), now.getDate() - PRESET_DAYS[name] + 1);
  return { since: local(first), until: local(now) };
}

export function words({ name, since, until }) {
  if (name) return PRESETS[name];
  const [first, last] = [since, until].map((day) => day && DATES.format(midnight(day)));
  if (first === last) return first;
  return first && last ? `${first} to ${last}` : first ? `since ${first}` : `until ${last}`;
}

function isDay(text) {
  return DAY.test(text) && text >= FIRST_DAY && text <= LAST_DAY && local(midnight(text)) === text; // 30 February is none
}

/** When `day` begins here, or the day `later` days after it: an hour of summer time may lie between them. */
function midnight(day, later = 0) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + later);
}

function local(moment) {
  const two = (number) => String(number).padStart(2, "0");
  return `${String(moment.getFullYear()).padStart(4, "0")}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
}

const stamp = (moment) => `${moment.toISOString().slice(0, 19)}Z`;
