// The list of who is in the room, with what a moderator may do.

import { note } from "./announce.js";
import { avatar, hueOf } from "./avatar.js";
import { label, say } from "./i18n.js";
import { icon, setIcon } from "./icons.js";

/** @typedef {import("/client.js").Call} Call */
/** @typedef {import("/client.js").Peer} Peer */
/** @typedef {import("/client.js").Person} Person */

const list = /** @type {HTMLElement} */ (document.getElementById("people-list"));
const count = /** @type {HTMLElement} */ (document.getElementById("people-count"));
const opener = /** @type {HTMLElement} */ (document.getElementById("people-open"));
const badge = /** @type {HTMLElement} */ (document.getElementById("people-badge"));
const lockButton = /** @type {HTMLButtonElement} */ (document.getElementById("lock"));
const lockText = /** @type {HTMLElement} */ (document.getElementById("lock-text"));
const kickDialog = /** @type {HTMLDialogElement} */ (document.getElementById("kick"));
const kickTitle = /** @type {HTMLElement} */ (document.getElementById("kick-title"));
const kickConfirm = /** @type {HTMLButtonElement} */ (document.getElementById("kick-confirm"));

export class People {
  #call;
  /** @type {Map<string, PersonRow>} */
  #rows = new Map();
  /** @type {Peer | null} The one that the dialog asks about. */
  #kicked = null;

  /** @param {Call} call */
  constructor(call) {
    this.#call = call;
    lockButton.onclick = () => attempt(call.lock(!call.locked));
    kickConfirm.onclick = () => {
      kickDialog.close();
      if (this.#kicked) attempt(call.kick(this.#kicked));
    };
  }

  /** Shows who is there now. */
  show() {
    const { me, peers, locked } = this.#call;
    if (!me) return;
    const everyone = [me, ...peers.values()];
    const moderates = me.grants.includes("moderate");
    for (const [id, row] of this.#rows) {
      if (everyone.some((person) => person.id === id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const person of everyone) this.#row(person).show(person, person === me, moderates);
    say(count, "people_here", { n: everyone.length });
    label(opener, "people_count", { n: everyone.length });
    badge.textContent = String(everyone.length);
    lockButton.hidden = !moderates;
    setIcon(lockButton, locked ? "unlock" : "lock");
    say(lockText, locked ? "unlock" : "lock");
  }

  clear() {
    this.#rows.clear();
    list.replaceChildren();
    if (kickDialog.open) kickDialog.close();
  }

  /** @param {Person} person @returns {PersonRow} */
  #row(person) {
    const known = this.#rows.get(person.id);
    if (known) return known;
    const row = new PersonRow(person, {
      mute: (peer) => attempt(this.#call.mute(peer, "audio")),
      muteCamera: (peer) => attempt(this.#call.mute(peer, "video")),
      kick: (peer) => this.#askToKick(peer),
    });
    this.#rows.set(person.id, row);
    list.append(row.element);
    return row;
  }

  /** @param {Peer} peer */
  #askToKick(peer) {
    this.#kicked = peer;
    say(kickTitle, "kick_title", { name: peer.name });
    kickDialog.showModal();
  }
}

class PersonRow {
  element = document.createElement("li");
  #avatar = avatar("");
  #name = document.createElement("bdi");
  #role = document.createElement("small");
  #status = document.createElement("span");
  #mute;
  #muteCamera;
  #kick;

  /**
   * @param {Person} person
   * @param {Record<"mute" | "muteCamera" | "kick", (peer: Peer) => void>} actions
   */
  constructor(person, actions) {
    this.element.className = "person";
    Object.assign(this.element.dataset, { testid: "person", peer: person.id });
    this.element.style.setProperty("--tile", hueOf(person.id));
    const who = document.createElement("p");
    who.className = "who";
    say(this.#role, "moderator");
    who.append(this.#name, this.#role);
    this.#status.className = "status";
    this.#status.setAttribute("role", "img");
    label(this.#status, "muted_icon");
    this.#status.append(icon("mic-off"));
    const peer = /** @type {Peer} */ (person);
    this.#mute = actionButton("mic", "person-mute", () => actions.mute(peer));
    this.#muteCamera = actionButton("camera", "person-mute-camera", () => actions.muteCamera(peer));
    this.#kick = actionButton("kick", "person-kick", () => actions.kick(peer));
    this.element.append(this.#avatar, who, this.#status, this.#mute, this.#muteCamera, this.#kick);
  }

  /** @param {Person} person @param {boolean} isMe @param {boolean} moderates */
  show(person, isMe, moderates) {
    const { name } = person;
    this.#avatar.textContent = avatar(name).textContent;
    say(this.#name, isMe ? "you_named" : "tile_label", { name });
    this.#role.hidden = !person.grants.includes("moderate");
    this.element.toggleAttribute("data-muted", !person.audio);
    const mayAct = moderates && !isMe;
    this.#status.hidden = person.audio;
    this.#mute.hidden = !mayAct || !person.audio;
    this.#muteCamera.hidden = !mayAct || !person.video;
    this.#kick.hidden = !mayAct;
    label(this.#mute, "people_mute", { name });
    label(this.#muteCamera, "people_mute_camera", { name });
    label(this.#kick, "people_kick", { name });
  }
}

/** @param {string} picture @param {string} testid @param {() => void} act */
function actionButton(picture, testid, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "round plain";
  button.dataset.testid = testid;
  setIcon(button, picture);
  button.addEventListener("click", act);
  return button;
}

/** Says so when a request is refused. @param {Promise<void>} request */
async function attempt(request) {
  try {
    await request;
  } catch (error) {
    const { code, message } = /** @type {import("/client.js").CallError} */ (error);
    if (code === "forbidden") note("no_right");
    else note("request_failed", { reason: message });
  }
}
