// The chat page. A room is what the address after # names; its truth is on the server.

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { byId, randomId } from "./dom.js";
import { Entry } from "./entry.js";
import { Lightbox } from "./lightbox.js";
import { Note } from "./note.js";
import { currentRoom } from "./room.js";
import { Follower } from "./scroll.js";
import { announce, toast } from "./voice.js";
import { say } from "./words.js";

/** The longest notice that is only shown in passing. */
const MAX_TOAST_CHARS = 160;

class Chat {
  #entries = new Map();
  #connection = null;
  #list = byId("conversation");
  #follower = new Follower(this.#list);
  #lightbox = new Lightbox();
  #composer;

  constructor() {
    this.#composer = new Composer({
      onSend: (message) => this.#ask(message),
      onStop: () => this.#command("/stop"),
      onProblem: toast,
    });
    byId("new-chat").addEventListener("click", () => this.#newRoom());
    for (const example of document.querySelectorAll("[data-example]")) {
      example.addEventListener("click", () => this.#composer.fill(example.dataset.example));
    }
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.#lightbox.isOpen && this.#isWorking()) this.#command("/stop");
    });
    addEventListener("hashchange", () => this.#enter());
    this.#enter();
  }

  #enter() {
    const room = currentRoom();
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
    if (!up) announce(say("reconnecting"));
  }

  async #readTranscript() {
    const connection = this.#connection;
    const before = [...this.#entries.values()].filter((entry) => entry.finished);
    let turns, complete;
    try {
      ({ turns, complete } = await connection.turns());
    } catch (error) {
      toast(error.message);
      return;
    }
    if (connection !== this.#connection) return;
    const kept = new Set(turns.map((turn) => turn.message));
    for (const entry of before) {
      if (!kept.has(entry.id) && (complete || entry.stray)) this.#drop(entry);
    }
    let last = null;
    for (const turn of turns) {
      const entry = this.#entries.get(turn.message) ?? this.#add(turn.message, last);
      this.#takeTurn(entry, turn);
      // Live states come in the order of their changes.
      if (last?.element.compareDocumentPosition(entry.element) & Node.DOCUMENT_POSITION_PRECEDING) {
        last.element.after(entry.element);
      }
      last = entry;
    }
    this.#refresh();
    byId("welcome").hidden = this.#entries.size > 0;
  }

  #drop(entry) {
    this.#entries.delete(entry.id);
    entry.element.remove();
  }

  #takeTurn(entry, turn) {
    entry.accepted = true;
    entry.stray = false;
    entry.problem = null;
    entry.question = turn.question;
    entry.draws = turn.draws;
    entry.removed ||= turn.removed;
    // A question without a picture of its own may be about an older one, which is shown already.
    if (turn.attachments.length > 0 && turn.pictures.length > 0) entry.pictures = turn.pictures;
    if (turn.answer && !entry.finished) entry.messages = [turn.answer];
    entry.paint();
  }

  #onReply(reply) {
    const known = this.#entries.get(reply.reply);
    const entry = known ?? this.#add(reply.reply);
    if (!known) {
      entry.stray = true;
      this.#readTranscript();
    }
    const wasWorking = !entry.finished;
    const finishes = reply.messages.at(-1)?.mood !== "working";
    // The transcript may already know the end that this state comes before.
    if (!wasWorking && !finishes) return;
    entry.take(reply.messages);
    if (wasWorking && entry.finished) this.#announceEnd(entry);
    this.#refresh();
  }

  #announceEnd(entry) {
    const pictures = entry.messages.some((message) => message.pictures.length > 0);
    const words = { failed: say("failed"), stopped: say("stopped"), removed: say("removed") };
    announce(words[entry.mood] ?? (pictures ? say("pictures-ready") : say("answer-there")));
  }

  async #ask(message) {
    const { text, files, drawing } = message;
    if (!drawing && /^\/(stop|retry)\s*$/i.test(text)) {
      await this.#command(text);
      return;
    }
    const entry = this.#add(randomId());
    entry.message = message;
    entry.question = drawing ? asTyped(text, drawing) : text;
    entry.draws = drawing !== null || /^\/imagine\s/i.test(text);
    entry.pictures = files.map((file) => ({ url: URL.createObjectURL(file), name: file.name, alt: file.name }));
    this.#follower.toBottom();
    await this.#send(entry);
  }

  async #send(entry) {
    entry.problem = null;
    entry.accepted = true;
    entry.paint();
    this.#refresh();
    try {
      const { notice } = await this.#connection.send({ id: entry.id, ...entry.message });
      if (notice) {
        entry.accepted = false;
        this.#addNote(notice, (card) => entry.element.append(card));
        this.#follower.toBottom();
      } else {
        announce(say("sent"));
      }
    } catch (error) {
      entry.accepted = entry.messages.length > 0;
      if (!entry.accepted) entry.problem = { sentence: error.message, again: error.again };
      announce(say("not-sent", { what: error.message }));
    }
    entry.paint();
    this.#refresh();
  }

  /** A command that is no question; what it starts comes back with the transcript. */
  async #command(text) {
    try {
      const { notice } = await this.#connection.send({ id: randomId(), text });
      if (notice) toast(plain(notice.html));
      else await this.#readTranscript();
    } catch (error) {
      toast(error.message);
    }
    this.#refresh();
  }

  /** A button of an entry or of a note was pressed. Resolves to whether the press arrived. */
  async #press({ id, action }, place) {
    const connection = this.#connection;
    let answer;
    try {
      answer = await connection.press({ id, action });
    } catch (error) {
      toast(error.message);
      return !error.again;
    }
    if (connection !== this.#connection) return true;
    const drawing = answer.compose;
    if (drawing) {
      this.#composer.fill(drawing.prompt, [], drawing);
      this.#follower.follow();
    } else if (answer.notice) {
      this.#tell(answer.notice, place, action);
    } else {
      await this.#readTranscript();
      this.#follower.toBottom();
    }
    return true;
  }

  /** Show what the bot says to a press, where it belongs. */
  #tell(notice, place, action) {
    const words = plain(notice.html);
    if (notice.replaces && place instanceof Note) {
      place.replace(notice, action);
      announce(words);
      // What was deleted goes from the page, too.
      if (action.startsWith("forget:")) this.#readTranscript();
    } else if (notice.files.length + notice.buttons.length === 0 && words.length <= MAX_TOAST_CHARS) {
      toast(words);
    } else {
      const card = (node) => (place instanceof Note ? place.element.after(node) : place.element.append(node));
      const note = this.#addNote(notice, card);
      note.element.scrollIntoView({ block: "nearest" });
    }
  }

  #addNote(notice, place) {
    const note = new Note(notice, {
      onPress: (press, pressed) => this.#press(press, pressed),
      onOpen: (pictures, index) => this.#lightbox.show(pictures, index),
      onClose: () => this.#composer.focus(),
    });
    place(note.element);
    announce(note.text);
    return note;
  }

  #add(id, before = undefined) {
    const entry = new Entry(id, {
      onSendAgain: (unsent) => this.#send(unsent),
      onEdit: (unsent) => this.#edit(unsent),
      onRetry: () => this.#command("/retry"),
      onOpen: (pictures, index) => this.#lightbox.show(pictures, index),
      onPress: (press, pressed) => this.#press(press, pressed),
    });
    this.#entries.set(id, entry);
    if (before === undefined) this.#list.append(entry.element);
    else if (before === null) this.#list.prepend(entry.element);
    else before.element.after(entry.element);
    return entry;
  }

  #edit(entry) {
    this.#drop(entry);
    const { text, files, drawing } = entry.message;
    this.#composer.fill(text, files, drawing);
    this.#refresh();
  }

  #isWorking() {
    return [...this.#entries.values()].some((entry) => entry.working);
  }

  #refresh() {
    this.#composer.working = this.#isWorking();
    if (this.#entries.size > 0) byId("welcome").hidden = true;
    this.#follower.follow();
  }
}

/** A drawing as somebody would type it, for reading only; the transcript says it likewise. */
function asTyped(prompt, { seed, guidance }) {
  const options = [seed === null ? "" : ` --seed ${seed}`, guidance === null ? "" : ` --guidance ${guidance}`];
  return `/imagine ${prompt}${options.join("")}`;
}

function plain(html) {
  return new DOMParser().parseFromString(html, "text/html").body.textContent.trim();
}

new Chat();
