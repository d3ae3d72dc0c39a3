// Where the time of a request went: the stages that the service reports, and what the way there and back took.

import { element } from "./element.js";
import { milliseconds } from "./words.js";

const COLOURS = 5;

export class Timing {
  constructor(home) {
    this.home = home;
    [this.total, this.stack, this.list] = ["total", "stack", "stages"].map((id) => document.getElementById(id));
  }

  show(roundTrip, stages) {
    const parts = partsOf(roundTrip, stages);
    this.total.textContent = milliseconds(roundTrip);
    this.stack.replaceChildren(...parts.map(({ duration, looks }) => bar(duration, looks)));
    this.list.replaceChildren(
      ...parts.map(({ name, duration, looks }) =>
        element("li", { className: looks }, element("span", {}, name), element("b", {}, milliseconds(duration))),
      ),
    );
    this.home.hidden = false;
  }
}

/** The stages, each with its waiting and its way beside it, and what of the round trip no stage accounts for. */
function partsOf(roundTrip, reported) {
  const total = new Map(reported).get("total") ?? 0;
  const stages = reported.filter(([name]) => name !== "total");
  const inside = stages.reduce((sum, [, duration]) => sum + duration, 0);
  const bases = [...new Set(stages.map(([name]) => name.split("-")[0]))];
  const parts = stages.map(([name, duration]) => {
    const base = bases.indexOf(name.split("-")[0]);
    const aside = name.includes("-") ? " aside" : "";
    return { name: name.replaceAll("-", " "), duration, base, looks: `part-${base % COLOURS}${aside}` };
  });
  parts.sort((a, b) => a.base - b.base);
  // The batches of one request run side by side, so that their stages can add up to more than the total.
  const service = Math.max(total, inside);
  const rest = [
    { name: "rest of the service", duration: service - inside, looks: "part-rest" },
    { name: "network and browser", duration: Math.max(0, roundTrip - service), looks: "part-rest aside" },
  ];
  return reported.length ? [...parts, ...rest] : [];
}

function bar(duration, looks) {
  const made = element("span", { className: looks });
  made.style.setProperty("flex-grow", duration);
  return made;
}
