// Short notes: shown for a moment at the foot of the page, and read out by screen readers.

import { say, text } from "./i18n.js";

/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {import("./i18n.js").Values} Values */

const SHOWN_MS = 4500;
const MOST_AT_ONCE = 3;

const toasts = /** @type {HTMLElement} */ (document.getElementById("toasts"));
const announcer = /** @type {HTMLElement} */ (document.getElementById("announcer"));

/**
 * Shows a note and has it read out.
 * @param {Key} key
 * @param {Values} [values]
 */
export function note(key, values) {
  const toast = document.createElement("p");
  toast.className = "toast";
  toast.dataset.testid = "toast";
  toast.dataset.note = key;
  say(toast, key, values);
  // A newer one of the same kind says it all.
  dismiss(key);
  toasts.append(toast);
  while (toasts.childElementCount > MOST_AT_ONCE) toasts.firstElementChild?.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
  read(key, values);
}

/** Takes away the notes of one kind. @param {Key} key */
export function dismiss(key) {
  for (const toast of toasts.querySelectorAll(`[data-note="${key}"]`)) toast.remove();
}

/**
 * Has a text read out, without showing it.
 * @param {Key} key
 * @param {Values} [values]
 */
function read(key, values) {
  const line = document.createElement("span");
  line.textContent = text(key, values);
  announcer.replaceChildren(line);
}
