// The page that says one thing: why we are not in the call, and what can be done.

import { say } from "./i18n.js";
import { setIcon } from "./icons.js";

/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {import("./i18n.js").Values} Values */
/** @typedef {"rejoin" | "retry" | "wait" | "cancel" | "home"} Action */
/** @typedef {keyof typeof NOTICES} Notice */

/** The texts of every notice, its icon, and what it offers; the first is the likely choice. */
const NOTICES = {
  waiting: notice("waiting_title", "waiting_text", "clock", ["cancel"]),
  full: notice("full_title", "full_text", "people", ["wait", "retry", "home"]),
  queue_full: notice("full_title", "queue_full_text", "people", ["retry", "home"]),
  locked: notice("locked_title", "locked_text", "lock", ["retry", "home"]),
  kicked: notice("kicked_title", "kicked_text", "kick", ["home"]),
  unauthorized: notice("unauthorized_title", "unauthorized_text", "lock", ["retry", "home"]),
  expired: notice("expired_title", "expired_text", "clock", ["home"]),
  wrong_room: notice("wrong_room_title", "wrong_room_text", "door", ["home"]),
  replaced: notice("replaced_title", "replaced_text", "screen", ["rejoin", "home"]),
  server_full: notice("server_full_title", "server_full_text", "server", ["retry", "home"]),
  unreachable: notice("unreachable_title", "unreachable_text", "server", ["retry"]),
  stopped: notice("stopped_title", "stopped_text", "server", ["retry"]),
  failed: notice("failed_title", "failed_text", "warning", ["retry", "home"]),
  left: notice("left_title", "left_text", "door", ["rejoin", "home"]),
  bad_room: notice("bad_room_title", "bad_room_text", "path", ["home"]),
  unsupported: notice("unsupported_title", "unsupported_text", "warning", ["home"]),
};

/** @type {Record<string, Notice>} By error code of the protocol, and by why a call was closed. */
const BY_CODE = {
  room_full: "full",
  room_locked: "locked",
  kicked: "kicked",
  unauthorized: "unauthorized",
  token_expired: "expired",
  wrong_room: "wrong_room",
  replaced: "replaced",
  server_full: "server_full",
  draining: "stopped",
};

/** @type {Record<Action, Key>} */
const CAPTIONS = { rejoin: "rejoin", retry: "try_again", wait: "full_wait", cancel: "cancel", home: "home" };

const page = /** @type {HTMLElement} */ (document.getElementById("notice"));
const title = /** @type {HTMLElement} */ (document.getElementById("notice-title"));
const body = /** @type {HTMLElement} */ (document.getElementById("notice-text"));
const badge = /** @type {HTMLElement} */ (document.getElementById("notice-icon"));
const position = /** @type {HTMLElement} */ (document.getElementById("position"));
const buttons = /** @type {HTMLElement} */ (document.getElementById("notice-actions"));

/** The notice for an error code; `failed` for one that people can do nothing about. @param {string} code */
export const noticeFor = (code) => BY_CODE[code] ?? "failed";

/**
 * Fills the page in.
 * @param {Notice} kind
 * @param {Partial<Record<Action, () => void>>} actions what its buttons do; `home` needs none
 * @param {Values} [values] `position` in the queue, or the `reason` somebody gave
 */
export function fillNotice(kind, actions, values = {}) {
  const { title: heading, text, picture, offers } = NOTICES[kind];
  const isSame = page.dataset.notice === kind;
  page.dataset.notice = kind;
  say(title, heading);
  say(body, kind === "kicked" && values.reason ? "kicked_reason" : text, values);
  setIcon(badge, picture);
  badge.classList.toggle("alert", kind === "failed" || kind === "kicked");
  position.hidden = values.position === undefined;
  if (values.position !== undefined) say(position, "waiting_position", { n: values.position });
  // The queue moves: its button keeps the focus.
  if (isSame && kind === "waiting") return;
  buttons.replaceChildren(...offers.map((action, index) => button(action, index === 0, actions[action])));
}

/** @param {Action} action @param {boolean} isFirst @param {(() => void) | undefined} act */
function button(action, isFirst, act) {
  const element = document.createElement(action === "home" ? "a" : "button");
  element.className = isFirst && action !== "cancel" ? "button primary" : "button";
  element.dataset.testid = action;
  say(element, CAPTIONS[action]);
  if (element instanceof HTMLAnchorElement) {
    element.href = "/";
    return element;
  }
  element.type = "button";
  if (act) element.addEventListener("click", act);
  return element;
}

/** @param {Key} heading @param {Key} text @param {string} picture @param {Action[]} offers */
function notice(heading, text, picture, offers) {
  return { title: heading, text, picture, offers };
}
