// Which visits are asked about: those in which an event says so, or none does. In the address they stand as the API takes them.

import { ask } from "./asking.js";
import { inSentence, label, OWN } from "./dimensions.js";
import { attribute, byId, each, inline, make, say, show } from "./ui.js";

export const WITH = "visit.";
export const WITHOUT = "without.";
const STATISTICS = "/api/stats?window=all";
const MOST_SUGGESTIONS = 50;
const OTHER_TYPES = "(other)"; // as statistics call those beyond the first 500
const texts = (rows, said) => [...new Set(rows.map(said).filter((text) => typeof text === "string"))];
// The answer that knows what is said, and the texts in it. Statistics are those of all time.
const KNOWN_BY = {
  event_type: { path: () => STATISTICS, texts: ({ events_by_type: types }) => Object.keys(types).sort((a, b) => types[b] - types[a]) },
  referrer: { path: () => STATISTICS, texts: ({ top }) => texts(top.referrers, (row) => row.value) },
  page: { path: (span) => `/api/questions/top_pages?${span}`, texts: ({ rows }) => texts(rows, (row) => row.page) },
  product: { path: (span) => `/api/questions/top_products?${span}`, texts: ({ rows }) => texts(rows, (row) => row.product) },
  ...Object.fromEntries(["device", "browser", "os", "country", "utm_source", "utm_medium", "utm_campaign"].map((name) => [
    name, { path: (span) => `/api/questions/breakdown?${span}`, texts: ({ rows }) => texts(rows, (row) => (row.dimension === name ? row.dimension_value : null)) },
  ])),
};

/** The types of events that ever came, the most frequent first. */
export const knownTypes = () => found("event_type", {});

/** The types of events that came up to now, also since they were last suggested, and whether they are all. */
export async function typesUntilNow() {
  const types = KNOWN_BY.event_type.texts(await ask(STATISTICS, AbortSignal.timeout(20_000), "types"));
  return { types, areAll: !types.includes(OTHER_TYPES) };
}

const textsOf = (by) => ({ path: (span) => `/api/questions/breakdown?${new URLSearchParams({ by })}&${span}`, texts: ({ rows }) => texts(rows, (row) => row.dimension_value) });

/** What an address asks of a visit: a Map from its parameters, which are those of the API, to texts. */
export const read = (query) => new Map([...query].filter(([parameter]) => parameter.startsWith(WITH) || parameter.startsWith(WITHOUT)));

const isUnsaid = (parameter) => parameter.startsWith(WITHOUT);
const nameOf = (parameter) => parameter.slice(parameter.indexOf(".") + 1);
const chip = (parameter) => (isUnsaid(parameter) ? `Without ${inSentence(nameOf(parameter))}` : label(nameOf(parameter)));

/** In words, to follow what is asked; empty for all visits. */
export function words(visit) {
  const said = [...visit].map(([parameter, text]) => [isUnsaid(parameter), `${inline(inSentence(nameOf(parameter)))} ${inline(text)}`]);
  const listed = (isWithout, before, between) => {
    const texts = said.filter(([isOne]) => isOne === isWithout).map(([, one]) => one);
    return texts.length > 0 ? ` ${before} ${texts.join(between)}` : "";
  };
  return visit.size === 0 ? "" : `visits${listed(false, "with", " and ")}${listed(true, "without", " or ")}`;
}

/** Draw the chosen ones, each to be taken back. */
export function draw(visit) {
  show(byId("chosen"), visit.size > 0);
  each(byId("chosen"), [...visit], newChip, ({ firstElementChild: button }, [parameter, text]) => {
    say(button.firstElementChild, `${chip(parameter)}: ${text}`);
    attribute(button, "data-drops", parameter);
    attribute(button, "aria-label", `${chip(parameter)}: ${text}. Ask about other visits too`);
    attribute(button, "title", `${text}\nAsk about other visits too`);
  });
  say(byId("visit-lead"), visit.size > 0 ? "and" : "Only visits");
}

const newChip = () => make("li", {}, make("button", { type: "button", class: "chosen" }, make("span"), make("span", { "aria-hidden": "true" }, "×")));

/** Offer what events of the span say: what the reader may mean. Nothing is offered where the API does not answer. */
export async function suggest(name, bounds) {
  const list = byId("visit-texts");
  const offered = `${name} ${spanOf(bounds)}`;
  if (list.dataset.offered !== offered) list.replaceChildren(); // while the API is asked, nothing of another property or span
  list.dataset.offered = offered;
  const known = await found(name, bounds).catch(() => []);
  if (list.dataset.offered === offered) list.replaceChildren(...known.slice(0, MOST_SUGGESTIONS).map((value) => make("option", { value })));
}

/** The span to the hour: one that moves is not asked for at each focus. */
const spanOf = ({ since = "", until = "" }) => `${since.slice(0, 13)} ${until}`;

let suggestions = { of: "", answers: new Map() };

async function found(name, bounds) {
  if (name === OWN) return []; // not named yet
  const known = KNOWN_BY[name] ?? textsOf(name);
  const source = known.path("");
  const span = spanOf(bounds);
  if (suggestions.of !== span) suggestions = { of: span, answers: new Map() };
  if (!suggestions.answers.has(source)) suggestions.answers.set(source, ask(known.path(new URLSearchParams(bounds)), AbortSignal.timeout(20_000), "suggestions"));
  try {
    return known.texts(await suggestions.answers.get(source));
  } catch (error) {
    suggestions.answers.delete(source);
    throw error;
  }
}
