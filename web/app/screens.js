// Which of the room app's three screens is on: before the call, in it, or a notice.

/** @typedef {"prejoin" | "call" | "notice"} Screen */

const masthead = /** @type {HTMLElement} */ (document.getElementById("masthead"));

/** @param {Screen} name */
export const isOn = (name) => !element(name).hidden;

/**
 * Shows a screen, and moves the focus to its heading, so that screen readers read on from there.
 * @param {Screen} wanted
 */
export function showScreen(wanted) {
  const isNew = !isOn(wanted);
  for (const name of /** @type {Screen[]} */ (["prejoin", "call", "notice"])) {
    element(name).hidden = name !== wanted;
  }
  masthead.hidden = wanted === "call";
  if (!isNew) return;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  if (wanted === "call") element("call").focus();
  if (wanted === "notice") document.getElementById("notice-title")?.focus();
}

/** @param {Screen} name */
function element(name) {
  return /** @type {HTMLElement} */ (document.getElementById(name));
}
