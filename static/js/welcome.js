// What stands in the page until the first event: how to send one, with the running API filled in.

import { PAUSE_MS } from "./freshness.js";
import * as ui from "./ui.js";

// Behind a proxy the API may have a path, which neither of them takes from where it comes or sends to.
const path = (url) => new URL(url).pathname.replace(/^\/$/, "");
const endpoint = (url) => path(url) && ` data-endpoint="${url}"`;
const route = (url) => path(url) && `, path: "${path(url)}/v1/batch"`;

const snippets = (url) => ({
  curl: `curl -X POST ${url}/events \\\n  -H 'Content-Type: application/json' \\\n  -d '{"event_type": "page_view",\n       "user_id": "user_123",\n       "session_id": "session_abc",\n       "properties": {"page": "/products"}}'`,
  Python: `import requests\n\nrequests.post("${url}/events", timeout=10, json={\n    "event_type": "page_view",\n    "user_id": "user_123",\n    "session_id": "session_abc",\n    "properties": {"page": "/products"},\n}).raise_for_status()`,
  "Segment SDK": `// npm install @segment/analytics-node\nimport { Analytics } from "@segment/analytics-node";\n\nconst analytics = new Analytics({ writeKey: "local", host: "${url}"${route(url)} });\nanalytics.page({ userId: "user_123", name: "Products", properties: { path: "/products" } });\nawait analytics.closeAndFlush();`,
  Browser: `<!-- in the pages of your site; it sends page views and clicks by itself -->\n<script defer src="${url}/tracker.js"${endpoint(url)}></script>`,
});
const generator = (url) => `.venv/bin/python advanced_generator.py --endpoint ${url}/events`;

let built = false;

export function drawWelcome(section, stats, url) {
  if (!built) build(section, url);
  built = true;
  const refused = stats?.accounting?.rejected ?? 0;
  const note = section.querySelector(".refused");
  ui.show(note, refused > 0);
  if (refused) {
    const reasons = Object.keys(stats.rejected_by_code ?? {}).slice(0, 3).join(", ");
    ui.say(note.firstElementChild, `${ui.exact(refused)} ${refused === 1 ? "event" : "events"} arrived and ${refused === 1 ? "was" : "were"} refused (${reasons}). `);
  }
}

function build(section, url) {
  const texts = snippets(url);
  const code = ui.make("code", {});
  const copy = ui.make("button", { type: "button", class: "button" }, "Copy");
  const tabs = ui.make("div", { class: "segmented", role: "tablist", "aria-label": "Send an event with" });
  const panel = ui.make("pre", { role: "tabpanel", tabindex: "0", id: "snippet" }, code);
  const choose = (name) => {
    ui.say(code, texts[name]);
    for (const tab of tabs.children) {
      ui.attribute(tab, "aria-selected", String(tab.textContent === name));
      tab.tabIndex = tab.textContent === name ? 0 : -1;
      if (tab.textContent === name) ui.attribute(panel, "aria-labelledby", tab.id);
    }
  };
  Object.keys(texts).forEach((name, index) => {
    const tab = ui.make("button", { type: "button", role: "tab", id: `snippet-tab-${index}`, "aria-controls": "snippet" }, name);
    tab.addEventListener("click", () => choose(name));
    tabs.append(tab);
  });
  ui.tabKeys(tabs);
  copy.addEventListener("click", () => ui.copy(code.textContent, copy));
  const start = ui.make("button", { type: "button", class: "link" }, "Copy");
  start.addEventListener("click", () => ui.copy(generator(url), start));
  section.replaceChildren(
    ui.make("h2", { id: "welcome-title" }, "No events yet"),
    ui.make("p", {}, `The platform is up and nothing has been accepted so far. Send one event; this page turns into the dashboard within ${ui.duration(PAUSE_MS)}.`),
    ui.make("p", { class: "refused", hidden: "" }, ui.make("span", {}), ui.make("button", { type: "button", class: "link", "data-open": "rejected" }, "See why")),
    ui.make("div", { class: "snippet" }, ui.make("div", { class: "snippet-head" }, tabs, copy), panel),
    ui.make("p", {}, "Or let simulated shoppers in: ", ui.make("code", {}, generator(url)), " ", start),
  );
  choose("curl");
}
