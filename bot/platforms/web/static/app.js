// The chat page. A room is what the address after # names; its truth is on the server.

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { byId, element, randomId } from "./dom.js";
import { Entry } from "./entry.js";
import { Lightbox } from "./lightbox.js";

const ROOM = /^[A-Za-z0-9_-]{8,64}$/;
const ROOM_KEY = "janus-room";
const NEAR_BOTTOM = 120;
const TOAST_TIME = 6000;

class Chat {
  #entries = new Map();
  #connection = null;
  #list = byId("conversation");
  #scroller = byId("scroller");
  #toastTimer = 0;
  #following = true;
  #lightbox = new Lightbox();
  #composer;

  constructor() {
    const { uploadFiles, uploadBytes, textBytes } = document.body.dataset;
    this.#composer = new Composer(
      {
        onSend: (message) => this.#ask(message),
        onStop: () => this.#command("/stop"),
        onProblem: (sentence) => this.#toast(sentence),
      },
      { files: Number(uploadFiles), bytes: Number(uploadBytes), text: Number(textBytes) },
    );
    byId("new-chat").addEventListener("click", () => this.#newRoom());
    byId("jump").addEventListener("click", () => this.#toBottom());
    this.#scroller.addEventListener("scroll", () => this.#showJump(), { passive: true });
    for (const example of document.querySelectorAll("[data-example]")) {
      example.addEventListener("click", () => this.#composer.fill(example.dataset.example));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.#lightbox.isOpen && this.#isWorking()) this.#command("/stop");
    });
    // A picture that loads late must not push the newest line out of sight.
    this.#list.addEventListener("load", () => this.#follow(), { capture: true });
    addEventListener("hashchange", () => this.#enter());
    this.#enter();
  }

  #enter() {
    const named = location.hash.slice(1);
    const room = ROOM.test(named) ? named : (stored(ROOM_KEY) ?? randomId());
    history.replaceState(null, "", `/#${room}`);
    store(ROOM_KEY, room);
    this.#connection?.close();
    this.#entries.clear();
    this.#list.replaceChildren();
    this.#refresh();
    this.#connection = new Connection(room, {
      onReply: (reply) => this.#onReply(reply),
      onReady: () => this.#readTranscript(),
      onState: (up) => this.#onState(up),
    });
    this.#connection.open();
  }

  #newRoom() {
    location.hash = randomId();
    this.#composer.clear();
    this.#composer.focus();
  }

  #onState(up) {
    byId("connection").hidden = up;
    if (!up) this.#announce("Reconnecting");
  }

  async #readTranscript() {
    const connection = this.#connection;
    let turns;
    try {
      turns = await connection.turns();
    } catch (error) {
      this.#toast(error.message);
      return;
    }
    if (connection !== this.#connection) return;
    let before = null;
    for (const turn of turns) {
      const entry = this.#entries.get(turn.message) ?? this.#add(turn.message, before);
      this.#takeTurn(entry, turn);
      before = entry;
    }
    this.#refresh();
    byId("welcome").hidden = this.#entries.size > 0;
  }

  #takeTurn(entry, turn) {
    entry.accepted = true;
    entry.problem = null;
    entry.question = turn.question;
    // A question without a picture of its own may be about an older one, which is shown already.
    if (turn.attachments.length > 0 && turn.pictures.length > 0) entry.pictures = turn.pictures;
    if (turn.answer && !entry.finished) entry.messages = [turn.answer];
    entry.paint();
  }

  #onReply(reply) {
    const known = this.#entries.get(reply.reply);
    const entry = known ?? this.#add(reply.reply);
    if (!known) this.#readTranscript();
    const wasWorking = !entry.finished;
    const finishes = reply.messages.at(-1)?.mood !== "working";
    // The transcript may already know the end that this state comes before.
    if (!wasWorking && !finishes) return;
    entry.accepted = true;
    entry.problem = null;
    entry.messages = reply.messages;
    entry.paint();
    if (wasWorking && entry.finished) this.#announceEnd(entry);
    this.#refresh();
  }

  #announceEnd(entry) {
    const pictures = entry.messages.flatMap((message) => message.pictures).length;
    const words = { failed: "That did not work", stopped: "Stopped" };
    this.#announce(words[entry.mood] ?? (pictures ? `${pictures} pictures are ready` : "The answer is there"));
  }

  async #ask({ text, files }) {
    if (/^\/(stop|retry|reset|help|start)\b/i.test(text)) {
      await this.#command(text);
      return;
    }
    const entry = this.#add(randomId());
    entry.question = text;
    entry.files = files;
    entry.pictures = files.map((file) => ({ url: URL.createObjectURL(file), name: file.name, alt: file.name }));
    this.#toBottom();
    await this.#send(entry);
  }

  async #send(entry) {
    entry.problem = null;
    entry.accepted = true;
    entry.paint();
    this.#refresh();
    try {
      const { notice } = await this.#connection.send({ id: entry.id, text: entry.question, files: entry.files });
      if (notice) this.#note(notice.html, entry);
      else this.#announce("Sent");
    } catch (error) {
      entry.accepted = entry.messages.length > 0;
      if (!entry.accepted) entry.problem = { sentence: error.message, again: error.again };
      entry.paint();
      this.#announce(`Not sent. ${error.message}`);
    }
    this.#refresh();
  }

  /** A command that is no question; what it starts comes back with the transcript. */
  async #command(text) {
    try {
      const { notice } = await this.#connection.send({ id: randomId(), text });
      if (notice && text === "/stop") this.#toast(plain(notice.html));
      else if (notice) this.#note(notice.html);
      else await this.#readTranscript();
    } catch (error) {
      this.#toast(error.message);
    }
    this.#refresh();
  }

  /** Something that the bot says about itself; not part of the conversation. */
  #note(html, instead = null) {
    const note = element("div", "note prose");
    note.innerHTML = html; // Rendered and escaped by the server.
    if (instead === null) {
      this.#list.append(note);
    } else {
      instead.element.append(note);
      instead.accepted = false;
      instead.paint();
    }
    this.#announce(note.textContent.trim());
    this.#toBottom();
  }

  #add(id, before = undefined) {
    const entry = new Entry(id, {
      onSendAgain: (unsent) => this.#send(unsent),
      onEdit: (unsent) => this.#edit(unsent),
      onRetry: () => this.#command("/retry"),
      onOpen: (pictures, index) => this.#lightbox.show(pictures, index),
    });
    this.#entries.set(id, entry);
    if (before === undefined) this.#list.append(entry.element);
    else if (before === null) this.#list.prepend(entry.element);
    else before.element.after(entry.element);
    return entry;
  }

  #edit(entry) {
    this.#entries.delete(entry.id);
    entry.element.remove();
    this.#composer.fill(entry.question, entry.files);
    this.#refresh();
  }

  #isWorking() {
    return [...this.#entries.values()].some((entry) => entry.working);
  }

  #refresh() {
    this.#composer.working = this.#isWorking();
    if (this.#entries.size > 0) byId("welcome").hidden = true;
    this.#follow();
  }

  #announce(words) {
    byId("announcer").textContent = words;
  }

  #toast(sentence) {
    const toast = byId("toast");
    toast.textContent = sentence;
    toast.hidden = false;
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => (toast.hidden = true), TOAST_TIME);
  }

  #showJump() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#following = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
    byId("jump").hidden = this.#following;
  }

  #follow() {
    if (this.#following) this.#toBottom();
  }

  #toBottom() {
    this.#following = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    byId("jump").hidden = true;
  }
}

function plain(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent.trim();
}

// A browser may forbid storage; then a reload begins a new room unless the address names one.
function stored(key) {
  try {
    const value = localStorage.getItem(key);
    return value && ROOM.test(value) ? value : null;
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The address still names the room.
  }
}

new Chat();
