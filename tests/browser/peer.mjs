// Runs inside the page: one RTCPeerConnection with a data channel and fake video, and the checks
// that both really arrive at this end. Signals are plain objects; how they travel is up to the
// caller.

/** 16 pieces of 8 KiB: more than the 100 kB that have to arrive. */
const PIECES = 16;
const PIECE_BYTES = 8192;
const FRAMES_WANTED = 30;
const POLL_MS = 100;

/** Each piece has a value of its own. */
const valueAt = (offset) => 1 + Math.floor(offset / PIECE_BYTES);

class Peer {
  /**
   * @param {RTCConfiguration} configuration
   * @param {boolean} offers whether this end makes the offer
   * @param {(signal: object) => void} send carries a signal to the other end
   */
  constructor(configuration, offers, send) {
    this.offers = offers;
    this.send = send;
    this.pc = new RTCPeerConnection(configuration);
    this.received = { bytes: 0, wrong: 0 };
    this.candidates = [];
    this.candidateErrors = [];
    this.pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      this.candidates.push(candidate.candidate);
      send({ candidate: candidate.toJSON() });
    };
    this.pc.onicecandidateerror = (event) =>
      this.candidateErrors.push(`${event.url} ${event.errorCode} ${event.errorText}`);
    this.pc.ontrack = ({ track }) => this.#show(track);
    this.channel = this.pc.createDataChannel("test", { negotiated: true, id: 0 });
    this.channel.binaryType = "arraybuffer";
    this.channel.onmessage = ({ data }) => this.#count(new Uint8Array(data));
  }

  /** Adds the fake camera; the end that offers sends its offer. */
  async start() {
    const media = await navigator.mediaDevices.getUserMedia({
      video: { width: 320, height: 240, frameRate: 30 },
    });
    for (const track of media.getTracks()) this.pc.addTrack(track, media);
    if (!this.offers) return;
    await this.pc.setLocalDescription();
    this.send({ description: this.pc.localDescription.toJSON() });
  }

  /** @param {object} signal what the other end sent; in the order it was sent */
  async receive(signal) {
    if (signal.candidate) return this.pc.addIceCandidate(signal.candidate);
    await this.pc.setRemoteDescription(signal.description);
    if (this.offers) return;
    await this.pc.setLocalDescription();
    this.send({ description: this.pc.localDescription.toJSON() });
  }

  /** Moves data and video, and tells what arrived here and over which candidates. */
  async run() {
    await this.#until("the data channel to open", () => this.channel.readyState === "open");
    for (let piece = 0; piece < PIECES; piece++) {
      this.channel.send(new Uint8Array(PIECE_BYTES).fill(valueAt(piece * PIECE_BYTES)));
    }
    await this.#until("the data", () => this.received.bytes >= PIECES * PIECE_BYTES);
    if (this.received.wrong > 0) throw new Error(`${this.received.wrong} bytes differ`);

    await this.#until(`${FRAMES_WANTED} frames`, async () => (await this.#frames()) >= FRAMES_WANTED);
    const before = await this.#frames();
    await this.#until("more frames", async () => (await this.#frames()) > before);

    return {
      dataBytes: this.received.bytes,
      framesDecoded: await this.#frames(),
      colors: await this.#colors(),
      ...(await this.#selectedPair()),
    };
  }

  /** What this end knows when it did not get through. */
  async describe() {
    const { iceConnectionState, iceGatheringState, signalingState } = this.pc;
    const statistics = await this.pc.getStats();
    const name = (id) => {
      const candidate = statistics.get(id);
      return `${candidate?.candidateType} ${candidate?.address}:${candidate?.port} ${candidate?.relayProtocol ?? ""}`;
    };
    const pairs = [...statistics.values()]
      .filter((s) => s.type === "candidate-pair")
      .map((s) => ({
        pair: `${name(s.localCandidateId)} -> ${name(s.remoteCandidateId)}`,
        state: s.state,
        nominated: s.nominated,
        requests: `${s.requestsSent} sent, ${s.responsesReceived} answered`,
        bytes: `${s.bytesSent} sent, ${s.bytesReceived} received`,
      }));
    return JSON.stringify({
      waitingFor: this.waitingFor,
      iceConnectionState,
      iceGatheringState,
      signalingState,
      received: this.received,
      frames: await this.#frames(),
      candidates: this.candidates,
      pairs,
      candidateErrors: this.candidateErrors,
    });
  }

  #count(bytes) {
    for (const byte of bytes) {
      if (byte !== valueAt(this.received.bytes)) this.received.wrong++;
      this.received.bytes++;
    }
  }

  #show(track) {
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.autoplay = true;
    this.video.srcObject = new MediaStream([track]);
    document.body.append(this.video);
  }

  /** Polls: statistics have no event. The caller's overall timeout bounds it. */
  async #until(what, done) {
    this.waitingFor = what;
    while (!(await done())) {
      if (this.pc.iceConnectionState === "failed") {
        throw new Error(`ICE failed: ${await this.describe()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #stats(wanted) {
    return [...(await this.pc.getStats()).values()].filter(wanted);
  }

  async #frames() {
    const [inbound] = await this.#stats((s) => s.type === "inbound-rtp" && s.kind === "video");
    return inbound?.framesDecoded ?? 0;
  }

  /** How many different colors one decoded frame shows: a black or frozen decoder shows one. */
  async #colors() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    const context = canvas.getContext("2d");
    context.drawImage(this.video, 0, 0);
    const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(pixels).size;
  }

  async #selectedPair() {
    const [pair] = (
      await this.#stats((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded")
    ).sort((a, b) => b.bytesReceived - a.bytesReceived);
    const candidate = async (id) => (await this.#stats((s) => s.id === id))[0];
    const local = await candidate(pair.localCandidateId);
    const remote = await candidate(pair.remoteCandidateId);
    return {
      localType: local.candidateType,
      relayProtocol: local.relayProtocol ?? null,
      remoteType: remote.candidateType,
    };
  }
}

globalThis.Peer = Peer;
