/* The page /docs: reads /openapi.json, shows every route and lets one try it. Text only ever enters the page as text. */

const SHOWN_CHARACTERS = 200_000;
const BASE = location.origin + location.pathname.replace(/\/docs$/, ""); // a proxy may give the API a path
const spec = await readDescription();
const token = document.getElementById("token");
document.getElementById("token-row").addEventListener("submit", (event) => event.preventDefault());

if (spec) {
  document.getElementById("about").textContent = spec.info.description;
  const operations = allOperations();
  for (const tag of spec.tags) {
    const own = operations.filter((operation) => operation.tags.includes(tag.name));
    document
      .getElementById("operations")
      .append(el("section", {}, el("h2", {}, tag.name), el("p", {}, tag.description), ...own.map(showOperation)));
  }
  if (!location.hash) document.querySelector(".operation").open = true;
  openLinked();
  addEventListener("hashchange", openLinked);
  askWhetherTokenIsNeeded();
}

async function readDescription() {
  try {
    const answer = await fetch(`${BASE}/openapi.json`);
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    return await answer.json();
  } catch (problem) {
    const about = document.getElementById("about");
    about.className = "problem";
    about.textContent = `The description /openapi.json cannot be read: ${problem.message}. Is the API running?`;
    return null;
  }
}

async function askWhetherTokenIsNeeded() {
  const answer = await fetch(`${BASE}/stats?window=15m`, { method: "HEAD" }).catch(() => null);
  document.getElementById("token-row").hidden = answer?.status !== 401;
}

/* -- the description ------------------------------------------------------------------------------------------ */

function resolved(node) {
  while (node?.$ref) node = node.$ref.slice(2).split("/").reduce((target, part) => target[part], spec);
  return node;
}

/** One entry a method; paths that share one description are one entry with several paths. */
function allOperations() {
  const entries = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of ["post", "get", "delete", "options"]) {
      const operation = resolved(item)[method];
      if (!operation) continue;
      const key = `${method} ${item.$ref ?? path}`;
      if (!entries.has(key)) {
        const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved);
        entries.set(key, { ...operation, method: method.toUpperCase(), paths: [], parameters });
      }
      entries.get(key).paths.push(path);
    }
  }
  return [...entries.values()];
}

/** Keys of an answer as [name, type, meaning]. */
function keysOf(schema, prefix = "") {
  schema = resolved(schema);
  const parts = [schema, ...(schema.oneOf ?? []), ...(schema.allOf ?? [])].map(resolved);
  const rows = [];
  for (const part of parts) {
    for (const [name, node] of Object.entries(part.properties ?? {})) {
      const inner = resolved(node);
      const full = prefix + name;
      const said = inner.description ?? node.description ?? "";
      const below = resolved(inner.items ?? inner);
      if ((said || !below.properties) && !rows.some((row) => row[0] === full)) rows.push([full, typeOf(inner), said]);
      if (below !== spec.components.schemas.StoredEvent) rows.push(...keysOf(below, inner.items ? `${full}[].` : `${full}.`));
    }
  }
  return rows;
}

function typeOf(schema) {
  if (schema.enum) return schema.enum.length > 6 ? "text" : schema.enum.join(" | ");
  if ("const" in schema) return String(schema.const);
  if (schema.oneOf) return schema.oneOf.map((one) => typeOf(resolved(one))).join(" | ");
  return [schema.type ?? "any"].flat().join(" | ");
}

/* -- one operation -------------------------------------------------------------------------------------------- */

function showOperation(operation) {
  const [path, ...others] = operation.paths;
  const name = others.length ? `${path} and ${others.length} more` : path;
  const details = el(
    "details",
    { className: "operation", id: `${operation.method}${path}`.replace(/[^\w]+/g, "-") },
    el(
      "summary",
      {},
      el("span", { className: `method ${operation.method.toLowerCase()}` }, operation.method),
      el("span", { className: "path" }, name),
      el("span", { className: "what" }, operation.summary),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(inside(operation, details.id));
  });
  return details;
}

function openLinked() {
  document.getElementById(location.hash.slice(1))?.setAttribute("open", "");
}

function inside(operation, id) {
  return el("div", { className: "inside" }, el("p", {}, operation.description), ...tryIt(operation, id), ...answers(operation));
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, reference]) => {
    const response = resolved(reference);
    const contents = Object.entries(response.content ?? {});
    const rows = contents.flatMap(([type, content]) => (type.includes("json") ? keysOf(content.schema) : []));
    const examples = contents.flatMap(([type, content]) => examplesOf(content).map(([, value]) => [type, value]));
    return el(
      "details",
      { className: "more" },
      el("summary", {}, el("b", {}, status), ` ${response.description}`),
      rows.length ? table("What each key means", ["Key", "Type", "Meaning"], rows) : "",
      ...examples.flatMap(([type, value]) => [el("p", { className: "hint" }, type), el("pre", { tabIndex: 0 }, asText(value))]),
    );
  });
}

function examplesOf(content) {
  const named = Object.entries(content.examples ?? {}).map(([name, one]) => [one.summary ?? name, one.value]);
  return "example" in content ? [...named, ["Example", content.example]] : named;
}

/* -- trying it ------------------------------------------------------------------------------------------------ */

function tryIt(operation, id) {
  const path = select(`${id}-path`, operation.paths);
  const inputs = operation.parameters.map((parameter) => [parameter, input(parameter, `${id}-${parameter.name}`)]);
  const body = operation.requestBody ? bodyEditor(operation.requestBody, id) : null;
  const command = el("pre", { tabIndex: 0 });
  const result = el("div", { className: "result" });
  const note = el("span", { className: "hint", role: "status" });
  const button = el("button", { className: "send", type: "button" }, "Send");
  const request = () => ({ method: operation.method, url: address(path.value, inputs), body, secured: !!operation.security });
  const refresh = () => (command.textContent = curl(request()));

  button.addEventListener("click", () => send(request(), button, note, result));
  const rows = [operation.paths.length > 1 ? [el("label", { htmlFor: path.id }, "path"), path] : [], ...inputs.map(([parameter, one]) => row(parameter, one))];
  const form = el(
    "div",
    {},
    rows.flat().length ? el("div", { className: "fields" }, ...rows.flat()) : "",
    ...(body ? [el("h3", {}, "Body"), ...body.parts] : []),
    el("div", { className: "actions" }, button, note),
    result,
    el("h3", {}, "The same with curl"),
    el("div", { className: "command" }, command, copyButton(() => command.textContent)),
  );
  form.addEventListener("input", refresh);
  token.addEventListener("input", refresh);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) button.click();
  });
  refresh();
  return [form, el("h3", {}, "Answers")];
}

function row(parameter, one) {
  const hint = el("span", { className: "hint", id: `${one.id}-hint` }, parameter.description ?? "");
  one.setAttribute("aria-describedby", hint.id);
  return [el("label", { htmlFor: one.id }, parameter.name), el("div", {}, one, hint)];
}

function input(parameter, id) {
  const schema = resolved(parameter.schema);
  if (schema.enum) return select(id, parameter.required ? schema.enum : ["", ...schema.enum]);
  const placeholder = schema.type === "object" ? pair(parameter) : String(schema.default ?? parameter.example ?? "");
  return el("input", { id, placeholder, spellcheck: false, autocomplete: "off", value: parameter.in === "path" ? placeholder : "" });
}

/** The example of a parameter that has a name behind a dot, as it is typed here: page=/products. */
function pair({ name, example = {} }) {
  const [[whole, value] = ["", ""]] = Object.entries(example);
  return whole ? `${whole.slice(name.length + 1)}=${value}` : "";
}

function address(path, inputs) {
  const query = new URLSearchParams();
  for (const [parameter, one] of inputs) {
    const value = one.value.trim();
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.schema.type === "object") {
      const at = value.includes("=") ? value.indexOf("=") : value.length;
      query.append(`${parameter.name}.${value.slice(0, at)}`, value.slice(at + 1));
    } else if (value) query.append(parameter.name, value);
  }
  return BASE + path + (query.size ? `?${query}` : "");
}

function bodyEditor(requestBody, id) {
  const choices = Object.entries(requestBody.content).flatMap(([type, content]) =>
    (examplesOf(content).length ? examplesOf(content) : [["Empty", {}]]).map(([name, value]) => ({ type, name, value })),
  );
  const text = el("textarea", { id: `${id}-body`, spellcheck: false, ariaLabel: "Body", value: asText(choices[0].value) });
  const choice = select(`${id}-example`, choices.map((one) => `${one.name} (${one.type})`));
  choice.ariaLabel = "Example";
  choice.addEventListener("change", () => (text.value = asText(choices[choice.selectedIndex].value)));
  return {
    parts: [el("div", { className: "body-choices" }, choice), text],
    get text() { return text.value; },
    get type() { return choices[choice.selectedIndex].type; },
  };
}

function curl({ method, url, body, secured }) {
  const words = ["curl", quoted(url)];
  if (method !== "GET" && !body) words.splice(1, 0, `-X ${method}`);
  if (secured && token.value) words.push('-H "Authorization: Bearer $READ_TOKEN"');
  if (body) words.push(`-H ${quoted(`Content-Type: ${body.type}`)}`, `--data-binary ${quoted(body.text)}`);
  return words.join(" \\\n  ").replace(" \\\n  ", " ");
}
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

async function send({ method, url, body, secured }, button, note, result) {
  const headers = body ? { "Content-Type": body.type } : {};
  if (secured && token.value) headers.Authorization = `Bearer ${token.value}`;
  button.disabled = true;
  note.textContent = "Waiting for the answer …";
  const begin = performance.now();
  try {
    const answer = await fetch(url, { method, headers, body: body?.text });
    const text = await beginning(answer);
    const ms = Math.round(performance.now() - begin);
    const bad = answer.status >= 500 ? "wait" : answer.status >= 400 ? "bad" : "";
    note.textContent = `Answered ${answer.status} after ${ms} ms`;
    result.replaceChildren(
      el("p", { className: `status ${bad}` }, `${answer.status} ${answer.statusText}`),
      el("details", { className: "more" }, el("summary", {}, "Headers"), table("", ["Name", "Value"], [...answer.headers])),
      text ? el("pre", { tabIndex: 0 }, text) : el("p", { className: "hint" }, "No body."),
    );
  } catch (problem) {
    note.textContent = `No answer: ${problem.message}. Is the API running?`;
    result.replaceChildren();
  }
  button.disabled = false;
}

/** The first part of a body, however long it is; JSON is indented. */
async function beginning(answer) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader.read()) {
    text += part.value;
    if (text.length > SHOWN_CHARACTERS) {
      await reader.cancel();
      return `${text.slice(0, SHOWN_CHARACTERS)}\n… more than is shown here; use curl`;
    }
  }
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/* -- small parts ---------------------------------------------------------------------------------------------- */

function el(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== ""));
  return element;
}

function select(id, values) {
  return el("select", { id }, ...values.map((value) => el("option", { value }, value || "(not sent)")));
}

function table(caption, heads, rows) {
  const name = (text) => el("th", { scope: "row" }, ...text.split(/(?=[._-])/).flatMap((part) => [el("wbr", {}), part]));
  const body = rows.map(([first, ...cells]) => el("tr", {}, name(first), ...cells.map((cell) => el("td", {}, cell))));
  const head = el("tr", {}, ...heads.map((one) => el("th", { scope: "col" }, one)));
  const parts = [caption ? el("caption", {}, caption) : "", el("thead", {}, head), el("tbody", {}, ...body)];
  return el("div", { className: "scroll", tabIndex: 0 }, el("table", {}, ...parts));
}

function copyButton(text) {
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const done = await navigator.clipboard.writeText(text()).then(() => true, () => false);
    button.textContent = done ? "Copied" : "Select and copy";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return button;
}

function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
