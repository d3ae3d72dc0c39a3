// What can be taken away: commands, answers and tables, by the clipboard or as a file.

import { element } from "./element.js";

/** A command for a POSIX shell; the key, where one is needed, is left to a variable and never shown. */
export function curl(url, request, withKey) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const key = withKey ? ` -H "Authorization: Bearer $API_KEY"` : "";
  return `curl -s ${quoted(url)}${key} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(request))}`;
}

/** Records as RFC 4180 writes them. */
export function csv(records) {
  const field = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return records.map((record) => `${record.map(field).join(",")}\r\n`).join("");
}

export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers offer the clipboard only to pages that come by TLS or from this machine.
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser does not let this page copy");
}
