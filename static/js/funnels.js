// What a funnel looks like: of all sessions, or of those with each value of something.

import { inSentence, label } from "./dimensions.js";
import { rowsTable } from "./pictures.js";
import { first, groups, number, ratio, some } from "./rows.js";
import * as ui from "./ui.js";

const MOST_VALUES = 20; // of a funnel by them
const STEP_NAMES = new Map([["page_view", "Viewed a page"], ["add_to_cart", "Added to the cart"], ["checkout", "Began the checkout"], ["purchase", "Bought"]]);
const stepName = ({ step }) => STEP_NAMES.get(step) ?? step; // others are called as they were asked for

export function drawFunnel(rows, { by }) {
  if (by) return drawFunnels(rows, by);
  const viewed = rows[0].sessions;
  const steps = rows.map((row, index) => ({ ...row, before: rows[index - 1]?.sessions }));
  const lost = steps.slice(1).filter(({ before, sessions }) => before > sessions).sort((a, b) => (b.before - b.sessions) - (a.before - a.sessions))[0];
  const drop = lost ? ` The largest loss: ${some(lost.before - lost.sessions, "session")} (${ui.share(lost.before - lost.sessions, lost.before)}) ended before “${stepName(lost)}”.` : "";
  return {
    sentence: `${ui.share(rows.at(-1).sessions, viewed)} of ${some(viewed, "session")} ${rows.at(-1).step === "purchase" ? "bought" : "took all steps"}.${drop}`,
    parts: [rowsTable({
      caption: "Sessions that took the steps in this order", isTall: true,
      columns: [
        first("step", "Step", stepName), number("sessions", "Sessions", { bar: (row) => row.sessions / viewed }),
        { name: "Of all", text: (row) => ui.share(row.sessions, viewed) }, ratio("conversion", "Of the step before"),
        { name: "Lost before it", text: ({ before, sessions }) => (before === undefined ? ui.exact(undefined) : before > sessions ? `−${ui.exact(before - sessions)}` : "0"), title: ({ before, sessions }) => (before === undefined ? null : `${ui.share(before - sessions, before)} of the step before`) },
      ],
      rows: steps,
    })],
  };
}

/** The funnel of each value, a row each: what it lost from step to step stands beside the others. */
function drawFunnels(rows, by) {
  const values = groups(rows, "dimension_value").map(([value, steps]) => ({ value, steps, began: steps[0].sessions, took: steps.at(-1).sessions }));
  const best = values.filter(({ value }) => value !== null).reduce((most, one) => (one.took / one.began > most.took / most.began ? one : most));
  const [, ...later] = values[0].steps;
  const done = values[0].steps.at(-1).step === "purchase" ? "bought" : "took all steps";
  return {
    sentence: best.took === 0 ? `No session with ${ui.inline(inSentence(by))} ${done}.` : `Best with ${ui.inline(inSentence(by))} ${ui.inline(best.value)}: ${ui.share(best.took, best.began)} of ${some(best.began, "session")} ${done}.`,
    parts: [rowsTable({
      caption: `Sessions that took the steps in this order, by ${label(by)}`,
      columns: [
        { name: label(by), text: ({ value }) => value ?? "none says it", isNothing: ({ value }) => value === null, visit: by },
        { name: "Took all steps", text: ({ took, began }) => ui.share(took, began), bar: ({ took, began }) => took / began },
        { name: stepName(values[0].steps[0]), text: ({ began }) => ui.exact(began) },
        ...later.map((step, index) => ({ name: stepName(step), text: ({ steps }) => ui.exact(steps[index + 1].sessions), title: ({ steps }) => `${ui.percent(steps[index + 1].conversion)} of the step before` })),
      ],
      rows: values,
    })],
    note: `${values.filter(({ value }) => value !== null).length >= MOST_VALUES ? "The 20 values with the most sessions; there may be more. " : ""}A session counts at each value that one of its events says.`,
  };
}
