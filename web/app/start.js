// The start page: opens a room by its name, or one with a made-up name.

import { drawIcons } from "./icons.js";
import { say, startTranslation } from "./i18n.js";
import { isRoomName, madeUpRoomName, roomAddress } from "./rooms.js";

const field = /** @type {HTMLInputElement} */ (document.getElementById("room"));
const problem = /** @type {HTMLElement} */ (document.getElementById("room-error"));

drawIcons(document);
startTranslation();

document.getElementById("new-call")?.addEventListener("click", () => {
  location.assign(roomAddress(madeUpRoomName()));
});

document.getElementById("by-name")?.addEventListener("submit", (event) => {
  event.preventDefault();
  // People write room names as they write titles.
  const room = field.value.trim().replace(/\s+/g, "-");
  if (isRoomName(room)) return location.assign(roomAddress(room));
  say(problem, "start_bad_room");
  problem.hidden = false;
  field.setAttribute("aria-invalid", "true");
  field.focus();
});

field.addEventListener("input", () => {
  problem.hidden = true;
  field.removeAttribute("aria-invalid");
});
