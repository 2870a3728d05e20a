// The chat panel: a bounded list of messages, a field to write in, and the badge of unread ones.

import { dismiss, note } from "./announce.js";
import { currentLanguage, label, say } from "./i18n.js";

/** @typedef {import("/client.js").Person} Person */
/** @typedef {import("/client.js").CallEvents["chat"]} Message */

/** As many as one reads again; older ones leave the page. */
const MOST = 300;
/** The limit of the protocol (docs/protocol.md, `limits.chat`), in bytes. */
const MOST_BYTES = 4000;
/** Messages of one person that close together share a heading. */
const TOGETHER_MS = 120_000;
/** How much of a message a note shows. */
const NOTE_LETTERS = 80;

const list = /** @type {HTMLElement} */ (document.getElementById("chat-list"));
const empty = /** @type {HTMLElement} */ (document.getElementById("chat-empty"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("chat-form"));
const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("chat-input"));
const problem = /** @type {HTMLElement} */ (document.getElementById("chat-error"));
const opener = /** @type {HTMLElement} */ (document.getElementById("chat-open"));
const badge = /** @type {HTMLElement} */ (document.getElementById("chat-badge"));

export class Chat {
  isOpen = false;
  #unread = 0;
  /** @type {{id: string, at: number} | null} */
  #last = null;

  /** @param {(text: string) => Promise<void>} send */
  constructor(send) {
    this.#showUnread();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(send);
    });
    field.addEventListener("keydown", (event) => {
      // Enter ends a composition of Korean letters before it sends anything.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    field.addEventListener("input", () => this.#fail(null));
  }

  /** Tells the chat whether its panel is open. @param {boolean} isOpen */
  setOpen(isOpen) {
    this.isOpen = isOpen;
    if (!isOpen) return;
    this.#unread = 0;
    this.#showUnread();
    dismiss("chat_said");
    list.scrollTop = list.scrollHeight;
    field.focus();
  }

  /** @param {Message} message @param {boolean} isOwn */
  add(message, isOwn) {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    const isContinued = this.#last?.id === message.from.id && message.at - this.#last.at < TOGETHER_MS;
    this.#last = { id: message.from.id, at: message.at };
    list.append(entry(message, isOwn, !isContinued));
    this.#trim();
    empty.hidden = true;
    if (isAtEnd || isOwn) list.scrollTop = list.scrollHeight;
    if (this.isOpen || isOwn) return;
    this.#unread++;
    this.#showUnread();
    note("chat_said", { name: message.from.name, text: shorten(message.text) });
  }

  clear() {
    list.replaceChildren();
    empty.hidden = false;
    this.#last = null;
    this.#unread = 0;
    this.#showUnread();
    this.#fail(null);
  }

  get unread() {
    return this.#unread;
  }

  /** @param {(text: string) => Promise<void>} send */
  async #submit(send) {
    const words = field.value.trim();
    if (words === "") return;
    const bytes = new TextEncoder().encode(words).length;
    if (bytes > MOST_BYTES) return this.#fail("chat_too_long", { n: bytes, max: MOST_BYTES });
    field.value = "";
    try {
      await send(words);
    } catch (error) {
      if (field.value === "") field.value = words;
      this.#fail("chat_failed", { reason: error instanceof Error ? error.message : String(error) });
    }
  }

  #trim() {
    if (list.childElementCount <= MOST) return;
    while (list.childElementCount > MOST) list.firstElementChild?.remove();
    const older = document.createElement("li");
    older.className = "note";
    say(older, "chat_older");
    list.firstElementChild?.replaceWith(older);
  }

  #showUnread() {
    badge.hidden = this.#unread === 0;
    badge.textContent = this.#unread > 99 ? "99+" : String(this.#unread);
    if (this.#unread === 0) label(opener, "chat");
    else label(opener, "chat_unread", { n: this.#unread });
  }

  /** @param {import("./i18n.js").Key | null} key @param {import("./i18n.js").Values} [values] */
  #fail(key, values) {
    problem.hidden = key === null;
    if (key) say(problem, key, values);
  }
}

/** @param {Message} message @param {boolean} isOwn @param {boolean} hasHeading */
function entry({ from, text: words, at }, isOwn, hasHeading) {
  const element = document.createElement("li");
  element.className = "message";
  element.dataset.testid = "chat-message";
  element.toggleAttribute("data-own", isOwn);
  if (hasHeading) {
    const who = document.createElement("p");
    who.className = "who";
    const name = document.createElement("bdi");
    if (isOwn) say(name, "you");
    else name.textContent = from.name;
    const time = document.createElement("time");
    const date = new Date(at);
    time.dateTime = date.toISOString();
    time.textContent = date.toLocaleTimeString(currentLanguage(), { hour: "numeric", minute: "2-digit" });
    who.append(name, time);
    element.append(who);
  }
  const body = document.createElement("p");
  body.className = "text";
  body.dir = "auto";
  body.textContent = words;
  element.append(body);
  return element;
}

/** @param {string} words */
function shorten(words) {
  const letters = [...words];
  return letters.length > NOTE_LETTERS ? `${letters.slice(0, NOTE_LETTERS).join("")}…` : words;
}
