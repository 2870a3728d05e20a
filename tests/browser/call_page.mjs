// Runs inside a plain page: one person in a call through client.js, and what a test asks of them.

/** What a stream shows is read from a canvas of this size. */
const WIDTH = 64;
const HEIGHT = 48;
const POLL_MS = 50;

export class Caller {
  /** Every event, in order, in words that survive the way out of the page. */
  events = [];
  /** @type {Map<string, HTMLVideoElement>} what peers send, by peer name and source */
  videos = new Map();

  /** Every RTCPeerConnection that the client made. @type {RTCPeerConnection[]} */
  connections = [];
  /** How many offers and answers this page made. */
  descriptions = 0;

  /** @param {string} server e.g. `https://127.0.0.1:8443` */
  static async open(server, options = {}) {
    const client = await import(`${server}/client.js`);
    return new Caller(client.connect(options));
  }

  constructor(call) {
    this.call = call;
    this.#watchConnections();
    call.on("state", ({ state, reason, position }) => this.#saw("state", state, reason ?? position));
    call.on("joined", ({ me, peers }) => this.#saw("joined", me.name, peers.map(({ name }) => name).join()));
    call.on("peer", ({ peer }) => this.#saw("peer", peer.name));
    call.on("peerleft", ({ peer, reason }) => this.#saw("peerleft", peer.name, reason));
    call.on("chat", ({ from, text, to }) => this.#saw("chat", from.name, text, to?.name));
    call.on("moderated", ({ action, by, kind }) => this.#saw("moderated", action, by?.name, kind));
    call.on("error", ({ error }) => this.#saw("error", error.code ?? String(error)));
    call.on("published", ({ source, stream }) => this.#saw("published", source, Boolean(stream)));
    call.on("track", ({ peer, track, stream, source }) => {
      this.#saw("track", peer.name, source, track.kind);
      if (track.kind === "video") this.#show(`${peer.name} ${source}`, stream);
    });
    call.on("trackended", ({ peer, track, source }) => this.#saw("trackended", peer.name, source, track.kind));
  }

  /** Joins, and says nothing of it: what an app is given does not survive the way out of the page. */
  async join(room, options) {
    const self = await this.call.join(room, options);
    if (self !== this.call.me) throw new Error("join gives ourselves");
  }

  /** Publishes the fake microphone and camera. */
  async publishCamera() {
    this.camera = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { width: 160, height: 120, frameRate: 10 },
    });
    this.call.publish(this.camera);
  }

  /** Publishes a picture of one color, which changes a little all the time. */
  publishScreen(color) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
    const context = canvas.getContext("2d");
    let count = 0;
    const draw = () => {
      context.fillStyle = color;
      context.fillRect(0, 0, 160, 120);
      context.fillStyle = "black";
      context.fillRect(count++ % 150, 110, 10, 10);
    };
    draw();
    setInterval(draw, 200);
    this.screen = canvas.captureStream(5);
    this.call.publish(this.screen, "screen");
  }

  /** Ends the screen as the browser's own button does, which is not `stop()`: that has no event. */
  endScreen() {
    const [track] = this.screen.getTracks();
    Object.defineProperty(track, "readyState", { value: "ended" });
    track.dispatchEvent(new Event("ended"));
  }

  /** Waits until an event starts with these words. */
  sees(words) {
    return this.seesTimes(1, words);
  }

  async seesTimes(count, words) {
    await this.until(words, () => this.events.filter((event) => event.startsWith(words)).length >= count);
  }

  /** Waits until an event starts with these words, behind the one that was waited for so before. */
  async seesNext(words) {
    let index;
    await this.until(words, () => {
      index = this.events.findIndex((event, at) => at >= this.#read && event.startsWith(words));
      return index !== -1;
    });
    this.#read = index + 1;
  }

  /** Waits until a video shows a color. @param {number} channel 0 is red, 1 green, 2 blue */
  async seesColor(name, channel) {
    await this.until(`${name} has the color ${channel}`, () => {
      const middle = this.#picture(name)?.middle;
      return middle?.every((value, index) => (index === channel ? value > 150 : value < 90));
    });
  }

  /** Waits until a video of a peer plays, and goes on to play another picture. */
  async seesMoving(name) {
    let first;
    await this.until(`${name} plays`, () => (first = this.#picture(name)));
    const frames = first.frames;
    await this.until(`${name} moves`, () => {
      const { data, frames: now } = this.#picture(name) ?? first;
      return now > frames && data !== first.data;
    });
  }

  /** @param {(stats: object) => boolean} [isWanted] null unless they are so */
  async stats(name, isWanted = () => true) {
    const stats = await this.call.stats(this.peer(name));
    return stats && isWanted(stats) ? stats : null;
  }

  /** How many m-lines the latest connection has. */
  lines() {
    return this.connections.at(-1).getTransceivers().length;
  }

  /** From now on `gaps` holds every state of the present connection in which media does not flow. */
  watchForGaps() {
    const connection = this.connections.at(-1);
    this.gaps = [];
    connection.addEventListener("iceconnectionstatechange", () => {
      const { iceConnectionState: state } = connection;
      if (state !== "connected" && state !== "completed") this.gaps.push(state);
    });
  }

  /** Which ICE credentials the latest connection uses on both sides, once they are agreed. */
  ufrag() {
    const { currentLocalDescription: ours, currentRemoteDescription: theirs } = this.connections.at(-1);
    return [ours, theirs].map((description) => description?.sdp.match(/a=ice-ufrag:(.*)/)[1]).join();
  }

  errors() {
    return this.events.filter((event) => event.startsWith("error"));
  }

  peer(name) {
    return [...this.call.peers.values()].find((peer) => peer.name === name);
  }

  /** Polls: pictures have no event. The test's own limit ends it. */
  async until(what, isSo) {
    let found;
    this.waitingFor = what;
    while (!(found = await isSo())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    this.waitingFor = null;
    return found;
  }

  describe() {
    const peers = [...this.call.peers.values()].map(({ name, connection, away }) => `${name} ${connection} ${away}`);
    return JSON.stringify({ waitingFor: this.waitingFor, state: this.call.state, peers, events: this.events }, null, 1);
  }

  #read = 0;

  #watchConnections() {
    const caller = this;
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...options) {
        super(...options);
        caller.connections.push(this);
      }

      setLocalDescription(...description) {
        caller.descriptions++;
        return super.setLocalDescription(...description);
      }
    };
  }

  #saw(...words) {
    this.events.push(words.filter((word) => word !== undefined && word !== null).join(" "));
  }

  #show(name, stream) {
    const video = this.videos.get(name) ?? document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, playsInline: true, srcObject: stream });
    document.body.append(video);
    if (!this.videos.has(name)) countFrames(video);
    this.videos.set(name, video);
  }

  #picture(name) {
    const video = this.videos.get(name);
    if (!video?.videoWidth) return null;
    const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    const middle = (HEIGHT / 2) * WIDTH * 4 + (WIDTH / 2) * 4;
    return {
      data: data.join(),
      middle: [...data.slice(middle, middle + 3)],
      frames: video.frames,
    };
  }
}

/** Counts the frames that were really shown, in `video.frames`. */
function countFrames(video) {
  video.frames = 0;
  const count = () => {
    video.frames++;
    video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
}

globalThis.Caller = Caller;
