// What went wrong, in a sentence, and what happens next: another try by itself, a key, or a button.

import { hasKey, NoConnection, useKey } from "./service.js";

const LONGEST_WAIT = 30; // seconds between tries, unless the service asks for more

export class Notice {
  #failures = 0;
  #left = 0;
  #clock;

  /** `retry()` is called when it is time for another try. */
  constructor(home, retry) {
    this.home = home;
    this.retry = retry;
    [this.trouble, this.countdown, this.form, this.secret, this.again] = ["trouble", "countdown", "key", "secret", "again"].map(
      (id) => document.getElementById(id),
    );
    this.again.addEventListener("click", () => this.retry());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      useKey(this.secret.value);
      this.secret.value = "";
      this.retry();
    });
    addEventListener("online", () => {
      if (this.#clock) this.retry();
    });
  }

  show(error) {
    this.stop();
    this.#failures += 1;
    const { status, type, message } = error;
    const connected = !(error instanceof NoConnection);
    const wantsKey = status === 401 || status === 403;
    const busy = status === 429 || status === 503;
    if (wantsKey) this.#write(hasKey() ? "The service does not accept this key." : "This service asks for an API key.");
    else if (busy) this.#write(type === "unavailable" ? "The service is not ready." : "The service is busy.");
    else this.#write(message);
    this.form.hidden = !wantsKey;
    this.again.hidden = connected && !busy && status < 500;
    if (busy || !connected) this.#count(Math.max(error.retryAfter ?? 1, Math.min(2 ** (this.#failures - 1), LONGEST_WAIT)));
    this.home.hidden = false;
  }

  /** Another try is on its way: what stands here stays until it has an outcome. */
  stop() {
    clearInterval(this.#clock);
    this.#clock = undefined;
    this.countdown.textContent = "";
  }

  clear() {
    this.stop();
    this.#failures = 0;
    this.home.hidden = true;
    this.trouble.textContent = "";
  }

  #write(sentence) {
    // The same words again would only interrupt whoever listens.
    if (this.trouble.textContent !== sentence) this.trouble.textContent = sentence;
  }

  #count(seconds) {
    this.#left = Math.ceil(seconds);
    const tick = () => {
      this.countdown.textContent = `Trying again in ${this.#left} s.`;
      if (this.#left <= 0) this.retry();
      this.#left -= 1;
    };
    this.#clock = setInterval(tick, 1000);
    tick();
  }
}
