// Names as people read them. Knows no task: the rules go by the form of a name alone.

const split = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .split(/[_\s]+/)
    .filter(Boolean);

const sentence = (words) => {
  const text = words.join(" ").replaceAll("&", " & ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** "weather_classification" is read as "Weather". */
export function titleOf(task) {
  const words = split(task);
  if (words.length > 1 && words.at(-1).toLowerCase() === "classification") words.pop();
  return sentence(words) || task;
}

/** Label to its reading; a word that all labels begin or end with says nothing and is left out. */
export function readingsOf(labels) {
  const all = labels.map(split);
  const shared = (at) =>
    labels.length > 1 && all.every((words) => words.length > 1 && words.at(at).toLowerCase() === all[0].at(at).toLowerCase());
  if (shared(0)) all.forEach((words) => words.shift());
  if (shared(-1)) all.forEach((words) => words.pop());
  return new Map(labels.map((label, i) => [label, sentence(all[i]) || label]));
}

/** A probability in whole per cent that never claims a certainty which is not there. */
export function percent(score) {
  if (score > 0 && score < 0.005) return "<1%";
  if (score < 1 && score >= 0.995) return ">99%";
  return `${Math.round(100 * score)}%`;
}

export function milliseconds(value) {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}

export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
