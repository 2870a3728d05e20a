// Single keys that work while no text field is in use, and the dialog that lists them.

import { say } from "./i18n.js";

/** @typedef {import("./i18n.js").Key} Key */

/** @type {[string, Key][]} */
const KEYS = [
  ["m", "key_m"],
  ["v", "key_v"],
  ["s", "key_s"],
  ["c", "key_c"],
  ["p", "key_p"],
  ["l", "key_l"],
  ["?", "key_help"],
];

/**
 * Listens for shortcuts; a key does nothing while a dialog is open or `isActive` says no.
 * @param {() => boolean} isActive
 * @param {Record<string, () => void>} actions by key
 */
export function startShortcuts(isActive, actions) {
  fillHelp();
  document.addEventListener("keydown", (event) => {
    if (!isActive() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("input, textarea, select, [contenteditable]") && event.key !== "Escape") return;
    // The letter on the key, whatever script the keyboard writes (Korean keyboards send ㅡ for m).
    const byPosition = /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase();
    const isLatin = /^[\x20-\x7e]$/.test(event.key) || event.key.length > 1;
    const action = actions[isLatin ? event.key.toLowerCase() : (byPosition ?? "")];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function fillHelp() {
  const list = document.getElementById("keys");
  for (const [key, text] of [...KEYS, /** @type {[string, Key]} */ (["", "key_esc"])]) {
    const term = document.createElement("dt");
    const cap = document.createElement("kbd");
    if (key === "") say(cap, "key_esc_name");
    else cap.textContent = key.toUpperCase();
    term.append(cap);
    const description = document.createElement("dd");
    say(description, text);
    list?.append(term, description);
  }
}
