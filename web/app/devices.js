// Our own camera and microphone: which are used, whether they are on, and why one cannot be had.
// The camera is released while it is off, so that its light goes out; the microphone is kept, so that
// unmuting is instant.

import { say, text } from "./i18n.js";
import { recall, remember, recallHere, rememberHere } from "./memory.js";

/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {"audio" | "video"} Kind */
/** @typedef {"denied" | "absent" | "busy" | "insecure"} Problem */

/** Enough for a whole window, and what most cameras can do. */
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/** Events: `change` when tracks, problems or switches changed; `list` when devices came or went. */
export class LocalMedia extends EventTarget {
  /** @type {Record<Kind, MediaStreamTrack | null>} */
  #tracks = { audio: null, video: null };
  /** @type {Record<Kind, Problem | null>} Why a wanted track is not there. */
  problems = { audio: null, video: null };
  /** @type {Record<Kind, boolean>} What the user switched on. */
  on = { audio: recallHere("audio") !== "off", video: recallHere("video") !== "off" };
  isStarting = false;
  /** Changes follow one another. @type {Promise<unknown>} */
  #queue = Promise.resolve();

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", () => this.dispatchEvent(new Event("list")));
  }

  /** @returns {MediaStreamTrack | null} */
  get audioTrack() {
    return this.#tracks.audio;
  }

  /** @returns {MediaStreamTrack | null} */
  get videoTrack() {
    return this.#tracks.video;
  }

  /** Whether a device is switched on and there. @param {Kind} kind */
  isOn(kind) {
    return this.on[kind] && this.#tracks[kind] !== null;
  }

  /** A new stream of what there is now, to be published. */
  stream() {
    return new MediaStream([this.#tracks.audio, this.#tracks.video].filter((track) => track !== null));
  }

  /** Asks for the microphone, and for the camera unless it was left off. */
  start() {
    return this.#next(async () => {
      this.isStarting = true;
      this.#changed();
      const kinds = /** @type {Kind[]} */ (this.on.video ? ["audio", "video"] : ["audio"]);
      const missing = kinds.filter((kind) => this.#tracks[kind] === null);
      // One question for both, if the browser has to ask.
      if (missing.length === 2 && !(await this.#acquire(["audio", "video"]))) {
        for (const kind of missing) await this.#acquire([kind]);
      } else if (missing.length === 1) {
        await this.#acquire(missing);
      }
      this.isStarting = false;
      this.#changed();
      this.dispatchEvent(new Event("list"));
    });
  }

  /**
   * Switches the microphone or the camera on or off.
   * @param {Kind} kind
   * @param {boolean} on
   */
  turn(kind, on) {
    return this.#next(async () => {
      this.on[kind] = on;
      rememberHere(kind, on ? null : "off");
      if (on && this.#tracks[kind] === null) await this.#acquire([kind]);
      // Nothing else can be switched on.
      if (on && this.#tracks[kind] === null) this.on[kind] = false;
      if (!on && kind === "video") this.#release("video");
      if (this.#tracks.audio) this.#tracks.audio.enabled = this.on.audio;
      this.#changed();
    });
  }

  /**
   * Uses another device; the earlier one stays in use when that fails.
   * @param {Kind} kind
   * @param {string} deviceId
   * @returns {Promise<boolean>} whether it could be had
   */
  choose(kind, deviceId) {
    return this.#next(async () => {
      const earlier = recall(kind);
      remember(kind, deviceId || null);
      if (kind === "video" && !this.on.video) return true;
      const track = this.#tracks[kind];
      const isReplaced = await this.#acquire([kind]);
      if (isReplaced) track?.stop();
      else {
        remember(kind, earlier);
        this.#tracks[kind] = track;
        if (track) this.problems[kind] = null;
      }
      this.#changed();
      return isReplaced;
    });
  }

  /** The id of the device in use, or the one that was chosen. @param {Kind} kind */
  deviceId(kind) {
    return this.#tracks[kind]?.getSettings().deviceId ?? recall(kind) ?? "";
  }

  /** Releases both devices. */
  stop() {
    return this.#next(async () => {
      this.#release("audio");
      this.#release("video");
      this.#changed();
    });
  }

  /** @param {Kind[]} kinds @returns {Promise<boolean>} */
  async #acquire(kinds) {
    if (!navigator.mediaDevices?.getUserMedia) {
      for (const kind of kinds) this.problems[kind] = "insecure";
      return false;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia(wishes(kinds));
      for (const track of stream.getTracks()) this.#keep(/** @type {Kind} */ (track.kind), track);
      return true;
    } catch (error) {
      for (const kind of kinds) this.problems[kind] = problemOf(error);
      return false;
    }
  }

  /** @param {Kind} kind @param {MediaStreamTrack} track */
  #keep(kind, track) {
    this.#tracks[kind] = track;
    this.problems[kind] = null;
    if (kind === "audio") track.enabled = this.on.audio;
    // Only a device that went away ends a track; stop() does not fire this.
    track.addEventListener("ended", () => this.#lost(kind, track));
  }

  /** @param {Kind} kind @param {MediaStreamTrack} track */
  #lost(kind, track) {
    this.#next(async () => {
      if (this.#tracks[kind] !== track) return;
      this.#tracks[kind] = null;
      await this.#acquire([kind]);
      if (this.#tracks[kind] === null) this.on[kind] = false;
      this.#changed();
    });
  }

  /** @param {Kind} kind */
  #release(kind) {
    this.#tracks[kind]?.stop();
    this.#tracks[kind] = null;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @template T @param {() => Promise<T>} step @returns {Promise<T>} */
  #next(step) {
    const result = this.#queue.then(step);
    this.#queue = result.catch(() => {});
    return result;
  }
}

/**
 * Puts a choice of camera, microphone and (where the browser can choose it) speaker into an element,
 * and keeps it up to date.
 * @param {Element} place
 * @param {LocalMedia} media
 * @param {{failed: () => void, speaker: (deviceId: string) => void}} on
 */
export function deviceFields(place, media, on) {
  const audio = deviceField("microphone", (id) => media.choose("audio", id));
  const video = deviceField("camera", (id) => media.choose("video", id));
  const speaker = deviceField("speaker", async (id) => {
    remember("speaker", id || null);
    on.speaker(id);
    return true;
  });
  const fields = [video, audio, ...("setSinkId" in HTMLMediaElement.prototype ? [speaker] : [])];
  place.append(...fields.map((field) => field.element));

  const refresh = async () => {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    const of = (/** @type {string} */ kind) => devices.filter((device) => device.kind === kind);
    audio.fill(of("audioinput"), media.deviceId("audio"), "microphone");
    video.fill(of("videoinput"), media.deviceId("video"), "camera");
    speaker.fill(of("audiooutput"), recall("speaker") ?? "default", "speaker");
  };
  media.addEventListener("list", refresh);
  media.addEventListener("change", refresh);
  document.addEventListener("languagechange", refresh);
  refresh();

  /** @param {"camera" | "microphone" | "speaker"} key @param {(id: string) => Promise<boolean>} choose */
  function deviceField(key, choose) {
    const element = document.createElement("label");
    element.className = "field";
    const caption = document.createElement("span");
    say(caption, key);
    const select = document.createElement("select");
    select.dataset.testid = `select-${key}`;
    select.addEventListener("change", async () => {
      if (await choose(select.value)) return;
      on.failed();
      refresh();
    });
    element.append(caption, select);
    return {
      element,
      /** @param {MediaDeviceInfo[]} devices @param {string} chosen @param {Key} kind */
      fill(devices, chosen, kind) {
        const options = devices.map((device, index) => {
          const name = device.label || text("device_numbered", { kind: text(kind), n: index + 1 });
          return new Option(name, device.deviceId, false, device.deviceId === chosen);
        });
        if (options.length === 0) options.push(new Option(text("no_device"), ""));
        select.disabled = devices.length === 0;
        select.replaceChildren(...options);
      },
    };
  }
}

/** @param {Kind[]} kinds @returns {MediaStreamConstraints} */
function wishes(kinds) {
  const device = (/** @type {Kind} */ kind) => {
    const deviceId = recall(kind);
    return deviceId ? { deviceId: { ideal: deviceId } } : {};
  };
  return {
    audio: kinds.includes("audio") && device("audio"),
    video: kinds.includes("video") && { ...PICTURE, facingMode: "user", ...device("video") },
  };
}

/** @param {unknown} error @returns {Problem} */
function problemOf(error) {
  const name = error instanceof Error ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "absent";
  return "busy";
}
