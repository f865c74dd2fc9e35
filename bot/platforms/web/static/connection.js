// Everything that goes over the network: one event stream per room, transcripts, messages, presses.

import { say } from "./words.js";

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 15000;

/** A message was not taken. `message` is a sentence; `again` says whether the same may work later. */
export class NotTaken extends Error {
  constructor(sentence, again) {
    super(sentence);
    this.again = again;
  }
}

/**
 * The live connection to a room.
 *
 * `onReply` gets the newest state of a reply, `onReady` is called when nothing can be missed any
 * more (the time to read the transcript), and `onState` is told whether the stream is up.
 */
export class Connection {
  #room;
  #handlers;
  #source = null;
  #timer = 0;
  #delay = FIRST_DELAY_MS;

  constructor(room, handlers) {
    this.#room = encodeURIComponent(room);
    this.#handlers = handlers;
  }

  open() {
    const source = new EventSource(`/api/rooms/${this.#room}/events`);
    this.#source = source;
    source.addEventListener("reply", (event) => this.#handlers.onReply(JSON.parse(event.data)));
    source.addEventListener("ready", () => {
      this.#delay = FIRST_DELAY_MS;
      this.#handlers.onState(true);
      this.#handlers.onReady();
    });
    source.addEventListener("error", () => {
      this.#handlers.onState(false);
      // A browser retries a lost stream by itself, but gives up after an error status.
      if (source.readyState !== EventSource.CLOSED) return;
      // The stream does not say which status; this request leads to the login page if it is 401.
      this.turns().catch(() => {});
      this.#timer = setTimeout(() => this.open(), this.#delay);
      this.#delay = Math.min(this.#delay * 2, MAX_DELAY_MS);
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  /** The room's newest turns from the archive, oldest first, and whether that is all of them. */
  async turns() {
    const response = await this.#fetch(`/api/rooms/${this.#room}/turns`);
    return response.json();
  }

  /**
   * Send a message. Sending it again under the same id answers it once.
   *
   * With `drawing`, the `seed` and `guidance` of one that is drawn again, the text is its prompt.
   */
  async send({ id, text, files = [], drawing = null }) {
    const form = new FormData();
    form.append("id", id);
    form.append(drawing ? "prompt" : "text", text);
    for (const [name, value] of Object.entries(drawing ?? {})) {
      if (value !== null) form.append(name, value);
    }
    for (const file of files) form.append("file", file, file.name || "picture");
    const response = await this.#fetch(`/api/rooms/${this.#room}/messages`, { method: "POST", body: form });
    return response.json();
  }

  /** Press a button. Sending it again under the same id acts once. */
  async press({ id, action }) {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ id, action });
    const response = await this.#fetch(`/api/rooms/${this.#room}/presses`, { method: "POST", headers, body });
    return response.json();
  }

  async #fetch(url, options = {}) {
    let response;
    try {
      response = await fetch(url, options);
    } catch {
      throw new NotTaken(say("unreachable"), true);
    }
    if (response.status === 401) location.reload();
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const sentence = answer.error ?? say("status-error", { number: response.status });
    throw new NotTaken(sentence, response.status >= 500 || response.status === 408);
  }
}
