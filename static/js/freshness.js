// Asks for the numbers and says how fresh they are. "Not answering", "answered nonsense" and "answered late" are
// different things: each says what was tried and what to do. Ages come from the server and are counted on from there:
// the clock of this browser may be minutes off.

import * as ui from "./ui.js";

const { byId, say } = ui;
export const PAUSE_MS = Number(document.body.dataset.pollIntervalS) * 1000;
const BACK_OFF_MS = [2000, 4000, 8000, 15_000]; // only while the dashboard itself does not answer
const TIMEOUT_MS = 4000;
const STALE_MS = PAUSE_MS * 3 + 4000;
const QUIET_MS = 60_000;
const SPEAK_EVERY_MS = 10_000;

/** The newest numbers of one window, and what the last answer was; one request at a time, again after a pause. */
export class Source {
  stats = null;
  problem = { kind: "loading" }; // null when the last answer was good
  #window;
  #arrived;
  #etag = "";
  #freshAt = 0; // performance.now() when the API last gave these numbers
  #gotAt = 0; // likewise, for the first time: what `generated_at` of `stats` means
  #quietAt = NaN; // likewise, when the newest event arrived
  #told = null; // the problem that came with the tagged answer: 304 says that it still holds
  #request = null;
  #failures = 0;
  #failedAt = null; // performance.now() of the first answer in a row that was of no use
  #timer = 0;

  /** `window` tells the name of the window to ask for, `arrived` is called after each answer. */
  constructor(window, arrived) {
    this.#window = window;
    this.#arrived = arrived;
  }

  /** Milliseconds since the API gave the numbers. */
  get age() {
    return performance.now() - this.#freshAt;
  }

  /** Milliseconds for which nothing good has come: as the dashboard knows it, which looks at all windows, else as seen here. */
  get failing() {
    const since = this.problem?.since ?? this.#failedAt;
    return since === null ? null : performance.now() - since;
  }

  /** Milliseconds since the newest event arrived, NaN when that is not known. */
  get quiet() {
    return performance.now() - this.#quietAt;
  }

  /** When the API gave the numbers, by its own clock, like all other times on the page. */
  get givenAt() {
    return Date.parse(this.stats.generated_at) + this.#freshAt - this.#gotAt;
  }

  /** Numbers that came with the page: the next ones are asked for after the pause. */
  take(stats) {
    const { snapshot, failing } = stats.ages_ms;
    this.#accept(stats, snapshot, failing);
    this.#failedAt = this.problem && performance.now();
    this.#arrived();
    this.#pollIn(PAUSE_MS);
  }

  /** Ask now, and again and again until `stop`. */
  async poll() {
    clearTimeout(this.#timer);
    if (!(await this.#ask(this.#window()))) return;
    this.#failures = ["offline", "slow"].includes(this.problem?.kind) ? this.#failures + 1 : 0;
    this.#arrived();
    this.#pollIn(this.#failures ? BACK_OFF_MS[Math.min(this.#failures, BACK_OFF_MS.length) - 1] : PAUSE_MS);
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #pollIn(pause) {
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => this.poll(), pause);
  }

  /** Ask for another window from now on; what is known of the last one is no answer to it. */
  forget() {
    this.stats = null;
    this.#etag = "";
  }

  /** One request; false when a newer one has taken its place meanwhile. */
  async #ask(window) {
    this.#request?.abort();
    const mine = (this.#request = new AbortController());
    const timeout = setTimeout(() => mine.abort("timeout"), TIMEOUT_MS);
    let found;
    try {
      const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
      const response = await fetch(`/api/stats?window=${window}`, { signal: mine.signal, cache: "no-store", headers });
      found = { response, answer: response.status === 304 ? null : await response.json() };
    } catch (error) {
      found = { failure: error instanceof SyntaxError ? GARBAGE : { kind: mine.signal.reason === "timeout" ? "slow" : "offline" } };
    }
    clearTimeout(timeout);
    if (this.#request !== mine) return false;
    this.#request = null;
    if (found.failure) this.problem = found.failure;
    else this.#read(found.response, found.answer);
    this.#failedAt = this.problem && (this.#failedAt ?? performance.now());
    return true;
  }

  #read(response, answer) {
    const age = Number(response.headers.get("X-Snapshot-Age-Ms") ?? 0);
    const failing = response.headers.get("X-Failing-Ms") ?? undefined;
    if (response.status === 304) {
      this.#freshAt = performance.now() - age;
      this.problem = this.#told;
    } else if (response.status === 200) {
      this.#etag = response.headers.get("ETag") ?? "";
      this.#accept(answer, age, failing);
    } else {
      const said = answer.dashboard ? told(answer.dashboard, failing) : null;
      this.problem = said ?? { kind: "http", message: answer.error?.message ?? `the dashboard answered ${response.status}` };
    }
  }

  #accept(stats, age, failing) {
    this.stats = stats;
    this.#freshAt = this.#gotAt = performance.now() - age;
    this.#quietAt = this.#gotAt - (Date.parse(stats.generated_at) - Date.parse(stats.recent_events?.[0]?.received_at));
    this.#told = this.problem = stats.dashboard.state === "live" ? null : told(stats.dashboard, failing);
  }
}

const told = ({ state, problem }, failing) => ({ kind: state, ...problem, since: failing === undefined ? undefined : performance.now() - failing });
const GARBAGE = { kind: "garbage", message: "the dashboard answered with something that is not JSON" };

// ---- in words

/** Name and text of the status pill. `kind` is what the last answer was, undefined when it was good. */
function status({ kind, progress, stats, age, failing, quiet, paused, waiting }) {
  const ago = ui.duration(age);
  const since = (text) => (failing === null ? text : `${text} · ${ui.duration(failing)}`);
  if (kind === "loading" || (!kind && !stats)) return { name: "loading", text: "Connecting" };
  if (kind === "unreachable") return { name: "down", text: since("API down") };
  if (kind === "offline") return { name: "down", text: since("Offline") };
  if (kind === "replaying") return { name: "replaying", text: `Replaying${progress === undefined ? "" : ` ${Math.floor(progress * 100)} %`}` };
  if (kind === "timeout" || kind === "slow") return { name: "stale", text: stats ? `Stale · ${ago}` : "No answer yet" };
  if (kind) return { name: "error", text: since("Error") };
  if (paused) return { name: "paused", text: waiting > 0 ? `Paused · ${ui.count(waiting)} new` : "Paused" };
  if (age > STALE_MS) return { name: "stale", text: `Stale · ${ago}` };
  if (quiet > QUIET_MS) return { name: "quiet", text: `Live · no events for ${ui.duration(quiet)}` };
  return { name: "live", text: age < 4000 ? "Live · just now" : `Live · ${ago} ago` };
}

/** What the banner says, or null when there is nothing to say; `broken` are the parts that could not be drawn. */
function banner({ kind, message, stats, age, givenAt, broken }) {
  const kept = stats ? ` Showing the numbers from ${ui.moment(givenAt)}.` : "";
  const said = message ? ui.sentence(message) : "";
  const late = stats ? `Last update ${ui.duration(age)} ago, trying again.` : "No answer yet, trying again.";
  switch (kind) {
    case undefined:
      if (broken.length === 0) return null;
      return { tone: "error", title: `Could not draw: ${broken.join(", ")}.`, text: "The numbers arrived; this is a fault of the page. Its console says more." };
    case "loading": return null;
    case "unreachable": return { tone: "error", title: "The API is not answering.", text: `Tried ${document.body.dataset.apiUrl}.${kept} ${ui.howToStart("local_api.py")}` };
    case "offline": return { tone: "error", title: "The dashboard is not answering.", text: `Tried ${location.origin}.${kept} ${ui.howToStart("dashboard.py")}` };
    case "slow": return { tone: "warning", title: late, text: `The dashboard did not answer within ${TIMEOUT_MS / 1000} s.` };
    case "timeout": return { tone: "warning", title: late, text: said };
    case "replaying": return { tone: "info", title: "The API is reading its journal.", text: `It has just started; the numbers come when it has finished.${kept}` };
    default: return { tone: "error", title: "The API gave an answer that cannot be used.", text: `${said}${kept}` };
  }
}

// ---- on the page

let spokenAt = -SPEAK_EVERY_MS;
let announced = "";

/** Say `text` to who listens instead of looking: once a state, not once a retry; a state of a moment not at all. */
function speak(state, text) {
  const now = performance.now();
  if (state === announced || (announced && now - spokenAt < SPEAK_EVERY_MS)) return;
  if (announced || state !== "live") {
    say(byId("spoken"), text);
    spokenAt = now;
  }
  announced = state;
}

/** Write pill and banner; to be called when something has arrived, and each second, because ages grow. */
export function drawState({ source, drawn, paused, broken }) {
  const { stats, problem, age, failing, quiet } = source;
  const waiting = stats && drawn && stats.window?.name === drawn.window?.name ? stats.total_events - drawn.total_events : 0;
  const known = { ...problem, stats, age, failing, quiet, givenAt: stats && source.givenAt, paused, waiting, broken };
  const state = status(known);
  ui.attribute(byId("status"), "data-state", state.name);
  say(byId("status-text"), state.text);
  ui.attribute(document.body, "data-fresh", String(!problem || problem.kind === "loading"));
  const told = banner(known);
  ui.show(byId("banner"), told !== null);
  ui.attribute(document.body, "data-banner", String(told !== null));
  if (told) {
    ui.attribute(byId("banner"), "data-tone", told.tone);
    say(byId("banner-title"), told.title);
    say(byId("banner-text"), told.text);
  }
  speak(told ? problem?.kind ?? "broken" : "live", told ? `${told.title} ${told.text}` : "Live again.");
}
