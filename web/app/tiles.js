// The tiles of the stage: one for everybody's camera, ourselves too, and one for each shared screen.

import { layOutWithScreens } from "./grid.js";
import { label, say } from "./i18n.js";
import { icon } from "./icons.js";
import { avatar, hueOf } from "./avatar.js";

/** @typedef {import("/client.js").Peer} Peer */
/** @typedef {import("/client.js").Person} Person */
/** @typedef {import("/client.js").Source} Source */
/** @typedef {import("./grid.js").Box} Box */

/**
 * What a tile shows.
 * @typedef {object} Shown
 * @property {string} name
 * @property {boolean} isOwn
 * @property {MediaStream | null} stream
 * @property {boolean} hasVideo
 * @property {boolean} isMuted
 * @property {"" | "connecting" | "failed" | "away"} link how we are connected with whoever it is
 */

export class Tiles {
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #stage = /** @type {HTMLElement} */ (document.getElementById("stage"));
  #list = /** @type {HTMLElement} */ (document.getElementById("tiles"));
  #invite = /** @type {HTMLElement} */ (document.getElementById("invite"));
  #speaker = "";
  #onSilenced;

  /** @param {(isSilenced: boolean) => void} onSilenced called when the browser refuses to play sound, or plays it */
  constructor(onSilenced) {
    this.#onSilenced = onSilenced;
    new ResizeObserver(() => this.#layOut()).observe(this.#stage);
  }

  /**
   * Shows someone's camera tile, and their screen if they share one.
   * @param {Peer} peer
   */
  showPeer(peer) {
    const link = linkOf(peer);
    this.#show(peer.id, "camera", {
      name: peer.name,
      isOwn: false,
      stream: peer.streams.camera,
      hasVideo: peer.video,
      isMuted: !peer.audio,
      link,
    });
    if (!peer.screen) return this.#remove(`${peer.id}:screen`);
    const stream = peer.streams.screen;
    this.#show(peer.id, "screen", { name: peer.name, isOwn: false, stream, hasVideo: true, isMuted: false, link });
  }

  /**
   * Shows our own tile.
   * @param {Person} me
   * @param {MediaStreamTrack | null} video
   * @param {boolean} isMuted
   */
  showSelf(me, video, isMuted) {
    const shown = this.#tiles.get(`${me.id}:camera`)?.stream;
    const isSame = (shown?.getVideoTracks()[0] ?? null) === video;
    const stream = isSame ? (shown ?? null) : video && new MediaStream([video]);
    this.#show(me.id, "camera", { name: me.name, isOwn: true, stream, hasVideo: video !== null, isMuted, link: "" });
  }

  /** Whether someone has a tile. @param {string} id */
  has(id) {
    return this.#tiles.has(`${id}:camera`);
  }

  /** Takes away all tiles of someone. @param {string} id */
  removePerson(id) {
    this.#remove(`${id}:camera`);
    this.#remove(`${id}:screen`);
  }

  clear() {
    for (const key of [...this.#tiles.keys()]) this.#remove(key);
  }

  /** @param {string} id @param {boolean} isSpeaking */
  showSpeaking(id, isSpeaking) {
    this.#tiles.get(`${id}:camera`)?.element.toggleAttribute("data-speaking", isSpeaking);
  }

  /** Plays the others on another speaker. @param {string} deviceId */
  useSpeaker(deviceId) {
    this.#speaker = deviceId;
    for (const tile of this.#tiles.values()) tile.useSpeaker(deviceId);
  }

  /** Tries again to play what the browser refused to; from a click it may. */
  async play() {
    const results = await Promise.all([...this.#tiles.values()].map((tile) => tile.play()));
    this.#onSilenced(results.includes(false));
  }

  /** @param {string} id @param {Source} source @param {Shown} shown */
  #show(id, source, shown) {
    const key = `${id}:${source}`;
    const known = this.#tiles.get(key);
    const tile = known ?? new Tile(id, source);
    if (!known) {
      this.#tiles.set(key, tile);
      // We come first; everybody else in the order in which they came.
      if (shown.isOwn) this.#list.prepend(tile.element);
      else this.#list.append(tile.element);
      tile.useSpeaker(this.#speaker);
    }
    const isNewStream = tile.show(shown);
    if (!known) this.#layOut();
    if (!isNewStream) return;
    tile.play().then((isPlaying) => isPlaying || this.#onSilenced(true));
  }

  /** @param {string} key */
  #remove(key) {
    const tile = this.#tiles.get(key);
    if (!tile) return;
    this.#tiles.delete(key);
    tile.close();
    this.#layOut();
  }

  #layOut() {
    const all = [...this.#tiles.values()];
    const screens = all.filter((tile) => tile.source === "screen");
    const people = [...this.#list.children].filter((element) => element.getAttribute("data-source") === "camera");
    const isAlone = people.length === 1 && screens.length === 0;
    this.#invite.hidden = !isAlone;
    if (isAlone) people.push(this.#invite);
    const area = { left: 0, top: 0, width: this.#stage.clientWidth, height: this.#stage.clientHeight };
    if (area.width === 0) return;
    const boxes = layOutWithScreens(area, screens.length, people.length);
    boxes.screens.forEach((box, index) => place(screens[index].element, box));
    boxes.people.forEach((box, index) => place(people[index], box));
  }
}

/** One tile. */
class Tile {
  element = document.createElement("li");
  #video = document.createElement("video");
  #name = document.createElement("bdi");
  #muted = document.createElement("span");
  #state = document.createElement("p");
  #avatar = avatar("");

  /** @param {string} id @param {Source} source */
  constructor(id, source) {
    this.source = source;
    this.element.className = "tile";
    Object.assign(this.element.dataset, { testid: "tile", peer: id, source });
    this.#video.autoplay = true;
    this.#video.playsInline = true;
    this.#video.disablePictureInPicture = false;
    this.#video.dataset.testid = "tile-video";
    this.#muted.className = "tile-muted";
    this.#muted.dataset.testid = "tile-muted";
    this.#muted.setAttribute("role", "img");
    label(this.#muted, "muted_icon");
    this.#muted.append(icon("mic-off"));
    this.#name.dataset.testid = "tile-name";
    this.#state.className = "tile-state";
    const plate = document.createElement("p");
    plate.className = "nameplate";
    plate.append(this.#muted, this.#name);
    this.element.append(this.#avatar, this.#video, plate, this.#state);
    // A black rectangle is no picture: the initial stays until the first frame.
    this.#video.addEventListener("resize", () => this.#showPicture());
  }

  /** @returns {MediaStream | null} */
  get stream() {
    return /** @type {MediaStream | null} */ (this.#video.srcObject);
  }

  /** @param {Shown} shown @returns {boolean} whether there is a new stream, to be played */
  show(shown) {
    this.hasVideo = shown.hasVideo;
    this.#video.muted = shown.isOwn;
    this.element.toggleAttribute("data-own", shown.isOwn);
    this.element.toggleAttribute("data-muted", shown.isMuted);
    this.element.dataset.link = shown.link;
    this.element.style.setProperty("--tile", hueOf(this.element.dataset.peer ?? ""));
    this.#muted.hidden = !shown.isMuted;
    this.#avatar.textContent = avatar(shown.name).textContent;
    say(this.#name, this.#caption(shown), { name: shown.name });
    this.#showState(shown.link);
    const isNew = this.stream !== shown.stream;
    if (isNew) this.#video.srcObject = shown.stream;
    this.#showPicture();
    return isNew && shown.stream !== null;
  }

  /** @returns {Promise<boolean>} whether the browser lets it play */
  async play() {
    if (!this.#video.srcObject) return true;
    try {
      await this.#video.play();
      return true;
    } catch (error) {
      // AbortError: the stream changed meanwhile, and plays by itself.
      return !(error instanceof DOMException && error.name === "NotAllowedError");
    }
  }

  /** @param {string} deviceId */
  useSpeaker(deviceId) {
    // A speaker that is gone leaves the sound on the one before.
    if ("setSinkId" in this.#video) this.#video.setSinkId(deviceId === "default" ? "" : deviceId).catch(() => {});
  }

  close() {
    this.#video.srcObject = null;
    this.element.remove();
  }

  #showPicture() {
    this.element.toggleAttribute("data-video", this.hasVideo && this.#video.videoWidth > 0);
  }

  /** @param {Shown} shown */
  #caption({ isOwn }) {
    if (this.source === "screen") return "tile_screen";
    return isOwn ? "you_named" : "tile_label";
  }

  /** @param {Shown["link"]} link */
  #showState(link) {
    this.#state.hidden = link === "";
    if (link === "") return;
    const line = document.createElement("span");
    say(line, link === "away" ? "away" : link === "failed" ? "peer_failed" : "peer_connecting");
    this.#state.replaceChildren(line);
  }
}

/** @param {Peer} peer @returns {Shown["link"]} */
function linkOf(peer) {
  if (peer.connection === "failed") return "failed";
  if (peer.connection === "new" || peer.connection === "connecting") return "connecting";
  // Media may well go on while their connection to the server is lost.
  return peer.away && peer.connection !== "connected" ? "away" : peer.connection === "disconnected" ? "away" : "";
}

/** @param {Element} element @param {Box} box */
function place(element, box) {
  const { style } = /** @type {HTMLElement} */ (element);
  style.left = `${box.left}px`;
  style.top = `${box.top}px`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
}
