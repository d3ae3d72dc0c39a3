// The page: what is typed goes to the service, what comes back is shown; newer text takes the place of what is on its way.

import { Charts } from "./charts.js";
import { Choice } from "./choice.js";
import { copy, csv, curl, download } from "./export.js";
import { Lines } from "./lines.js";
import { Notice } from "./notice.js";
import * as service from "./service.js";
import { Timing } from "./timing.js";
import { count, percent, readingsOf, titleOf } from "./words.js";

const PAUSE = 100; // ms of rest before what is typed is sent
const SILENCE = 900; // ms of rest before a screen reader is told, which would else start anew with every letter
const CHUNK = 64; // lines a request
const MOST_LINES = 1000;

const at = (id) => document.getElementById(id);
const [text, results, prompt] = ["text", "results", "prompt"].map(at);

const choice = new Choice(at("choice"), () => change(0));
const lines = new Lines(at("lines"), pick);
const notice = new Notice(at("notice"), () => change(0));
const timing = new Timing(at("timing"));

let charts = null; // until the tasks are known
let rows = []; // {number, text, annotation}, a line each
let picked = null; // the row whose charts are shown
let model = null;
let onTheWay = new AbortController();
let pause, silence;

function change(delay) {
  clearTimeout(pause);
  clearTimeout(silence);
  onTheWay.abort();
  notice.stop();
  results.ariaBusy = "true";
  pause = setTimeout(follow, delay);
}

async function follow() {
  onTheWay = new AbortController();
  const { signal } = onTheWay;
  try {
    if (!charts) await start(signal);
    const found = linesOf(text.value);
    layOut(found.slice(0, MOST_LINES));
    await annotateMissing(signal);
    notice.clear();
    prompt.textContent = found.length > MOST_LINES ? `Only the first ${count(MOST_LINES, "line")} are shown.` : "";
    if (choice.names().length === 0) prompt.textContent = "Choose at least one task.";
  } catch (error) {
    if (signal.aborted) return;
    prompt.textContent = "";
    if (!(error instanceof service.Failure)) throw error;
    notice.show(error);
  }
  results.ariaBusy = "false";
}

async function start(signal) {
  const tasks = await service.tasks(signal);
  signal.throwIfAborted();
  choice.offer(tasks);
  charts = new Charts(at("charts"), tasks);
  // A link carries no key.
  at("docs").hidden = service.hasKey();
}

const linesOf = (value) => value.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);

/** Show the lines as they are now, each with the annotation that is known already. */
function layOut(found) {
  if (found.join("\n") !== rows.map((row) => row.text).join("\n")) {
    const known = new Map(rows.map((row) => [row.text, row.annotation]));
    rows = found.map((line, i) => ({ number: i + 1, text: line, annotation: known.get(line) }));
  }
  const many = rows.length > 1;
  picked = many ? rows.find((row) => row.number === picked?.number && row.text === picked.text) : rows[0];
  if (many) lines.show(rows, choice.tasks());
  at("lines").hidden = at("csv").hidden = !many;
  at("curl").disabled = rows.length === 0;
  text.classList.toggle("many", many);
  showCharts();
}

/** Charts of the only line, or of the one that was picked from the table. */
function showCharts() {
  const many = rows.length > 1;
  lines.mark(picked);
  at("line").hidden = !many || !picked;
  at("line").textContent = picked ? `Line ${picked.number}: ${picked.text}` : "";
  at("charts").hidden = many && !picked;
  // The charts of what was typed before stay until the new ones are there, so that bars move and do not flicker.
  charts.choose(choice.names());
  if (picked?.annotation || rows.length === 0) charts.show(picked?.annotation);
  showTokens(picked?.annotation);
  at("json").disabled = at("csv").disabled = !rows.some((row) => row.annotation);
}

function showTokens(annotation) {
  const { tokens, truncated } = annotation ?? {};
  at("tokens").textContent = annotation ? count(tokens, "token") + (truncated ? ": the rest is cut off" : "") : "";
  at("tokens").classList.toggle("cut", Boolean(truncated));
}

async function annotateMissing(signal) {
  const names = choice.names();
  const lacks = ({ annotation }) => names.some((name) => !(name in (annotation?.tasks ?? {})));
  const missing = rows.filter(lacks);
  for (let i = 0; i < missing.length; i += CHUNK) {
    if (missing.length > CHUNK) prompt.textContent = `${count(missing.length - i, "line")} to go …`;
    const chunk = missing.slice(i, i + CHUNK);
    const { body, milliseconds, stages } = await service.annotate(requestOf(chunk), signal);
    signal.throwIfAborted();
    chunk.forEach((row, k) => (row.annotation = body.annotations[k]));
    showModel(body.model);
    timing.show(milliseconds, stages);
    if (rows.length > 1) lines.fill(chunk);
    showCharts();
  }
  if (rows.length > 1) sayLater(`${count(rows.length, "line")} in the table.`);
  else if (rows.length === 1) sayLater(summaryOf(rows[0]));
}

/** Names the tasks also when all are chosen: where none are named, the service may have been told to compute fewer. */
function requestOf(some) {
  return { inputs: some.map((row) => row.text), tasks: choice.names() };
}

function showModel(now) {
  model = now;
  at("model").textContent = `model ${now.version}`;
}

function pick(row) {
  picked = row;
  showCharts();
  at("line").scrollIntoView({ block: "center" });
  say(`Charts of line ${row.number} are below the table. ${summaryOf(row)}`);
}

function summaryOf({ annotation }) {
  const parts = choice.tasks().map(({ name, labels }) => {
    const { label, scores } = annotation?.tasks[name] ?? {};
    return label ? `${titleOf(name)}: ${readingsOf(labels).get(label)}, ${percent(scores[label])}.` : "";
  });
  return parts.join(" ");
}

function say(message) {
  at("said").textContent = message;
}

function sayLater(message) {
  clearTimeout(silence);
  silence = setTimeout(say, SILENCE, message);
}

/** The answer to what `requestOf` asks for all rows. */
function answer() {
  const names = choice.names();
  const only = (annotation) => ({
    ...annotation,
    tasks: Object.fromEntries(names.map((name) => [name, annotation.tasks[name]])),
  });
  return { model, annotations: rows.map(({ annotation }) => annotation && only(annotation)) };
}

async function copied(button, content) {
  const name = button.textContent;
  await copy(content);
  say(`${name}: done.`);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = name), 1500);
}

text.addEventListener("input", () => change(PAUSE));
at("curl").addEventListener("click", ({ target }) => {
  copied(target, curl(new URL("v1/annotate", document.baseURI).href, requestOf(rows), service.hasKey()));
});
at("json").addEventListener("click", ({ target }) => copied(target, JSON.stringify(answer(), null, 2)));
at("csv").addEventListener("click", () => download("annotations.csv", csv(lines.records()), "text/csv"));
for (const button of at("examples").children) {
  button.addEventListener("click", () => {
    text.value = button.textContent;
    change(0);
  });
}

// A page that shows nothing explains nothing: it starts with an example, which the first letter typed replaces.
if (!text.value) text.value = at("examples").firstElementChild.textContent;
if (matchMedia("(pointer: fine)").matches) {
  text.focus();
  text.select();
}
change(0);
