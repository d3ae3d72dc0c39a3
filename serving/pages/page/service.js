// The HTTP interface: what is asked, what comes back, and what can go wrong.

const STORED_KEY = "api-key"; // in sessionStorage: gone with the tab

/** No annotations, for a reason that can be told. */
export class Failure extends Error {}

/** No answer at all. */
export class NoConnection extends Failure {}

/** The service answered, but not with what was asked for. */
export class ServiceError extends Failure {
  constructor(status, type, message, retryAfter) {
    super(message);
    this.status = status;
    this.type = type;
    this.retryAfter = retryAfter; // seconds, or undefined
  }
}

export const hasKey = () => sessionStorage.getItem(STORED_KEY) !== null;
export const useKey = (key) => sessionStorage.setItem(STORED_KEY, key);

export const tasks = async (signal) => (await call("v1/tasks", null, signal)).body.tasks;

/** `{body, milliseconds, stages}`; the body holds an annotation an input, in order. */
export const annotate = (request, signal) => call("v1/annotate", request, signal);

async function call(path, request, signal) {
  const headers = { Accept: "application/json" };
  if (request) headers["Content-Type"] = "application/json";
  if (hasKey()) headers.Authorization = `Bearer ${sessionStorage.getItem(STORED_KEY)}`;
  const options = request ? { method: "POST", body: JSON.stringify(request) } : {};
  const began = performance.now();
  let response, text;
  try {
    response = await fetch(path, { ...options, headers, signal, cache: "no-store" });
    text = await response.text();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new NoConnection("No connection to the service.");
  }
  const milliseconds = performance.now() - began;
  const body = parse(text);
  if (!response.ok || body === null) throw errorOf(response, body);
  return { body, milliseconds, stages: stagesOf(response.headers.get("Server-Timing") ?? "") };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function errorOf(response, body) {
  const { type = "unreadable", message = `The service answered with status ${response.status}.` } = body?.error ?? {};
  const seconds = parseFloat(response.headers.get("Retry-After"));
  return new ServiceError(response.status, type, message, Number.isFinite(seconds) ? seconds : undefined);
}

/** `queue;dur=1.2, encode;dur=3` as `[["queue", 1.2], ["encode", 3]]`, in milliseconds. */
function stagesOf(header) {
  return header
    .split(",")
    .map((part) => part.trim().match(/^([^;\s]+)\s*;(?:.*;)?\s*dur=([\d.]+)/))
    .filter(Boolean)
    .map(([, name, duration]) => [name, parseFloat(duration)]);
}
