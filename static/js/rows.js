// What is read out of the rows of an answer: sums, groups, and columns for tables of them.

import * as ui from "./ui.js";

export const most = (rows, name) => Math.max(1, ...rows.map((row) => row[name]));
export const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
export const some = (number, one, many = `${one}s`) => `${ui.exact(number)} ${number === 1 ? one : many}`;

/** The rows by what they say in the field `name`, in the order in which that comes first. */
export function groups(rows, name) {
  const found = new Map();
  for (const row of rows) {
    if (found.has(row[name])) found.get(row[name]).push(row);
    else found.set(row[name], [row]);
  }
  return [...found];
}

export const number = (field, name, rest = {}) => ({ name, text: (row) => ui.exact(row[field]), ...rest });
export const ratio = (field, name) => ({ name, text: (row) => ui.percent(row[field]) });
export const bar = (field, rows, highest = most(rows, field)) => ({ bar: (row) => row[field] / highest });
export const first = (field, name, text = (row) => String(row[field])) => ({ name, text });
