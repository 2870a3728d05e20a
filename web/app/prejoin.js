// The page before the call: who we are, how we look and sound, which devices to use.

import { label, say } from "./i18n.js";
import { setIcon } from "./icons.js";
import { recall, remember } from "./memory.js";

/** @typedef {import("./devices.js").LocalMedia} LocalMedia */
/** @typedef {import("./levels.js").Levels} Levels */

const preview = /** @type {HTMLVideoElement} */ (document.getElementById("preview"));
const veil = /** @type {HTMLElement} */ (document.getElementById("preview-veil"));
const micButton = /** @type {HTMLButtonElement} */ (document.getElementById("pre-mic"));
const cameraButton = /** @type {HTMLButtonElement} */ (document.getElementById("pre-camera"));
const meter = /** @type {HTMLElement} */ (document.getElementById("level"));
const nameField = /** @type {HTMLInputElement} */ (document.getElementById("name"));
const nameError = /** @type {HTMLElement} */ (document.getElementById("name-error"));
const joinButton = /** @type {HTMLButtonElement} */ (document.getElementById("join"));
const joinText = /** @type {HTMLElement} */ (document.getElementById("join-text"));
const help = /** @type {HTMLElement} */ (document.getElementById("media-help"));

/**
 * Sets the page up once; it shows whatever `media` does.
 * @param {string} room
 * @param {string | null} name what the invitation calls us
 * @param {LocalMedia} media
 * @param {Levels} levels
 * @param {(name: string) => void} join called when the form is filled in
 */
export function startPrejoin(room, name, media, levels, join) {
  const roomChip = document.getElementById("pre-room");
  if (roomChip) roomChip.textContent = room;
  nameField.value = recall("name") ?? name ?? "";
  micButton.addEventListener("click", () => media.turn("audio", !media.isOn("audio")));
  cameraButton.addEventListener("click", () => media.turn("video", !media.isOn("video")));
  document.getElementById("media-retry")?.addEventListener("click", () => {
    // Whoever tries again wants to be seen and heard.
    media.on.audio = true;
    media.on.video = true;
    media.start();
  });
  nameField.addEventListener("input", () => showNameError(false));
  document.getElementById("entry")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const written = nameField.value.trim();
    if (written === "") return showNameError(true);
    remember("name", written);
    join(written);
  });
  media.addEventListener("change", () => show(media, levels));
  show(media, levels);
}

/** Shows whether joining is under way. @param {boolean} isJoining */
export function showJoining(isJoining) {
  joinButton.disabled = isJoining;
  say(joinText, isJoining ? "joining" : "join");
  joinButton.querySelector(".spinner")?.remove();
  if (!isJoining) return;
  const spinner = document.createElement("i");
  spinner.className = "spinner";
  joinButton.prepend(spinner);
}

/** Puts the cursor where something is to be done. */
export function focusPrejoin() {
  (nameField.value === "" ? nameField : joinButton).focus();
}

/** @param {LocalMedia} media @param {Levels} levels */
function show(media, levels) {
  const { audioTrack, videoTrack, on, problems, isStarting } = media;
  showPicture(videoTrack);
  say(veil, isStarting && on.video ? "camera_starting" : "camera_is_off");
  veil.hidden = videoTrack !== null;
  const hears = media.isOn("audio") || (isStarting && on.audio);
  const sees = media.isOn("video") || (isStarting && on.video);
  showSwitch(micButton, hears, "mic", hears ? "mute" : "unmute");
  showSwitch(cameraButton, sees, "camera", sees ? "camera_off" : "camera_on");
  levels.watch("prejoin", audioTrack ?? undefined, showLevel);
  const wanted = isStarting ? null : helpFor(problems);
  help.hidden = wanted === null;
  if (wanted) showHelp(wanted);
}

/**
 * Shows a button that is on or off: red and crossed out while off.
 * @param {HTMLButtonElement} button
 * @param {boolean} isOn
 * @param {string} picture
 * @param {import("./i18n.js").Key} action what pressing it does
 */
export function showSwitch(button, isOn, picture, action) {
  button.classList.toggle("off", !isOn);
  setIcon(button, isOn ? picture : `${picture}-off`);
  label(button, action);
}

/** @param {MediaStreamTrack | null} track */
function showPicture(track) {
  const shown = preview.srcObject instanceof MediaStream ? preview.srcObject.getVideoTracks()[0] : null;
  if (shown === track) return;
  preview.srcObject = track ? new MediaStream([track]) : null;
}

/** @param {number} level */
function showLevel(level) {
  const lit = Math.round(level * meter.children.length);
  meter.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  [...meter.children].forEach((bar, index) => bar.classList.toggle("lit", index < lit));
}

/** @param {boolean} isMissing */
function showNameError(isMissing) {
  nameError.hidden = !isMissing;
  nameField.setAttribute("aria-invalid", String(isMissing));
  if (isMissing) nameField.focus();
}

/** @typedef {{title: import("./i18n.js").Key | null, text: import("./i18n.js").Key}} Help */

/** @param {LocalMedia["problems"]} problems @returns {Help | null} */
function helpFor({ audio, video }) {
  if (audio && video) return { title: `${audio}_title`, text: `${audio}_text` };
  if (video) return { title: null, text: "partly_camera" };
  if (audio) return { title: null, text: "partly_microphone" };
  return null;
}

/** @param {Help} wanted */
function showHelp(wanted) {
  const title = /** @type {HTMLElement} */ (document.getElementById("media-help-title"));
  const body = /** @type {HTMLElement} */ (document.getElementById("media-help-text"));
  title.hidden = wanted.title === null;
  if (wanted.title) say(title, wanted.title);
  say(body, wanted.text);
}
