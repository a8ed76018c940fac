// The page of questions: what is asked lives in the URL, one question is under way at a time, and its answer is drawn.

import { drawn } from "./answers.js";
import { ask, NoAnswer } from "./asking.js";
import { comparison, isCompared } from "./before.js";
import { chooser } from "./dimensions.js";
import { commands, csv, download } from "./elsewhere.js";
import * as spans from "./span.js";
import * as ui from "./ui.js";
import { address, BREAKDOWN, FUNNEL, HAVE_BY, readView, rest, whoseDays } from "./view.js";
import * as visits from "./visits.js";

const { byId, say } = ui;
const STILL_ASKING_MS = 1500;
const TYPING_MS = 700; // a date is typed part by part, and each part is one

// ---- what is asked

let view = readView();
let questions = [...byId("questions").querySelectorAll("a")].map((link) => ({ name: link.dataset.ask, description: link.lastElementChild.textContent }));
let isListed = false; // by the API: until then they are those that the dashboard knows

const chosen = () => view.ask || questions[0].name;

function go(changes) {
  view = { ...view, ...changes };
  if (address(view) !== location.pathname + location.search) history.pushState(null, "", address(view));
  start();
}

// ---- asking: a newer question takes the place of the one under way

let request = null;
let timer = 0;
let shown = null; // the answer on the page, and what it answers

async function start() {
  request?.abort();
  clearTimeout(timer);
  const mine = (request = new AbortController());
  const wrong = spans.problem(view.span);
  drawControls(wrong);
  setBusy(true);
  try {
    if (!isListed) ({ questions } = await ask("/api/questions", mine.signal));
    isListed = true;
    if (request !== mine) return;
    drawControls(wrong);
    const name = chosen();
    if (!questions.some((question) => question.name === name)) throw new NoAnswer("warning", "There is no such question.", "Choose one of the list.");
    if (wrong) {
      drawNothing();
      return;
    }
    const bounds = { ...spans.bounds(view.span), ...whoseDays(name) };
    const others = rest(name, view);
    for (const [id, command] of Object.entries(commands(name, bounds, others))) say(byId(id), command);
    const answer = await ask(`/api/questions/${encodeURIComponent(name)}?${new URLSearchParams([...Object.entries(bounds), ...others])}`, mine.signal);
    if (request !== mine) return;
    drawAnswer(answer);
    await compareWithBefore(answer, others, mine);
    const doubt = await doubtOf(answer);
    if (doubt && request === mine) byId("answer").append(ui.make("p", { class: "note", id: "doubt" }, doubt));
  } catch (error) {
    if (request === mine) drawProblem(error);
  }
}

/** Say below the sentence how the answer compares with that of the span before; nothing where there is none, or no answer. */
async function compareWithBefore(answer, others, mine) {
  const line = document.getElementById("before");
  if (!line) return;
  const { bounds, words } = spans.before(view.span);
  const found = await ask(`/api/questions/${answer.name}?${new URLSearchParams([...Object.entries(bounds), ...others])}`, mine.signal, "before").catch(() => null);
  if (found && request === mine) say(line, comparison(answer, found, words));
}

/** What is to be said about steps that nobody took: of a type that never came, and one that looks like it; else nothing. */
async function doubtOf({ name, rows }) {
  const untaken = new Set(name === FUNNEL ? rows.filter(({ sessions, step }) => sessions === 0 && !step.startsWith("/")).map(({ step }) => step) : []);
  if (untaken.size === 0) return "";
  const { types, areAll } = await visits.typesUntilNow().catch(() => ({ areAll: false }));
  if (!areAll) return "";
  const bare = (type) => type.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  return [...untaken].filter((step) => !types.includes(step)).map((step) => {
    const near = types.find((type) => bare(type) === bare(step));
    return `No event of the type ${ui.inline(step)} has ever come${near ? `: did you mean ${ui.inline(near)}?` : "."}`;
  }).join(" ");
}

/** Ask again, but not for a page that nobody sees. */
function again() {
  if (!document.hidden) start();
  else document.addEventListener("visibilitychange", again, { once: true });
}

// ---- drawing

let asking = 0;

function setBusy(on) {
  clearInterval(asking);
  ui.attribute(byId("answer"), "aria-busy", String(on));
  say(byId("progress"), on ? "Asking …" : "");
  if (!on) {
    ui.attribute(document.body, "data-view", "answered");
    return;
  }
  const since = performance.now();
  asking = setInterval(() => {
    const ms = performance.now() - since;
    if (ms < STILL_ASKING_MS) return;
    say(byId("progress"), `Asking … ${ui.duration(ms)}`);
    say(byId("spoken"), "Still asking.");
  }, 500);
}

function drawControls(wrong) {
  const name = chosen();
  const question = questions.find((one) => one.name === name);
  ui.each(byId("questions"), questions, () => ui.make("li", {}, ui.make("a", {}, ui.make("strong"), ui.make("span"))), ({ firstElementChild: link }, { name: to, description }) => {
    ui.attribute(link, "href", address({ ...view, ask: to }));
    ui.attribute(link, "data-ask", to);
    if (to === name) ui.attribute(link, "aria-current", "page");
    else link.removeAttribute("aria-current");
    say(link.firstElementChild, ui.typeName(to));
    say(link.lastElementChild, description);
  });
  say(byId("title-answer"), ui.typeName(name));
  say(byId("meaning"), [question?.description, wrong ? "" : spans.words(view.span), visits.words(view.visit)].filter(Boolean).join(", "));
  document.title = `${ui.typeName(name)} · Clickstream`;
  for (const input of byId("span").elements) if (input.name === "span") input.checked = input.value === view.span.name;
  const days = spans.days(view.span);
  for (const bound of ["since", "until"]) {
    if (byId(bound).value !== days[bound] && document.activeElement !== byId(bound)) byId(bound).value = days[bound];
    ui.attribute(byId(bound), "aria-invalid", String(wrong !== "" && !view.span.name));
  }
  visits.draw(view.visit);
  ui.show(byId("steps"), name === FUNNEL);
  if (document.activeElement !== byId("steps-text")) writeSteps();
  ui.show(byId("by"), HAVE_BY.has(name));
  say(byId("by-name").options[0], HAVE_BY.get(name) ?? "");
  if (!byId("by").contains(document.activeElement)) writeBy();
  ui.show(byId("of").closest("label"), name === BREAKDOWN);
  say(byId("span-problem"), wrong);
  ui.show(byId("span-problem"), wrong !== "");
  if (wrong) say(byId("spoken"), wrong);
}

const writeSteps = () => { byId("steps-text").value = view.steps.replaceAll(",", ", "); };

function writeBy() {
  byChoice.write(view.by);
  byId("of").value = view.of;
}

function drawAnswer(answer) {
  const { nothing, nodes } = drawn(answer, { isChosen: view.visit.size > 0, by: HAVE_BY.has(answer.name) ? view.by : "", of: answer.name === BREAKDOWN ? view.of : "" });
  shown = { answer, address: address(view) };
  byId("answer").replaceChildren(...(nodes ?? [emptiness(nothing)]));
  if (!nothing && isCompared(answer) && spans.before(view.span)) byId("answer").querySelector(".sentence").after(ui.make("p", { class: "note", id: "before" }, "\u00a0"));
  setBusy(false);
  ui.attribute(byId("answer"), "data-old", "false");
  ui.show(byId("problem"), false);
  ui.show(byId("panel-elsewhere"), true);
  const rows = `${ui.exact(answer.rows.length)} ${answer.rows.length === 1 ? "row" : "rows"}`;
  const took = `answered in ${answer.elapsed_ms < 1000 ? `${ui.exact(Math.max(1, Math.round(answer.elapsed_ms)))} ms` : `${ui.decimal(answer.elapsed_ms / 1000)} s`}`;
  const cut = answer.truncated ? "; there were more: a shorter span shows them all" : "";
  say(byId("facts"), `${rows}, ${took}${cut}`);
  say(byId("spoken"), nothing ? `${nothing}.` : `${byId("title-answer").textContent}: ${rows}.`);
  byId("download").disabled = answer.rows.length === 0;
}

function emptiness(nothing) {
  if (view.visit.size > 0) {
    return ui.make("div", { class: "empty" }, ui.make("p", {}, ui.make("strong", {}, `Among the chosen visits, ${nothing.charAt(0).toLowerCase()}${nothing.slice(1)}.`)), ui.make("button", { type: "button", class: "button", id: "ask-all-visits" }, "Ask about all visits"));
  }
  const everything = view.span.name === "all";
  const remedy = everything ? ui.make("a", { href: "/" }, "See on the dashboard what arrives") : ui.make("button", { type: "button", class: "button", id: "ask-all" }, "Ask for all time");
  return ui.make("div", { class: "empty" }, ui.make("p", {}, ui.make("strong", {}, `${nothing}.`), ` ${everything ? "Nothing of the kind has been kept yet." : "Choose other days, or"}`), remedy);
}

/** Nothing can be asked: what is on the page, if anything, answers something else. */
function drawNothing() {
  setBusy(false);
  ui.attribute(byId("answer"), "data-old", "true");
  ui.show(byId("problem"), false);
  ui.show(byId("panel-elsewhere"), false);
  say(byId("facts"), "");
  byId("download").disabled = true;
}

function drawProblem(error) {
  const known = error instanceof NoAnswer ? error : new NoAnswer("error", "This answer could not be drawn.", "It arrived; this is a fault of the page. Its console says more.");
  if (known !== error) console.error(error);
  setBusy(false);
  if (shown?.address !== address(view)) {
    byId("answer").replaceChildren(); // what is left of another question would be taken for the answer of this one
    shown = null;
    byId("download").disabled = true;
    ui.show(byId("panel-elsewhere"), false);
  }
  ui.attribute(byId("answer"), "data-old", String(shown !== null));
  ui.attribute(byId("problem"), "data-tone", known.tone);
  if (byId("problem").hidden || byId("problem-title").textContent !== known.title) say(byId("spoken"), `${known.title} ${known.text}`);
  say(byId("problem-title"), known.title);
  say(byId("problem-text"), known.text);
  say(byId("facts"), known.againMs ? "Asking again by itself." : "No answer.");
  ui.show(byId("problem"), true);
  if (known.againMs) timer = setTimeout(again, known.againMs);
}

// ---- what the reader does

function takeDays() {
  clearTimeout(typing);
  const [since, until] = ["since", "until"].map((bound) => byId(bound).value);
  const before = spans.days(view.span);
  if (since === before.since && until === before.until) return;
  go({ span: since || until ? { name: "", since, until } : spans.preset("all") });
}

const byChoice = chooser(byId("by-name"), byId("by-own"));
const visitChoice = chooser(byId("visit-name"), byId("visit-own"));

const choose = (parameter, text) => go({ visit: new Map([...view.visit, [parameter, text]]) });

/** Ask by both forms, whichever of them was sent: what was changed in the other one is meant too. */
function takeOptions() {
  const steps = byId("steps-text").value.split(",").map((step) => step.trim()).join(",");
  go({ steps, ...(byId("by").checkValidity() ? { by: byChoice.read(), of: byId("of").value.trim() } : {}) });
}

let typing = 0;

function listen() {
  byId("questions").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go({ ask: link.dataset.ask });
  });
  byId("span").addEventListener("keydown", (event) => event.key === "Enter" && takeDays());
  byId("span").addEventListener("change", ({ target }) => {
    clearTimeout(typing);
    if (target.name === "span") go({ span: spans.preset(target.value) });
    else typing = setTimeout(takeDays, TYPING_MS);
  });
  byId("problem-action").addEventListener("click", start);
  byId("answer").addEventListener("click", ({ target }) => {
    const button = target.closest("button") ?? target;
    // The button goes with the answer before: the focus moves to what it has changed.
    if (button.id === "ask-all") {
      go({ span: spans.preset("all") });
      byId("span").querySelector(":checked").focus();
    }
    if (button.id === "ask-all-visits") {
      go({ visit: new Map() });
      byId("visit-name").focus();
    }
    if (button.dataset.visit) {
      choose(visits.WITH + button.dataset.visit, button.textContent);
      byId("chosen").querySelector(`[data-drops="${CSS.escape(visits.WITH + button.dataset.visit)}"]`).focus();
    }
  });
  byId("visits").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("visit-text").value) choose(byId("visit-how").value + visitChoice.read(), byId("visit-text").value);
    byId("visit-text").value = "";
  });
  byId("visits").addEventListener("click", ({ target }) => {
    const chip = target.closest("[data-drops]");
    if (!chip) return;
    go({ visit: new Map([...view.visit].filter(([name]) => name !== chip.dataset.drops)) });
    byId("visit-name").focus(); // the chip has gone; in the text a telephone would open its keyboard
  });
  byId("steps").addEventListener("submit", (event) => {
    event.preventDefault();
    takeOptions();
  });
  byId("by").addEventListener("submit", (event) => {
    event.preventDefault();
    takeOptions();
  });
  byId("of").addEventListener("focus", async () => byId("types").replaceChildren(...(await visits.knownTypes().catch(() => [])).map((value) => ui.make("option", { value }))));
  const suggest = () => spans.problem(view.span) || visits.suggest(visitChoice.read(), spans.bounds(view.span));
  byId("visit-text").addEventListener("focus", suggest);
  byId("visit-name").addEventListener("change", suggest);
  byId("download").addEventListener("click", () => download(csv(shown.answer), `clickstream-${shown.answer.name}.csv`));
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copies]");
    if (button) ui.copy(byId(button.dataset.copies).textContent, button.firstElementChild);
  });
  addEventListener("popstate", () => {
    view = readView();
    writeSteps(); // also where the focus is: what stands there was asked at the address before
    writeBy();
    start();
  });
  ui.offerThemes(byId("theme"), () => {});
}

say(byId("zone"), ui.zone);
listen();
history.replaceState(null, "", address(view));
start();
