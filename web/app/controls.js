// The buttons of the call: microphone, camera, screen, panels, the menu and its dialogs.

import { label, say } from "./i18n.js";
import { showSwitch } from "./prejoin.js";
import { setIcon } from "./icons.js";

/** @typedef {import("./devices.js").LocalMedia} LocalMedia */
/** @typedef {"chat" | "people"} Panel */

const micButton = button("mic");
const cameraButton = button("camera");
const shareButton = button("share");
const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));
const bannerText = /** @type {HTMLElement} */ (document.getElementById("banner-text"));
const sharing = /** @type {HTMLElement} */ (document.getElementById("sharing"));
const menu = dialog("more");

/** @type {Panel[]} */
const PANELS = ["chat", "people"];

/** Phones have no getDisplayMedia, or refuse it. */
export const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";

/**
 * Sets the buttons up once.
 * @param {LocalMedia} media
 * @param {object} on
 * @param {() => void} on.share starts or stops sharing the screen
 * @param {() => void} on.leave
 * @param {() => void} on.details opens the connection details
 * @param {() => void} on.copyLink
 * @param {(open: Panel | null) => void} on.panel called when a panel was opened or closed
 * @returns {Record<string, () => void>} what the shortcuts do, by key
 */
export function startControls(media, on) {
  const mic = () => media.turn("audio", !media.isOn("audio"));
  const camera = () => media.turn("video", !media.isOn("video"));
  const togglePanel = (/** @type {Panel} */ name) => on.panel(showPanel(openPanel() === name ? null : name, true));
  const closePanel = () => on.panel(showPanel(null, true));
  micButton.addEventListener("click", mic);
  cameraButton.addEventListener("click", camera);
  for (const id of ["share", "sharing-stop"]) button(id).addEventListener("click", on.share);
  for (const id of ["copy-link", "invite-copy"]) button(id).addEventListener("click", on.copyLink);
  button("leave").addEventListener("click", on.leave);
  for (const name of PANELS) {
    button(`${name}-open`).addEventListener("click", () => togglePanel(name));
    button(`${name}-close`).addEventListener("click", closePanel);
    panel(name).addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) closePanel();
    });
  }
  startDialogs(on.details);
  shareButton.hidden = !canShare;
  media.addEventListener("change", () => showMedia(media));
  showMedia(media);
  showSharing(false);
  return {
    m: mic,
    v: camera,
    s: () => canShare && on.share(),
    c: () => togglePanel("chat"),
    p: () => togglePanel("people"),
    l: on.leave,
    "?": () => dialog("help").showModal(),
    escape: () => openPanel() && closePanel(),
  };
}

/** @param {boolean} isSharing */
export function showSharing(isSharing) {
  sharing.hidden = !isSharing;
  shareButton.classList.toggle("on", isSharing);
  setIcon(shareButton, isSharing ? "screen-off" : "screen");
  label(shareButton, isSharing ? "share_stop" : "share");
}

/** Shows a banner, or none. @param {import("./i18n.js").Key | null} key */
export function showBanner(key) {
  banner.hidden = key === null;
  if (key) say(bannerText, key);
  banner.dataset.banner = key ?? "";
}

/**
 * Opens a panel, or closes both.
 * @param {Panel | null} wanted
 * @param {boolean} [movesFocus] back to the button that opened it
 * @returns {Panel | null} what is open now
 */
export function showPanel(wanted, movesFocus = false) {
  const before = openPanel();
  for (const name of PANELS) {
    panel(name).hidden = name !== wanted;
    button(`${name}-open`).setAttribute("aria-expanded", String(name === wanted));
  }
  if (movesFocus && wanted) button(`${wanted}-close`).focus();
  if (movesFocus && !wanted && before) button(`${before}-open`).focus();
  return wanted;
}

/** @returns {Panel | null} */
function openPanel() {
  return PANELS.find((name) => !panel(name).hidden) ?? null;
}

/** @param {LocalMedia} media */
function showMedia(media) {
  const hears = media.isOn("audio");
  const sees = media.isOn("video");
  showSwitch(micButton, hears, "mic", hears ? "mute" : "unmute");
  showSwitch(cameraButton, sees, "camera", sees ? "camera_off" : "camera_on");
}

/** @param {() => void} openDetails */
function startDialogs(openDetails) {
  button("more-open").addEventListener("click", () => menu.showModal());
  for (const item of document.querySelectorAll("[data-opens]")) {
    item.addEventListener("click", () => {
      menu.close();
      const name = item.getAttribute("data-opens") ?? "";
      if (name === "details") openDetails();
      else dialog(name).showModal();
    });
  }
  for (const item of document.querySelectorAll("[data-closes]")) {
    item.addEventListener("click", () => item.closest("dialog")?.close());
  }
  for (const element of document.querySelectorAll("dialog")) {
    // A click on what is behind a dialog, which counts as one on the dialog itself, closes it.
    element.addEventListener("click", (event) => {
      if (event.target === element && !isInside(element, event)) element.close();
    });
  }
}

/** @param {Element} element @param {MouseEvent} event */
function isInside(element, { clientX, clientY }) {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}

/** @param {string} id */
function button(id) {
  return /** @type {HTMLButtonElement} */ (document.getElementById(id));
}

/** @param {string} id */
function dialog(id) {
  return /** @type {HTMLDialogElement} */ (document.getElementById(id));
}

/** @param {Panel} name */
function panel(name) {
  return /** @type {HTMLElement} */ (document.getElementById(name));
}
