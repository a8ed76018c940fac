// Asks the API by way of the dashboard. What goes wrong has a name: each says what was tried and what to do.

import { howToStart, sentence } from "./ui.js";

const AGAIN_MS = 3000;
const PAGE = Math.random().toString(36).slice(2); // by which the dashboard knows what this page no longer waits for
const PATIENCE_MS = 70_000; // the dashboard gives up after 60 s, and says so

/** Why there is no answer: `tone`, `title` and `text` to be shown, and `againMs` where it is asked again by itself. */
export class NoAnswer extends Error {
  constructor(tone, title, text, againMs) {
    super(title);
    Object.assign(this, { tone, title, text, againMs });
  }
}

/** The JSON at `path`; throws NoAnswer, or what `signal` was aborted with. What is asked `beside` the answer ends only what was asked so. */
export async function ask(path, signal, beside = "") {
  let response;
  let answer;
  try {
    response = await fetch(path, { cache: "no-store", headers: { "X-Page": PAGE + beside }, signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) });
    answer = await response.json();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof SyntaxError) throw unusable("The dashboard answered with something that is not JSON.");
    throw new NoAnswer("error", "The dashboard is not answering.", `Tried ${location.origin}. ${howToStart("dashboard.py")}`, AGAIN_MS);
  }
  if (!response.ok) throw refusal(response, answer.error ?? {});
  return answer;
}

const unusable = (text) => new NoAnswer("error", "The API gave an answer that cannot be used.", text);

function refusal({ status, headers }, { code, message = `The dashboard answered ${status}.` }) {
  const said = sentence(message);
  const againMs = Number(headers.get("Retry-After")) * 1000;
  if (code === "replaying") return new NoAnswer("info", "The API is reading its journal.", `${said} It has just started; the answer comes by itself.`, AGAIN_MS);
  if (againMs) return new NoAnswer("warning", "Too many questions at once.", `${said} It is asked again by itself.`, againMs);
  if (status === 503) return new NoAnswer("error", "The API is not answering.", `Tried ${document.body.dataset.apiUrl}. ${howToStart("local_api.py")}`, AGAIN_MS);
  if (status === 504) return new NoAnswer("warning", "This takes too long.", `${said} A shorter span is answered sooner.`);
  if (status < 500) return new NoAnswer("warning", "This cannot be answered.", said);
  return unusable(said);
}
