// One chart of bars a task, the likeliest label first.

import { element } from "./element.js";
import { percent, readingsOf, titleOf } from "./words.js";

const FEW = 5; // bars a chart shows until it is opened
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Charts {
  #charts = new Map();

  constructor(home, tasks) {
    this.home = home;
    tasks.forEach((task, i) => this.#charts.set(task.name, new Chart(task, i)));
    home.replaceChildren(...[...this.#charts.values()].map((chart) => chart.root));
  }

  choose(names) {
    for (const [name, chart] of this.#charts) chart.root.hidden = !names.includes(name);
  }

  /** Show an annotation; without one, the labels alone. */
  show(annotation) {
    for (const [name, chart] of this.#charts) chart.show(annotation?.tasks[name]);
  }
}

class Chart {
  #bars = new Map();
  #open = false;

  constructor(task, number) {
    this.multi = task.kind === "multi";
    const readings = readingsOf(task.labels);
    for (const label of task.labels) this.#bars.set(label, new Bar(label, readings.get(label)));
    this.list = element("ol", { className: "bars", role: "list", id: `bars-${number}` });
    this.list.append(...[...this.#bars.values()].map((bar) => bar.root));
    this.root = element(
      "section",
      { className: "chart", "aria-labelledby": `task-${number}` },
      element(
        "header",
        {},
        element("h3", { id: `task-${number}` }, titleOf(task.name)),
        element("span", { className: "name" }, task.name),
      ),
      this.list,
    );
    if (task.labels.length > FEW) this.#addSwitch(task.labels.length, number);
    this.show(undefined);
  }

  #addSwitch(count, number) {
    const more = element("button", { type: "button", className: "more", "aria-controls": `bars-${number}` });
    const write = () => {
      more.textContent = this.#open ? "Fewer" : `All ${count}`;
      more.setAttribute("aria-expanded", String(this.#open));
      more.setAttribute("aria-describedby", `task-${number}`);
    };
    more.addEventListener("click", () => {
      this.#open = !this.#open;
      this.root.classList.toggle("open", this.#open);
      write();
      this.#hideMost();
    });
    write();
    this.root.append(more);
  }

  show(result) {
    const before = this.#places();
    for (const [label, bar] of this.#bars) {
      const score = result?.scores[label];
      bar.show(score, this.multi ? score >= 0.5 : label === result?.label);
    }
    if (result) {
      const ranked = [...this.#bars.values()].sort((a, b) => b.leads - a.leads || b.score - a.score);
      this.list.append(...ranked.map((bar) => bar.root));
    }
    this.#hideMost();
    this.#glide(before);
  }

  #hideMost() {
    [...this.list.children].forEach((row, i) => (row.hidden = !this.#open && i >= FEW));
  }

  #places() {
    return new Map([...this.list.children].filter((row) => !row.hidden).map((row) => [row, row.offsetTop]));
  }

  /** Rows that change their rank move there instead of jumping. */
  #glide(before) {
    if (calm.matches || this.#open) return;
    for (const [row, now] of this.#places()) {
      const was = before.get(row);
      if (was === now) continue;
      const from = was === undefined ? { opacity: 0 } : { transform: `translateY(${was - now}px)` };
      row.animate([from, {}], { duration: 220, easing: "cubic-bezier(.2, .7, .2, 1)" });
    }
  }
}

class Bar {
  score = 0;
  leads = false;

  constructor(label, reading) {
    this.fill = element("span", { className: "fill" });
    this.value = element("span", { className: "score" });
    this.root = element(
      "li",
      { className: "bar" },
      element("span", { className: "label", title: label }, reading),
      element("span", { className: "track", ariaHidden: "true" }, this.fill),
      this.value,
    );
  }

  show(score, leads) {
    this.score = score ?? 0;
    this.leads = Boolean(leads);
    this.root.classList.toggle("leads", this.leads);
    this.fill.style.setProperty("--score", this.score);
    this.value.textContent = score === undefined ? "" : percent(score);
  }
}
