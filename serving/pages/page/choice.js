// Which tasks are computed and shown: all of them until somebody chooses.

import { element } from "./element.js";
import { titleOf } from "./words.js";

export class Choice {
  #tasks = [];
  #boxes = [];

  constructor(home, changed) {
    this.home = home;
    this.changed = changed;
    this.chosen = document.getElementById("chosen");
    document.getElementById("all").addEventListener("click", () => this.#check(true));
    document.getElementById("none").addEventListener("click", () => this.#check(false));
  }

  offer(tasks) {
    this.#tasks = tasks;
    this.#boxes = tasks.map(({ name }) => element("input", { type: "checkbox", value: name, checked: true }));
    for (const box of this.#boxes) box.addEventListener("change", () => this.#tell());
    document
      .getElementById("boxes")
      .replaceChildren(...this.#boxes.map((box) => element("label", { title: box.value }, box, titleOf(box.value))));
    this.#write();
  }

  tasks() {
    return this.#tasks.filter((_, i) => this.#boxes[i].checked);
  }

  names() {
    return this.tasks().map((task) => task.name);
  }

  #check(checked) {
    this.#boxes.forEach((box) => (box.checked = checked));
    this.#tell();
  }

  #tell() {
    this.#write();
    this.changed();
  }

  #write() {
    const [chosen, total] = [this.tasks().length, this.#tasks.length];
    this.chosen.textContent = chosen === total ? `all ${total}` : `${chosen} of ${total}`;
  }
}
