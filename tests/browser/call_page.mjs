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

  /** @param {string} server e.g. `https://127.0.0.1:8443` */
  static async open(server, options = {}) {
    const client = await import(`${server}/client.js`);
    return new Caller(client.connect(options));
  }

  constructor(call) {
    this.call = call;
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

  /** Publishes the fake microphone and camera. */
  async publishCamera() {
    this.camera = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { width: 320, height: 240, frameRate: 15 },
    });
    this.call.publish(this.camera);
  }

  /** Publishes a picture of one color, which changes a little all the time. */
  publishScreen(color) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const context = canvas.getContext("2d");
    let count = 0;
    const draw = () => {
      context.fillStyle = color;
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "black";
      context.fillRect(count++ % 300, 220, 20, 20);
    };
    draw();
    setInterval(draw, 66);
    this.screen = canvas.captureStream(15);
    this.call.publish(this.screen, "screen");
  }

  /** Waits until the events hold one that starts with these words. */
  async sees(...words) {
    const wanted = words.join(" ");
    await this.until(wanted, () => this.events.some((event) => event.startsWith(wanted)));
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

  /** The color in the middle of a video, as [red, green, blue]. */
  colorOf(name) {
    return this.#picture(name)?.middle ?? null;
  }

  peer(name) {
    return [...this.call.peers.values()].find((peer) => peer.name === name);
  }

  /** Polls: pictures have no event. The test's own limit ends it. */
  async until(what, isSo) {
    this.waitingFor = what;
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    this.waitingFor = null;
  }

  describe() {
    const peers = [...this.call.peers.values()].map(({ name, connection, away }) => `${name} ${connection} ${away}`);
    return JSON.stringify({ waitingFor: this.waitingFor, state: this.call.state, peers, events: this.events }, null, 1);
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
