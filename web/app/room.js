// The room app: brings the screens and the call together. Everything about media connections and the
// server is left to /client.js.

import { connect } from "/client.js";
import { note } from "./announce.js";
import { Chat } from "./chat.js";
import { canShare, showBanner, showPanel, showSharing, startControls } from "./controls.js";
import { openDetails } from "./details.js";
import { deviceFields, LocalMedia } from "./devices.js";
import { startTranslation } from "./i18n.js";
import { drawIcons } from "./icons.js";
import { Levels } from "./levels.js";
import { nameInToken, recall, recallHere, rememberHere, takeToken } from "./memory.js";
import { fillNotice, noticeFor } from "./notice.js";
import { People } from "./people.js";
import { focusPrejoin, showJoining, startPrejoin } from "./prejoin.js";
import { roomOfAddress } from "./rooms.js";
import { isOn, showScreen } from "./screens.js";
import { startShortcuts } from "./shortcuts.js";
import { Tiles } from "./tiles.js";

/** @typedef {import("/client.js").Call} Call */
/** @typedef {import("/client.js").Peer} Peer */
/** @typedef {import("./i18n.js").Values} Values */
/** @typedef {import("./notice.js").Notice} Notice */

/** A server that is there answers long before. */
const UNREACHABLE_MS = 10_000;
/** A restart takes less. */
const STOPPED_MS = 30_000;

class RoomApp {
  #room;
  #token;
  #name = recall("name") ?? "";
  #media = new LocalMedia();
  #levels = new Levels();
  #chat = new Chat((text) => this.#call?.chat(text) ?? Promise.resolve());
  #tiles = new Tiles((isSilenced) => this.#showSilenced(isSilenced));
  /** @type {Call | null} */
  #call = null;
  /** @type {People | null} */
  #people = null;
  /** @type {MediaStream | null} */
  #screen = null;
  /** @type {{release: () => Promise<void>} | null} */
  #wakeLock = null;
  /** @type {string | null} What a moderator wrote who sent us out. */
  #kickReason = null;
  /** @type {number | undefined} */
  #patience;
  /** @type {Set<string>} Whoever was there when we came needs no note. */
  #present = new Set();
  #moderates = false;

  /** @param {string} room */
  constructor(room) {
    this.#room = room;
    this.#token = takeToken(room);
  }

  start() {
    for (const place of document.querySelectorAll("[data-devices]")) {
      deviceFields(place, this.#media, {
        failed: () => note("device_failed"),
        speaker: (id) => this.#tiles.useSpeaker(id),
      });
    }
    const speaker = recall("speaker");
    if (speaker) this.#tiles.useSpeaker(speaker);
    this.#media.addEventListener("change", () => this.#publish());
    startPrejoin(this.#room, nameInToken(this.#token), this.#media, this.#levels, (name) => {
      this.#name = name;
      this.#enter(false);
    });
    const actions = startControls(this.#media, {
      share: () => this.#share(),
      leave: () => this.#leave(),
      details: () => this.#call && openDetails(this.#call),
      copyLink: () => this.#copyLink(),
      panel: (open) => this.#chat.setOpen(open === "chat"),
    });
    startShortcuts(() => isOn("call"), actions);
    const roomName = /** @type {HTMLElement} */ (document.getElementById("room-name"));
    roomName.textContent = this.#room;
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.#playSilenced());
    document.addEventListener("visibilitychange", () => this.#keepAwake());
    this.#showTitle();
    this.#begin();
  }

  /** A page that was loaded anew in a call goes back into it; any other asks first. */
  async #begin() {
    const wasInCall = recallHere(`in.${this.#room}`) !== null && this.#name !== "";
    showScreen("prejoin");
    if (!wasInCall) {
      focusPrejoin();
      await this.#media.start();
      return;
    }
    showJoining(true);
    await this.#media.start();
    await this.#enter(false);
  }

  /** Enters the room. @param {boolean} wait whether to queue when it is full */
  async #enter(wait) {
    showJoining(true);
    const call = this.#call ?? this.#open();
    try {
      await call.join(this.#room, { name: this.#name, wait });
      rememberHere(`in.${this.#room}`, "yes");
    } catch (error) {
      this.#refused(call, /** @type {import("/client.js").CallError} */ (error), wait);
    } finally {
      showJoining(false);
    }
  }

  /** @returns {Call} */
  #open() {
    const call = connect(this.#token === null ? {} : { token: this.#token });
    this.#call = call;
    this.#people = new People(call);
    this.#publish();
    this.#patience = setTimeout(() => this.#end("unreachable"), UNREACHABLE_MS);
    // A call that was ended here still tells of its end.
    const isOurs = () => this.#call === call;
    call.on("state", ({ state, reason, position }) => isOurs() && this.#showState(state, reason, position));
    call.on("joined", ({ me, peers }) => {
      this.#present = new Set(peers.map(({ id }) => id));
      this.#moderates = me.grants.includes("moderate");
      if (isOurs()) this.#showCall();
    });
    call.on("peer", ({ peer }) => this.#showPeer(peer));
    call.on("peerchange", ({ peer }) => this.#changed(peer.id));
    call.on("peerleft", ({ peer, reason }) => this.#gone(peer, reason));
    for (const type of /** @type {const} */ (["track", "trackended"])) {
      call.on(type, ({ peer }) => this.#showPeer(peer));
    }
    call.on("published", ({ source, stream }) => source === "screen" && this.#showScreenShare(stream));
    call.on("chat", (message) => {
      this.#chat.add(message, message.from.id === call.me?.id);
      this.#showTitle();
    });
    call.on("moderated", (event) => this.#moderated(event));
    return call;
  }

  /** @param {import("/client.js").CallState} state @param {string | null} reason @param {number | undefined} position */
  #showState(state, reason, position) {
    clearTimeout(this.#patience);
    if (state === "waiting") {
      fillNotice("waiting", { cancel: () => this.#end("left") }, { position: position ?? 1 });
      showScreen("notice");
    }
    if (state === "connected") {
      if (this.#isReconnecting()) note("back");
      showBanner(null);
    }
    if (state === "reconnecting" && isOn("call")) {
      showBanner("reconnecting");
      this.#patience = setTimeout(() => showBanner("stopped_text"), STOPPED_MS);
    }
    // Else it is the page that goes, and comes back when it is loaded anew.
    if (state === "closed" && reason !== "closed") this.#end(noticeFor(reason ?? ""), this.#reason(reason));
  }

  /**
   * What there is to say about an end: a moderator's words, or an error code.
   * @param {string | null} code
   * @returns {Values}
   */
  #reason(code) {
    if (code !== "kicked") return { reason: code ?? "" };
    return this.#kickReason ? { reason: this.#kickReason } : {};
  }

  #isReconnecting() {
    return document.getElementById("banner")?.hidden === false;
  }

  /** @param {Call} call @param {import("/client.js").CallError} error @param {boolean} waited */
  #refused(call, error, waited) {
    // Whatever closed the call has been shown, or the page goes.
    if (this.#call !== call || error.code === "closed") return;
    if (error.code === "room_full") return this.#end(waited ? "queue_full" : "full");
    this.#end(noticeFor(error.code), error.code === "kicked" ? {} : { reason: error.message });
  }

  #showCall() {
    const { me, locked } = /** @type {Call} */ (this.#call);
    if (!me) return;
    this.#tiles.clear();
    this.#showLocked(locked);
    showScreen("call");
    this.#showSelf();
    this.#people?.show();
    this.#keepAwake();
  }

  /** @param {string} id */
  #changed(id) {
    const call = this.#call;
    const peer = call?.peers.get(id);
    if (peer) return this.#showPeer(peer);
    if (!call?.me || id !== call.me.id) return;
    this.#showSelf();
    this.#people?.show();
    const moderates = call.me.grants.includes("moderate");
    if (moderates && !this.#moderates) note("moderator_note");
    this.#moderates = moderates;
  }

  /** @param {Peer} peer */
  #showPeer(peer) {
    if (!this.#call?.peers.has(peer.id)) return;
    const isNew = !this.#tiles.has(peer.id);
    this.#tiles.showPeer(peer);
    this.#people?.show();
    const audio = peer.streams.camera.getAudioTracks()[0];
    this.#levels.watch(peer.id, audio, (_, isSpeaking) => this.#tiles.showSpeaking(peer.id, isSpeaking));
    if (isNew && !this.#present.has(peer.id)) note("joined_note", { name: peer.name });
  }

  /** @param {Peer} peer @param {string} reason */
  #gone(peer, reason) {
    this.#tiles.removePerson(peer.id);
    this.#levels.unwatch(peer.id);
    this.#people?.show();
    if (reason === "left") note("left_note", { name: peer.name });
    if (reason === "lost") note("lost_note", { name: peer.name });
    if (reason === "kicked") note("kicked_note", { name: peer.name });
  }

  #showSelf() {
    const me = this.#call?.me;
    if (!me) return;
    this.#tiles.showSelf(me, this.#media.isOn("video") ? this.#media.videoTrack : null, !this.#media.isOn("audio"));
    const audio = this.#media.audioTrack ?? undefined;
    this.#levels.watch("self", audio, (_, isSpeaking) => this.#tiles.showSpeaking(this.#call?.me?.id ?? "", isSpeaking));
  }

  /** Hands the client what the devices give now. */
  #publish() {
    const call = this.#call;
    if (!call || this.#media.isStarting) return;
    for (const kind of /** @type {const} */ (["audio", "video"])) call.enable(kind, this.#media.isOn(kind));
    call.publish(this.#media.stream());
    this.#showSelf();
  }

  async #share() {
    const call = this.#call;
    if (!call || !canShare) return;
    if (this.#screen) return call.unpublish("screen");
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: true });
      // Text has to be sharp; motion may wait.
      for (const track of stream.getVideoTracks()) track.contentHint = "detail";
      if (this.#call === call) call.publish(stream, "screen");
      else stopTracks(stream);
    } catch (error) {
      // Whoever closes the browser's own dialog knows that nothing is shared.
      if (!(error instanceof DOMException && error.name === "NotAllowedError")) note("share_failed");
    }
  }

  /** @param {MediaStream | null} stream */
  #showScreenShare(stream) {
    if (stream === null && this.#screen) stopTracks(this.#screen);
    this.#screen = stream;
    showSharing(stream !== null);
  }

  /** @param {import("/client.js").CallEvents["moderated"]} event */
  #moderated(event) {
    if (event.action === "kick") this.#kickReason = event.reason;
    if (event.action === "mute") {
      this.#media.turn(event.kind, false);
      note(event.kind === "audio" ? "muted_by" : "video_muted_by");
    }
    if (event.action === "lock" || event.action === "unlock") {
      const isLocked = event.action === "lock";
      this.#showLocked(isLocked);
      this.#people?.show();
      note(isLocked ? "locked_note" : "unlocked_note");
    }
  }

  #leave() {
    this.#end("left");
  }

  /**
   * Ends the call and says why.
   * @param {Notice} kind
   * @param {Values} [values]
   */
  #end(kind, values) {
    const call = this.#call;
    this.#call = null;
    clearTimeout(this.#patience);
    rememberHere(`in.${this.#room}`, null);
    call?.close();
    this.#showScreenShare(null);
    showPanel(null);
    showBanner(null);
    this.#chat.setOpen(false);
    this.#chat.clear();
    this.#people?.clear();
    this.#tiles.clear();
    this.#kickReason = null;
    this.#media.stop();
    this.#keepAwake();
    this.#showTitle();
    const again = () => this.#again(false);
    fillNotice(kind, { retry: again, rejoin: again, wait: () => this.#again(true) }, values);
    showScreen("notice");
  }

  /** Comes back after a notice, with the devices as they were. @param {boolean} wait */
  async #again(wait) {
    showScreen("prejoin");
    showJoining(true);
    await this.#media.start();
    await this.#enter(wait);
  }

  async #copyLink() {
    const link = location.origin + location.pathname;
    try {
      await navigator.clipboard.writeText(link);
      note("copied");
    } catch {
      note("copy_failed", { link });
    }
  }

  /** @param {boolean} isLocked */
  #showLocked(isLocked) {
    const sign = /** @type {HTMLElement} */ (document.getElementById("room-locked"));
    sign.hidden = !isLocked;
  }

  /** @param {boolean} isSilenced */
  #showSilenced(isSilenced) {
    const hear = /** @type {HTMLElement} */ (document.getElementById("hear"));
    hear.hidden = !isSilenced;
  }

  #playSilenced() {
    if (document.getElementById("hear")?.hidden === false) this.#tiles.play();
  }

  #showTitle() {
    const unread = this.#chat.unread > 0 ? `(${this.#chat.unread}) ` : "";
    document.title = `${unread}${this.#room} · turnstone`;
  }

  /** Keeps a phone's display on during the call; the browser lets go of it when the page is hidden. */
  async #keepAwake() {
    const isWanted = this.#call !== null && isOn("call") && document.visibilityState === "visible";
    const held = this.#wakeLock;
    this.#wakeLock = null;
    await held?.release().catch(() => {});
    if (!isWanted || !("wakeLock" in navigator)) return;
    this.#wakeLock = await navigator.wakeLock.request("screen").catch(() => null);
  }
}

/** @param {MediaStream} stream */
function stopTracks(stream) {
  for (const track of stream.getTracks()) track.stop();
}

drawIcons(document);
startTranslation();
const room = roomOfAddress();
if (room === null || typeof RTCPeerConnection === "undefined") {
  fillNotice(room === null ? "bad_room" : "unsupported", {});
  showScreen("notice");
} else {
  new RoomApp(room).start();
}
