// Many lines as a table: a row a line, two columns a task, sorted by whichever column is asked for.

import { element } from "./element.js";
import { percent, readingsOf, titleOf } from "./words.js";

const collator = new Intl.Collator("en", { numeric: true });

export class Lines {
  #columns = [];
  #sorted = "number";
  #descending = false;

  /** `choose(row)` is called when somebody asks for the charts of a row. */
  constructor(home, choose) {
    this.home = home;
    this.choose = choose;
    this.rows = [];
    this.body = element("tbody");
    this.head = element("thead");
    const caption = element("caption", { className: "unseen" }, "The top label of each task, line by line");
    const table = element("table", {}, caption, this.head, this.body);
    // What scrolls must be reached by the keyboard.
    home.append(element("div", { className: "scroll", role: "region", "aria-label": "Lines", tabIndex: 0 }, table));
  }

  /** Show rows `{number, text, annotation}`; an annotation may come later, and `fill` shows it. */
  show(rows, tasks) {
    this.rows = rows;
    this.tasks = tasks.map((task) => ({ ...task, title: titleOf(task.name), readings: readingsOf(task.labels) }));
    this.#writeHead();
    rows.forEach((row) => this.#writeRow(row));
    this.#sort();
  }

  /** Rows have got their annotations. */
  fill(rows) {
    rows.forEach((row) => this.#fillRow(row));
    this.#sort();
  }

  #fillRow(row) {
    row.cells.forEach(({ label, score }, i) => {
      const task = this.tasks[i];
      const result = row.annotation?.tasks[task.name];
      label.textContent = result ? task.readings.get(result.label) : "…";
      score.textContent = result ? percent(result.scores[result.label]) : "";
      score.style.setProperty("--score", result ? result.scores[result.label] : 0);
    });
  }

  #sort() {
    const by = this.#columns.find((column) => column.id === this.#sorted) ?? this.#columns[0];
    const sign = this.#descending ? -1 : 1;
    this.rows = [...this.rows].sort((a, b) => compare(by.value(a), by.value(b), sign) || a.number - b.number);
    const roots = this.rows.map((row) => row.root);
    // A row that is taken out and put in again loses the focus.
    if (roots.length !== this.body.rows.length || roots.some((root, i) => root !== this.body.rows[i])) {
      this.body.replaceChildren(...roots);
    }
    for (const { cell } of this.#columns) cell.removeAttribute("aria-sort");
    by.cell.setAttribute("aria-sort", this.#descending ? "descending" : "ascending");
  }

  mark(chosen) {
    for (const row of this.rows) {
      if (row === chosen) row.root.setAttribute("aria-current", "true");
      else row.root.removeAttribute("aria-current");
    }
  }

  /** The table as it is sorted now, names and numbers as the service gives them. */
  records() {
    const header = ["line", "text", ...this.tasks.flatMap(({ name }) => [name, `${name}_score`])];
    const values = this.rows.map(({ number, text, annotation }) => [
      number,
      text,
      ...this.tasks.flatMap(({ name }) => {
        const result = annotation?.tasks[name];
        return result ? [result.label, result.scores[result.label]] : ["", ""];
      }),
    ]);
    return [header, ...values];
  }

  #writeHead() {
    this.#columns = [];
    const number = this.#column("#", "Number", "number", (row) => row.number, { rowSpan: 2, className: "number" });
    const text = this.#column("Line", "Line", "text", (row) => row.text, { rowSpan: 2, className: "text" });
    const groups = this.tasks.map(({ title, name }) =>
      element("th", { colSpan: 2, scope: "colgroup", title: name, className: "group" }, title),
    );
    const pairs = this.tasks.flatMap(({ title, name, readings }) => {
      const result = (row) => row.annotation?.tasks[name];
      return [
        this.#column("label", `${title}, label`, `${name} label`, (row) => readings.get(result(row)?.label), {}),
        this.#column("score", `${title}, score`, `${name} score`, (row) => result(row)?.scores[result(row).label], {
          className: "score",
        }),
      ];
    });
    this.head.replaceChildren(element("tr", {}, number, text, ...groups), element("tr", {}, ...pairs));
  }

  #column(name, spoken, id, value, properties) {
    const button = element("button", { type: "button", "aria-label": spoken }, name);
    const cell = element("th", { scope: "col", ...properties }, button);
    button.addEventListener("click", () => {
      // Of a score the highest is wanted first, of anything else the start of the alphabet.
      const first = id.endsWith(" score");
      this.#descending = this.#sorted === id ? !this.#descending : first;
      this.#sorted = id;
      this.#sort();
    });
    this.#columns.push({ id, value, cell });
    return cell;
  }

  #writeRow(row) {
    const open = element("button", { type: "button", title: row.text }, row.text);
    open.addEventListener("click", () => this.choose(row));
    row.cells = this.tasks.map(() => ({ label: element("td"), score: element("td", { className: "score" }) }));
    row.root = element(
      "tr",
      {},
      element("td", { className: "number" }, String(row.number)),
      element("th", { scope: "row", className: "text" }, open),
      ...row.cells.flatMap(({ label, score }) => [label, score]),
    );
    this.#fillRow(row);
  }
}

/** Numbers by size, text by the alphabet; what is not there yet comes last either way. */
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  return sign * (typeof a === "number" ? a - b : collator.compare(a, b));
}
