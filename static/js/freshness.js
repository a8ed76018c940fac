// Asks for the numbers and says how fresh they are. "Not answering", "answered nonsense" and "answered late" are
// different things: each says what was tried and what to do.

import * as ui from "./ui.js";

const TIMEOUT_MS = 4000;
const QUIET_MS = 60_000;

/** The newest numbers of one window, and what the last answer was; one request at a time. */
export class Source {
  stats = null;
  problem = { kind: "loading" }; // null when the last answer was good
  #etag = "";
  #freshAt = 0; // performance.now() when the API gave `stats`
  #told = null; // the problem that came with the tagged answer: 304 says that it still holds
  #request = null;

  /** Milliseconds since the API gave the numbers. */
  get age() {
    return performance.now() - this.#freshAt;
  }

  /** Numbers that came with the page. */
  take(stats) {
    this.#accept(stats, stats.dashboard.state === "live" ? 0 : Date.now() - stats.dashboard.read_at);
  }

  /** Ask for another window from now on; what is known of the last one is no answer to it. */
  forget() {
    this.stats = null;
    this.#etag = "";
  }

  /** One request; false when a newer one has taken its place meanwhile. */
  async ask(window) {
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
    return true;
  }

  #read(response, answer) {
    const age = Number(response.headers.get("X-Snapshot-Age-Ms") ?? 0);
    if (response.status === 304) {
      this.#freshAt = performance.now() - age;
      this.problem = this.#told;
    } else if (response.status === 200) {
      this.#etag = response.headers.get("ETag") ?? "";
      this.#accept(answer, age);
    } else {
      const said = answer.dashboard ? { kind: answer.dashboard.state, ...answer.dashboard.problem } : null;
      this.problem = said ?? { kind: "http", message: answer.error?.message ?? `the dashboard answered ${response.status}` };
    }
  }

  #accept(stats, age) {
    this.stats = stats;
    this.#freshAt = performance.now() - age;
    const { state, problem } = stats.dashboard;
    this.#told = this.problem = state === "live" ? null : { kind: state, ...problem };
  }
}

const GARBAGE = { kind: "garbage", message: "the dashboard answered with something that is not JSON" };

/** Name and text of the status pill. `kind` is what the last answer was, undefined when it was good. */
export function status({ kind, progress, stats, age, paused, waiting, staleAfter }) {
  const ago = ui.duration(age);
  const since = (text) => (stats ? `${text} · ${ago}` : text);
  if (kind === "loading" || (!kind && !stats)) return { name: "loading", text: "Connecting" };
  if (kind === "unreachable") return { name: "down", text: since("API down") };
  if (kind === "offline") return { name: "down", text: since("Offline") };
  if (kind === "replaying") return { name: "replaying", text: `Replaying${progress === undefined ? "" : ` ${Math.floor(progress * 100)} %`}` };
  if (kind === "timeout" || kind === "slow") return { name: "stale", text: stats ? `Stale · ${ago}` : "No answer yet" };
  if (kind) return { name: "error", text: since("Error") };
  if (paused) return { name: "paused", text: waiting > 0 ? `Paused · ${ui.count(waiting)} new` : "Paused" };
  if (age > staleAfter) return { name: "stale", text: `Stale · ${ago}` };
  const lastEvent = stats.recent_events?.[0]?.received_at;
  const quiet = lastEvent ? Date.now() - new Date(lastEvent) : 0;
  if (quiet > QUIET_MS) return { name: "quiet", text: `Live · no events for ${ui.duration(quiet)}` };
  return { name: "live", text: age < 4000 ? "Live · just now" : `Live · ${ago} ago` };
}

/** What the banner says, or null when there is nothing to say; `broken` are the parts that could not be drawn. */
export function banner({ kind, message, stats, age, broken, apiUrl }) {
  const kept = stats ? ` Showing the numbers from ${ui.clock(Date.now() - age)}.` : "";
  const said = message ? `${message.charAt(0).toUpperCase()}${message.slice(1)}.` : "";
  const late = stats ? `Last update ${ui.duration(age)} ago, trying again.` : "No answer yet, trying again.";
  switch (kind) {
    case undefined:
      if (broken.length === 0) return null;
      return { tone: "error", title: `Could not draw: ${broken.join(", ")}.`, text: "The numbers arrived; this is a fault of the page. Its console says more." };
    case "loading": return null;
    case "unreachable": return { tone: "error", title: "The API is not answering.", text: `Tried ${apiUrl}.${kept} If you stopped it, start it with ./run_demo.sh or python local_api.py.` };
    case "offline": return { tone: "error", title: "The dashboard is not answering.", text: `Tried ${location.origin}.${kept} If you stopped it, start it with ./run_demo.sh or python dashboard.py.` };
    case "slow": return { tone: "warning", title: late, text: `The dashboard did not answer within ${TIMEOUT_MS / 1000} s.` };
    case "timeout": return { tone: "warning", title: late, text: said };
    case "replaying": return { tone: "info", title: "The API is reading its journal.", text: `It has just started; the numbers come when it has finished.${kept}` };
    default: return { tone: "error", title: "The API gave an answer that cannot be used.", text: `${said}${kept}` };
  }
}
