// What is asked, as it stands in the address: a question, a span of time, visits, and what only some questions have.

import * as spans from "./span.js";
import { zone } from "./ui.js";
import * as visits from "./visits.js";

export const FUNNEL = "funnel"; // what is asked when the address does not say
export const BREAKDOWN = "breakdown";
export const HAVE_BY = new Map([[FUNNEL, "all together"], [BREAKDOWN, "device, browser, campaign …"]]); // what each goes by when nothing is said
const HAVE_DAYS = new Set(["traffic", "sessions", "retention", "revenue"]);

/** What the API is told of the time zone in whose days it is to answer; nothing for UTC, and where there are none. */
export const whoseDays = (name) => (HAVE_DAYS.has(name) && zone !== "UTC" ? { zone } : {});

/** What the address asks. */
export const readView = () => {
  const query = new URLSearchParams(location.search);
  return { ask: query.get("ask") ?? "", span: spans.read(query), visit: visits.read(query), steps: query.get("steps") ?? "", by: query.get("by") ?? "", of: query.get("of") ?? "" };
};

/** What the API is told beside the span: the steps of a funnel of one's own, what a breakdown goes by, and the chosen visits. */
export const rest = (name, { steps, by, of, visit }) => [...(steps && name === FUNNEL ? [["steps", steps]] : []), ...(by && HAVE_BY.has(name) ? [["by", by]] : []), ...(of && name === BREAKDOWN ? [["of", of]] : []), ...visit];

/** Where on this site `view` is asked for. */
export function address({ ask: name, span, ...others }) {
  const query = new URLSearchParams(name ? { ask: name } : {});
  spans.write(span, query);
  for (const [parameter, text] of rest(name || FUNNEL, others)) query.append(parameter, text);
  return `${location.pathname}?${query}`;
}
