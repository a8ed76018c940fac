// The same answer outside of this page: as commands to copy and as CSV.

const API_URL = document.body.dataset.publicApiUrl;
const NEEDS_TOKEN = document.body.dataset.needsToken !== undefined;
const EVENTS_FILE = document.body.dataset.eventsFile; // none with ENV=aws: the events are in the lake
const STEERING = /[\p{Cc}\p{Cf}\u2028\u2029]/u; // what no eye sees: a terminal obeys some of it in what is pasted
const PLAIN = /^[\w./:=@%+,-]+$/;
const NO_WORD = "# no command can hold the character NUL that is asked for: ask by HTTP";
const FORMULA = /^[=+\-@\t\r]/;

/** Commands that answer `name` for the span `bounds` and what else the API is told, by HTTP and from the journal itself or for Athena. */
export function commands(name, bounds, rest) {
  const query = new URLSearchParams([...Object.entries(bounds), ...rest, ["limit", "10000"]]).toString().replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%2F", "/");
  const token = NEEDS_TOKEN ? '-H "Authorization: Bearer $READ_TOKEN" ' : "";
  const options = [...Object.entries(bounds), ...rest].map(([parameter, text]) => {
    const [option, ...of] = parameter.split("."); // visit.page=/ is --visit page=/
    return ` --${option} ${word(of.length > 0 ? `${of.join(".")}=${text}` : text)}`;
  });
  return {
    curl: `curl ${token}'${API_URL}/analytics/${name}?${query}'`,
    sql: rest.some(([, text]) => text.includes("\0")) ? NO_WORD : `.venv/bin/python -m clickstream sql ${name} ${EVENTS_FILE === undefined ? "--athena" : `--file ${word(EVENTS_FILE)}`}${options.join("")}`,
  };
}

/** `text` as one word of a shell; senders have written it. */
function word(text) {
  if (PLAIN.test(text)) return text;
  if (!STEERING.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  return `$'${text.replace(/[\\'!\p{Cc}\p{Cf}\u2028\u2029]/gu, bytes)}'`;
}

const bytes = (character) => [...new TextEncoder().encode(character)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

/** The rows as the API gave them; as in its own export a leading quote keeps text from being taken for a formula. */
export function csv({ columns, rows }) {
  return [columns.map(quoted), ...rows.map((row) => columns.map((column) => cell(row[column])))].map((cells) => `${cells.join(",")}\r\n`).join("");
}

function cell(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? quoted(FORMULA.test(value) ? `'${value}` : value) : String(value);
}

const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

/** Have the browser keep `text` as a file. */
export function download(text, file) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // by then it is written
}
