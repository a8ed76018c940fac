// What events say, by name: of those that every platform has, and of properties of one's own.

import { ask } from "./asking.js";
import { show, typeName } from "./ui.js";

const MOST_NAMES = 200;

export const OWN = "property."; // what stands before the name of a property of one's own, for the API too

/** What people call `name`; a property of theirs is called as they called it. */
export const label = (name) => (name.startsWith(OWN) ? name.slice(OWN.length) : typeName(name).replace(/^Utm/, "UTM").replace(/^Os$/, "Operating system"));

/** The same within a sentence. */
export const inSentence = (name) => (name.startsWith(OWN) ? label(name) : label(name).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()));

/** A choice of names in `select`, with a text `field` in which a property of one's own is named. */
export function chooser(select, field) {
  const fit = () => {
    const isOwn = select.value === OWN;
    if (!isOwn && document.activeElement === field) select.focus(); // what is hidden loses the focus to nothing
    show(field.closest("label"), isOwn);
    field.required = isOwn;
  };
  select.addEventListener("change", fit);
  field.addEventListener("focus", suggestNames);
  fit();
  return {
    read: () => (select.value === OWN ? OWN + named(field) : select.value),
    write(name) {
      const isOwn = name.startsWith(OWN);
      select.value = isOwn ? OWN : name;
      field.value = isOwn ? name.slice(OWN.length) : "";
      fit();
    },
  };
}

/** The name in `field`; blanks around it are typed by mistake, unless events have it so. */
const named = ({ value, list }) => ([...list.options].some((option) => option.value === value) ? value : value.trim());

/** Offer the properties that most of the newest events have; nothing where the API does not answer. */
async function suggestNames({ target: { list } }) {
  const { events } = await ask("/api/events?limit=200", AbortSignal.timeout(20_000), "names").catch(() => ({ events: [] }));
  const having = new Map();
  for (const { properties } of events) for (const name of Object.keys(properties ?? {})) having.set(name, (having.get(name) ?? 0) + 1);
  const most = [...having].sort(([, a], [, b]) => b - a).slice(0, MOST_NAMES);
  list.replaceChildren(...most.map(([name]) => name).sort().map((value) => Object.assign(document.createElement("option"), { value })));
}
