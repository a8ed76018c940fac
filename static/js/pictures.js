// Tables with bars, bars in time order, and tables shaded by share: HTML whose sizes are custom properties.

import { make, portion } from "./ui.js";

const ROWS_AT_ONCE = 300;
const ROWS_A_FRAME = 2000; // laying out all at once would hold the page for seconds
const MOST_CHOSEN = 2000; // letters of a text that visits are chosen by, as in the form: an address holds no more
const MOST_BARS = 190;
const HOUR_MS = 3_600_000;
const SPANS_H = [1, 2, 3, 6, 12, 24, 48, 168, 336, 720, 2160, 8760]; // of a bar, where there are too many for one each

/**
 * A table of `rows`. A column has a `name`, `text(row)`, and maybe `bar(row)`, the share from 0 to 1 that its bar shows,
 * `title(row)`, `isNothing(row)`, when the text is the page's word and no name that a sender chose, and `isUnbroken`: one line.
 * Where the first has a `visit`, its texts are buttons that choose the visits in which that property says so.
 */
export function rowsTable({ caption, isCaptionShown = false, isTall = false, columns, rows }) {
  const body = make("tbody");
  const node = make(
    "table", { class: isTall ? "answer-rows tall" : "answer-rows" }, make("caption", isCaptionShown ? {} : { class: "hidden" }, caption),
    make("thead", {}, make("tr", {}, ...columns.map((column) => make("th", { scope: "col", class: column.bar ? "measured" : null }, column.name)))), body,
  );
  const widest = Math.max(1, ...columns.flatMap((column) => (column.bar ? rows.map((row) => column.text(row).length) : [])));
  node.style.setProperty("--number", `${widest}ch`); // or the bars of a column would not end on one scale
  const add = (from, to) => body.append(...rows.slice(from, to).map((row) => make("tr", {}, ...columns.map((column, index) => cell(column, row, index)))));
  add(0, ROWS_AT_ONCE);
  if (rows.length <= ROWS_AT_ONCE) return scrolling(caption, node);
  const more = make("button", { type: "button", class: "link" }, `Show the other ${(rows.length - ROWS_AT_ONCE).toLocaleString()} rows`);
  const addFrom = (first) => {
    add(first, first + ROWS_A_FRAME);
    if (first + ROWS_A_FRAME < rows.length) requestAnimationFrame(() => addFrom(first + ROWS_A_FRAME));
  };
  more.addEventListener("click", () => {
    addFrom(ROWS_AT_ONCE);
    node.parentElement.focus();
    more.remove();
  });
  return make("div", {}, scrolling(caption, node), more);
}

function cell({ text, bar, title, isNothing, isUnbroken, visit }, row, index) {
  const said = text(row);
  if (index === 0) {
    if (visit && !isNothing?.(row) && said.length <= MOST_CHOSEN) return make("th", { scope: "row" }, make("button", { type: "button", class: "named choosing", "data-visit": visit, title: `${said}\nAsk only about visits with it` }, ...breakable(said)));
    const name = make("span", { class: isNothing?.(row) ? "named nothing-named" : "named", title: title?.(row) ?? said }, ...breakable(said));
    return make("th", { scope: "row", class: isUnbroken ? "unbroken" : null }, name);
  }
  if (!bar) return make("td", { title: title?.(row) }, said);
  const fill = make("span", { class: "fill" });
  portion(fill, bar(row));
  return make("td", { class: "measured", title: title?.(row) }, make("span", { class: "measure" }, make("span", { class: "track", "aria-hidden": "true" }, fill), make("span", {}, said)));
}

/** `said`, which may go on in a new line behind each slash: browsers break paths amid words. Two lines of it are shown. */
const breakable = (said) => (said.length > 200 ? [said] : said.split(/([^/]*[/])/).filter(Boolean).flatMap((part) => [part, make("wbr")]));

const scrolling = (label, ...children) => make("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": label }, ...children);

/**
 * One bar for each step of `stepMs` from the first to the last of `among`, or for several where they would be too many: `value`
 * as its height, `part` of it in a stronger colour. Null for less than two steps, of which a picture says nothing.
 */
export function timeBars({ rows, among = rows, at, stepMs, value, part, when, described, label }) {
  const first = Math.min(...among.map(at));
  const last = Math.max(...among.map(at));
  const steps = Math.round((last - first) / stepMs) + 1;
  if (!(steps > 1)) return null;
  const perBarMs = (SPANS_H.find((hours) => hours * HOUR_MS >= stepMs && (last - first) / (hours * HOUR_MS) < MOST_BARS) ?? SPANS_H.at(-1)) * HOUR_MS;
  const bars = Array.from({ length: Math.floor((last - first) / perBarMs) + 1 }, (_, index) => ({ at: first + index * perBarMs, value: 0, part: 0 }));
  for (const row of rows) {
    const bar = bars[Math.floor((at(row) - first) / perBarMs)];
    bar.value += value(row);
    bar.part += part?.(row) ?? 0;
  }
  const most = bars.reduce((highest, bar) => (bar.value > highest.value ? bar : highest));
  const hours = perBarMs / HOUR_MS;
  const each = hours === stepMs / HOUR_MS ? "" : `a bar is ${hours < 48 ? `${hours} hours` : `${hours / 24} days`}`;
  const top = `highest: ${described(most)}, ${when(most.at)}`;
  const nodes = bars.map((bar) => {
    const filled = make("span", { class: "time-part" });
    const strong = part ? bar.part / bar.value : 1;
    const node = make("span", { class: "time-bar", title: `${when(bar.at)}: ${described(bar)}` }, filled);
    portion(node, bar.value / most.value);
    portion(filled, strong);
    return node;
  });
  return make(
    "figure", { class: "time" }, make("figcaption", {}, make("strong", {}, label), ` ${[top, each].filter(Boolean).join(" · ")}`),
    make("div", { class: "time-bars", role: "img", "aria-label": `${label}, ${bars.length} bars from ${when(first)} to ${when(bars.at(-1).at)}; ${top}` }, ...nodes),
    make("p", { class: "time-ends", "aria-hidden": "true" }, make("span", {}, when(first)), make("span", {}, when(bars.at(-1).at))),
  );
}

/** A table whose cells are shaded by `share`, from 0 to 1; a null is a cell of which nothing is known. */
export function heatTable({ caption, head, rows, text, most }) {
  const line = ({ names, shares, titles, isTotal }) => make(
    "tr", isTotal ? { class: "total" } : {}, make("th", { scope: "row" }, names[0]), make("td", {}, names[1]),
    ...shares.map((share, index) => {
      const node = make("td", share === null ? { class: "unknown" } : { class: "heat", title: titles[index] }, share === null ? "" : text(share));
      if (share !== null) portion(node, index === 0 ? 0 : share / most); // the first column is all of them: no news
      return node;
    }),
  );
  const table = make(
    "table", { class: "heat-table" }, make("caption", { class: "hidden" }, caption),
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows.map(line)),
  );
  table.style.setProperty("--columns", String(head.length));
  return scrolling(caption, table);
}
