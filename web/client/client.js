// The browser client of turnstone.v1. client.d.ts says what an app may rely on, docs/protocol.md what goes over
// the wire. A part is a function that returns its public members: `connect` a call, `openLink` its session with
// the server over as many WebSockets as it takes, `openMesh` its media, `openPair` what is between us and one
// peer over as many RTCPeerConnections as it takes, `negotiate` the talk about one of them.

/** @import { Call, JoinOptions, PeerStats, Source, connect as Connect } from "./client.d.ts" */

const SOURCES = ["camera", "screen"];
const KINDS = ["audio", "video"];

/** Errors about a peer, or a place, that is just gone. */
const HARMLESS = ["no_such_peer", "stale_generation", "not_joined", "session_gone", "closed"];

export class CallError extends Error {
  name = "CallError";

  /** @param {string} code @param {string} message @param {number | null} [retryAfter] */
  constructor(code, message, retryAfter = null) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

// --- the call ---

/** @type {typeof Connect} */
export function connect({ url = "/ws", token, configuration } = {}) {
  const address = new URL(url, import.meta.url).href.replace(/^http/, "ws");
  /** @type {Record<Source, MediaStream | null>} */
  const published = { camera: null, screen: null };
  // What the others see our tracks in. The ids stay, whatever is published, so the state can name them.
  const carriers = { camera: new MediaStream(), screen: new MediaStream() };
  const isOn = { audio: true, video: true };
  const listening = new AbortController();
  /** @type {JoinOptions} */
  let self = {};
  let told = ""; // The state that the others know.
  let session, media;

  /** @satisfies {Omit<Call, keyof EventTarget>} */
  const members = {
    state: "connecting",
    reason: null,
    room: null,
    me: null,
    peers: new Map(),
    locked: false,

    async join(room, { name, state = {}, wait = false } = {}) {
      self = { name, state: checked(state), wait };
      const earlier = storage()?.getItem(address + room);
      storage()?.removeItem(address + room);
      await enterRoom(room, earlier ? JSON.parse(earlier) : undefined);
      return call.me;
    },

    async leave() {
      await link.request({ t: "leave" }).catch((error) => HARMLESS.includes(error.code) || Promise.reject(error));
      link.endSession(new CallError("not_joined", "the room was left"));
      leaveRoom();
      enter("connected");
    },

    close: () => end("closed"),

    publish(stream, source = "camera") {
      published[source] = stream;
      for (const kind of KINDS) {
        const track = trackOf(stream, kind);
        // Whoever muted a preview stays muted, and so does whoever changes devices.
        if (track && source === "camera") track.enabled = isOn[kind] &&= track.enabled;
        track?.addEventListener("ended", trackEnded);
      }
      publishedChanged(source);
    },

    unpublish(source = "camera") {
      published[source] = null;
      publishedChanged(source);
    },

    enable(kind, on = true) {
      isOn[kind] = on;
      const track = trackOf(published.camera, kind);
      if (track) track.enabled = on;
      tell().catch(report);
    },

    async set({ name = self.name, state = self.state ?? {} }) {
      self = { ...self, name, state: checked(state) };
      await tell(name);
    },

    chat: (text, to) => link.request({ t: "chat", text, to: idOf(to) }),
    mute: (peer, kind) => link.request({ t: "mute", peer: idOf(peer), kind }),
    kick: (peer, reason) => link.request({ t: "kick", peer: idOf(peer), reason }),
    lock: (locked = true) => link.request({ t: "lock", locked }),
    stats: async (peer) => media?.stats(idOf(peer)) ?? null,

    on(type, listener) {
      call.addEventListener(type, listener);
      return () => call.removeEventListener(type, listener);
    },
  };
  const call = /** @type {any} */ (Object.assign(new EventTarget(), members));

  const emit = (type, detail) => call.dispatchEvent(Object.assign(new Event(type), detail));
  const report = (error) => HARMLESS.includes(error.code) || emit("error", { error });

  const handlers = {
    joined,
    waiting: ({ position }) => enter("waiting", { position }),
    peer_joined: ({ peer }) => addPeer(new Member(peer), false),
    peer_left: ({ peer, reason }) => removePeer(peer, reason),
    peer_updated: ({ peer, ...changes }) => update(peer, changes),
    peer_away: ({ peer }) => update(peer, { away: true }),
    peer_back: ({ peer }) => update(peer, { away: false }),
    offer: signal,
    answer: signal,
    ice: signal,
    ice_servers: ({ ice_servers }) => media?.refresh(ice_servers),
    chat: ({ from, to, text, at }) => emit("chat", { from: person(from), to: to && person(to), text, at }),
    mute({ by, kind }) {
      call.enable(kind, false);
      emit("moderated", { action: "mute", by: person(by), kind });
    },
    kicked: ({ by, reason = null }) => emit("moderated", { action: "kick", by: person(by), reason }),
    room_updated({ locked }) {
      call.locked = locked;
      emit("moderated", { action: locked ? "lock" : "unlock" });
    },
  };

  const link = openLink(address, token, {
    message: (message) => handlers[message.t]?.(message),
    ready(isResumed) {
      if (isResumed || !call.room) enter("connected");
      // The session is gone. Its media may still flow, and goes on until we are in again.
      else enterRoom(call.room, session).catch((error) => end(error.code));
    },
    lost: () => enter("reconnecting"),
    end,
    report,
  });
  listen();
  return call;

  function enter(state, detail) {
    if (call.state === "closed" || (call.state === state && !detail)) return;
    call.state = state;
    emit("state", { state, reason: call.reason, ...detail });
  }

  function end(reason) {
    if (call.state === "closed") return;
    listening.abort();
    link.close();
    leaveRoom();
    call.reason = reason;
    enter("closed");
  }

  async function enterRoom(room, replaces) {
    const state = wireState();
    told = JSON.stringify(state);
    await link.request({ t: "join", room, mode: "mesh", replaces, ...self, state });
  }

  function leaveRoom() {
    media?.close();
    media = session = call.me = call.room = null;
    call.peers.clear();
  }

  function joined({ room, you, peers, mode, locked, ice_servers: iceServers, resume }) {
    for (const id of call.peers.keys()) removePeer(id, "rejoined");
    media?.close();
    session = resume;
    Object.assign(call, { room, locked, me: new Member(you) });
    // The seam for another way of moving media: `mode` chooses what returns the members of openMesh.
    if (mode !== "mesh") return end("mode_unavailable");
    const slots = () => (call.me?.grants.includes("publish") ? allSlots() : []);
    const { request, isReady } = link;
    media = openMesh({ ...configuration, iceServers }, { request, isReady, slots, emit, report });
    enter("connected");
    const members = peers.map((facts) => new Member(facts));
    emit("joined", { room, me: call.me, peers: members });
    for (const member of members) addPeer(member, true);
    tell().catch(report);
  }

  function signal(message) {
    media?.handle(message);
  }

  function addPeer(peer, wasThere) {
    call.peers.set(peer.id, peer);
    media?.addPeer(peer, wasThere);
    emit("peer", { peer });
  }

  function removePeer(id, reason) {
    const peer = call.peers.get(id);
    media?.removePeer(id);
    if (call.peers.delete(id)) emit("peerleft", { peer, reason });
  }

  function update(id, changes) {
    const peer = person(id);
    peer.update(changes);
    if (changes.grants) media?.publish();
    emit("peerchange", { peer });
  }

  function person(id) {
    return id === call.me?.id ? call.me : (call.peers.get(id) ?? new Member({ id }));
  }

  /** What there is to send. A slot is the place of one track. */
  function allSlots() {
    const slots = SOURCES.flatMap((source) => KINDS.map((kind) => ({ source, kind })));
    return slots.flatMap(({ source, kind }) => {
      const track = trackOf(published[source], kind);
      return track ? [{ name: source + kind, track, stream: carriers[source] }] : [];
    });
  }

  function publishedChanged(source) {
    // Goes ahead of the offer: the others learn what a stream is before it comes.
    tell().catch(report);
    media?.publish();
    emit("published", { source, stream: published[source] });
  }

  function trackEnded() {
    const isOver = published.screen?.getTracks().every(({ readyState }) => readyState === "ended");
    if (isOver) call.unpublish("screen");
    else tell().catch(report);
  }

  function wireState() {
    const isSent = (kind) => {
      const track = trackOf(published.camera, kind);
      return track?.readyState === "live" && track.enabled;
    };
    const streams = { [carriers.camera.id]: "camera", [carriers.screen.id]: "screen" };
    return { ...self.state, audio: isSent("audio"), video: isSent("video"), screen: !!published.screen, streams };
  }

  async function tell(name) {
    const state = wireState();
    const json = JSON.stringify(state);
    if (!call.me || (json === told && !name)) return;
    told = json;
    const answer = link.request({ t: "set", name, state });
    update(call.me.id, { name, state });
    await answer;
  }

  function listen() {
    const options = { signal: listening.signal };
    const networkChanged = () => {
      link.wake();
      media?.restart();
    };
    addEventListener("online", networkChanged, options);
    // Not in every browser. It tells of speeds as well.
    const { connection } = /** @type {any} */ (navigator);
    let type = connection?.type;
    connection?.addEventListener("change", () => type !== (type = connection.type) && networkChanged(), options);
    addEventListener("pageshow", ({ persisted }) => persisted && link.wake(), options);
    addEventListener("pagehide", ({ persisted }) => {
      // Not earlier: a tab is copied with its storage, and the copy would replace us.
      if (session) storage()?.setItem(address + call.room, JSON.stringify(session));
      if (!persisted) end("closed");
    }, options);
  }
}

/** Someone in the room. What others wrote into their state may be anything. */
class Member {
  /** @type {RTCPeerConnectionState} */
  connection = "new";
  streams = { camera: new MediaStream(), screen: new MediaStream() };
  name = "";
  identity;
  guest = false;
  grants = [];
  state = {};
  audio = false;
  video = false;
  screen = false;
  away = false;
  #sources;

  constructor(facts) {
    this.id = facts.id;
    this.update(facts);
  }

  update(facts) {
    const { name = this.name, identity = this.identity, guest = this.guest, grants = this.grants } = facts;
    Object.assign(this, { name, identity, guest, grants, away: facts.away ?? this.away });
    if (!facts.state) return;
    // A client that says nothing of its media sends it.
    const { audio = true, video = true, screen = false, streams, ...state } = facts.state;
    Object.assign(this, { audio: !!audio, video: !!video, screen: !!screen, state });
    this.#sources = streams;
  }

  sourceOf(stream) {
    return this.#sources?.[stream?.id] === "screen" ? "screen" : "camera";
  }
}

function checked(state) {
  const ours = ["audio", "video", "screen", "streams"].find((member) => member in state);
  if (ours) throw new TypeError(`state.${ours} belongs to the client`);
  return state;
}

const idOf = (peer) => peer?.id ?? peer;
const trackOf = (stream, kind) => stream?.getTracks().find((track) => track.kind === kind);

/** For a page that is loaded anew. Where it is forbidden, our old place is free after 30 s. */
function storage() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

// --- the session ---

const CONNECT_MS = 10_000;
const DEAD_MS = 25_000;
const PROBE_MS = 5_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
const MAX_REQUESTS = 512;

/** Close codes after which nobody comes back by themselves. */
const FINAL = { 4401: "unauthorized", 4403: "kicked", 4409: "replaced" };
const LEAVING = 1000;
const ABANDONED = 4000; // Any code that does not leave.

/** `on` has `ready(isResumed)`, `message(message)`, `lost()`, `end(reason)` and `report(error)`. */
function openLink(address, token, on) {
  const requests = new Map(); // Those without an answer, by id.
  let unsent = []; // Those of them that this WebSocket has not carried.
  let nextId = 2; // 1 is the `hello` of every WebSocket.
  let socket, session, refusal, isReady, isClosed, pinging, dying, retrying, pacing;
  let lastSeq = 0;
  let attempts = 0;
  let limits = { rate: 1, burst: 1 };
  let budget = Infinity; // How many messages the server takes now, by our own account.
  let budgetAt = 0;

  const send = (message) => socket.send(JSON.stringify(message));

  async function open() {
    drop();
    try {
      // Ahead of the WebSocket, on which `hello` has 5 s.
      const credential = typeof token === "function" && !session ? await token() : token;
      if (isClosed) return;
      socket = new WebSocket(address, "turnstone.v1");
      socket.onmessage = ({ data }) => receive(JSON.parse(data), credential);
      socket.onclose = ({ code }) => lost(code);
      expect(CONNECT_MS);
    } catch (error) {
      on.report(error);
      lost();
    }
  }

  function receive(message, credential) {
    const { t, re } = message;
    lastSeq = message.seq ?? lastSeq;
    clearTimeout(dying);
    dying = null;
    if (t === "welcome") return welcomed(message, credential);
    if (!isReady) return greeted(message);
    const request = requests.get(re);
    if (t === "error") return refused(message, request);
    if (t === "joined") session = message.resume;
    // `waiting` is not yet the answer to `join`.
    if (request && t !== "waiting") {
      requests.delete(re);
      request.resolve(message);
    }
    on.message(message);
  }

  function welcomed({ ping, ...welcome }, credential) {
    limits = welcome.limits;
    pinging = setInterval(() => {
      attempts = 0; // It has held for a while.
      probe(DEAD_MS - ping * 1000);
    }, ping * 1000);
    const who = session ? { resume: { ...session, last_seq: lastSeq } } : { token: credential };
    send({ t: "hello", id: 1, ...who });
    expect(CONNECT_MS);
  }

  function greeted(message) {
    const { t, code, fatal, resumed } = message;
    if (code === "session_gone") {
      endSession(errorOf(message));
      return open();
    }
    if (t === "error") {
      refusal = errorOf(message);
      return fatal || lost();
    }
    // What was carried out is answered by what follows.
    unsent = [...requests.values()].filter(({ message: { id } }) => id > (resumed?.last_id ?? 0));
    isReady = true;
    on.ready(!!resumed);
    flush();
  }

  function refused(message, request) {
    const error = errorOf(message);
    if (message.fatal) refusal = error;
    if (!request) return on.report(error);
    requests.delete(message.re);
    if (error.code !== "rate_limited") return request.reject(error);
    budget = (error.retryAfter ?? 1000) * (-limits.rate / 1000);
    enqueue(request);
  }

  function enqueue(request) {
    request.message.id = nextId++;
    requests.set(request.message.id, request);
    unsent.push(request);
    flush();
  }

  /** Sends as fast as the server takes it. */
  function flush() {
    clearTimeout(pacing);
    if (!isReady) return;
    const { rate, burst } = limits;
    const now = performance.now();
    // Some are left for pings, and because the network bunches messages.
    budget = Math.min(burst * 0.8, budget + ((now - budgetAt) * rate) / 1000);
    budgetAt = now;
    for (; unsent.length > 0 && budget >= 1; budget--) send(unsent.shift().message);
    if (unsent.length > 0) pacing = setTimeout(flush, 1000 / rate);
  }

  /** Something must come within `ms`. */
  function expect(ms) {
    dying ??= setTimeout(lost, ms);
  }

  function probe(ms) {
    if (isReady) send({ t: "ping" });
    expect(ms);
  }

  function lost(code = ABANDONED) {
    drop();
    if (code in FINAL) return on.end(refusal?.code ?? FINAL[code]);
    const backOff = Math.min(FIRST_RETRY_MS * 2 ** attempts++, LAST_RETRY_MS) * (0.5 + Math.random() / 2);
    retrying = setTimeout(open, Math.max(backOff, refusal?.retryAfter ?? 0));
    refusal = null;
    on.lost();
  }

  function drop(code = ABANDONED) {
    for (const timer of [pinging, dying, retrying, pacing]) clearTimeout(timer);
    dying = retrying = null;
    isReady = false;
    if (socket) socket.onmessage = socket.onclose = null;
    socket?.close(code);
    socket = null;
  }

  /** Ends the session here, and with it whatever was asked in it. */
  function endSession(error) {
    session = null;
    unsent = [];
    for (const { reject } of requests.values()) reject(error);
    requests.clear();
  }

  open();
  return {
    isReady: () => isReady,
    endSession,

    /** Resolves to the answer, over as many WebSockets as it takes. */
    request: (message) =>
      new Promise((resolve, reject) => {
        if (isClosed) reject(new CallError("closed", "the call is closed"));
        else if (requests.size >= MAX_REQUESTS) reject(new CallError("busy", "too much waits for the server"));
        else enqueue({ message: { ...message }, resolve, reject });
      }),

    /** The network may be another one: finds out at once. */
    wake() {
      if (retrying) open();
      else if (isReady) probe(PROBE_MS);
    },

    close() {
      isClosed = true;
      drop(LEAVING);
      endSession(new CallError("closed", "the call is closed"));
    },
  };
}

const errorOf = ({ code, message, retry_after_ms }) => new CallError(code, message, retry_after_ms);

// --- media ---

/** Media without a server. `host` has `request`, `isReady`, `slots`, `emit` and `report`. */
function openMesh(configuration, host) {
  const pairs = new Map();
  return {
    addPeer: (peer, wasThere) => pairs.set(peer.id, openPair(peer, wasThere, configuration, host)),
    removePeer(id) {
      pairs.get(id)?.close();
      pairs.delete(id);
    },
    handle: (message) => pairs.get(message.from)?.handle(message),
    /** What we send has changed. */
    publish: () => pairs.forEach((pair) => pair.publish()),
    /** The network is another one. */
    restart: () => pairs.forEach((pair) => pair.restart()),
    refresh(iceServers) {
      configuration = { ...configuration, iceServers };
      pairs.forEach((pair) => pair.refresh(configuration).catch(host.report));
    },
    stats: (id) => pairs.get(id)?.stats(),
    close: () => pairs.forEach((pair) => pair.close()),
  };
}

const DISCONNECTED_MS = 3_000; // It may pass by itself.
const FIRST_REPAIR_MS = 10_000;
const LAST_REPAIR_MS = 60_000;

/** Whoever came later `isPolite`. */
function openPair(peer, isPolite, configuration, { request, isReady, slots, emit, report }) {
  const sources = new Map(); // By track.
  let gen = 0;
  let repairs = 0;
  let pc, repairing, counters;
  let negotiation = /** @type {any} */ (null);

  function renew(nextGen) {
    close();
    gen = nextGen;
    counters = null;
    pc = new RTCPeerConnection(configuration);
    negotiation = negotiate(pc, isPolite, {
      send: (message) => request({ ...message, to: peer.id, gen: nextGen }).catch(report),
      slots: () => (peer.grants.includes("subscribe") ? slots() : []),
      report,
    });
    pc.ontrack = ({ track, streams }) => trackCame(track, streams[0]);
    pc.oniceconnectionstatechange = iceChanged;
    pc.onconnectionstatechange = () => {
      peer.connection = pc.connectionState;
      emit("peerchange", { peer });
    };
  }

  function close() {
    clearTimeout(repairing);
    pc?.close();
    for (const track of sources.keys()) trackEnded(track);
  }

  const isConnected = () => ["connected", "completed"].includes(pc.iceConnectionState);

  function iceChanged() {
    if (isConnected()) {
      clearTimeout(repairing);
      repairs = 0;
    } else if (repairs === 0) {
      if (pc.iceConnectionState === "failed") repair();
      if (pc.iceConnectionState === "disconnected") repairIn(DISCONNECTED_MS);
    }
  }

  function repairIn(ms) {
    clearTimeout(repairing);
    repairing = setTimeout(repair, ms);
  }

  /** First new candidates, then a new connection, and so on by turns. */
  function repair() {
    if (isConnected()) return;
    // The signals would not arrive.
    if (!isReady() || peer.away) return repairIn(DISCONNECTED_MS);
    if (repairs++ % 2 === 0) {
      pc.restartIce();
    } else {
      renew(gen + 1);
      negotiation.start();
    }
    repairIn(Math.min(FIRST_REPAIR_MS * repairs, LAST_REPAIR_MS));
  }

  function trackCame(track, stream) {
    // In a mesh only the peers can hold each other to this.
    if (!peer.grants.includes("publish")) return;
    const source = peer.sourceOf(stream);
    if (stream) stream.onremovetrack = (event) => trackEnded(event.track);
    sources.set(track, source);
    peer.streams[source].addTrack(track);
    emit("track", { peer, track, source, stream: peer.streams[source] });
  }

  function trackEnded(track) {
    const source = sources.get(track);
    if (!sources.delete(track)) return;
    peer.streams[source].removeTrack(track);
    emit("trackended", { peer, track, source, stream: peer.streams[source] });
  }

  /** @returns {Promise<PeerStats | null>} */
  async function stats() {
    const pair = await selectedPair(pc);
    if (!pair) return null;
    const last = counters;
    counters = pair.counters;
    const since = (name) => Math.max(0, counters[name] - (last?.[name] ?? 0));
    const rate = (name) => (last && (since(name) * 8000) / since("ms")) || 0;
    const { local, remote } = pair;
    return {
      path: [local, remote].some((end) => end.candidateType === "relay") ? "relay" : "direct",
      protocol: local.relayProtocol || local.protocol,
      rtt: pair.rtt,
      loss: since("lost") / (since("lost") + since("arrived")) || 0,
      bitrateIn: rate("bytesIn"),
      bitrateOut: rate("bytesOut"),
      local: local.candidateType,
      remote: remote.candidateType,
    };
  }

  renew(1);
  if (isPolite) negotiation.start();
  return {
    handle(message) {
      if (message.gen > gen) renew(message.gen);
      if (message.gen === gen) negotiation.receive(message);
    },
    publish: () => negotiation.publish(),
    restart: () => pc.restartIce(),
    async refresh(next) {
      configuration = next;
      pc.setConfiguration(configuration);
      // Only a path through the relay ends with the old credentials.
      if ((await selectedPair(pc))?.local.candidateType === "relay") pc.restartIce();
    },
    stats,
    close,
  };
}

const GATHER_MS = 20; // Candidates that come together go together.
const MAX_TOGETHER = 20;
const MAX_EARLY = 100;

/** Perfect negotiation (W3C WebRTC, section 10.7). */
function negotiate(pc, isPolite, { send, slots, report }) {
  const senders = new Map(); // By slot, which keeps its sender, so that m-lines do not pile up.
  const early = []; // Candidates ahead of their description.
  const gathered = [];
  let gathering, isOffering, isIgnoring;
  let hasStarted = false; // Whoever was there first sends nothing before the newcomer's offer: no collision.
  let work = Promise.resolve(); // What came in is handled in its order.

  const fail = (error) => pc.signalingState === "closed" || report(error);

  pc.onicecandidate = ({ candidate }) => {
    if (!candidate) return;
    gathered.push(candidate.toJSON());
    gathering ??= setTimeout(sendCandidates, GATHER_MS);
  };

  pc.onnegotiationneeded = async () => {
    isOffering = true;
    await describe().catch(fail);
    isOffering = false;
  };

  async function describe() {
    await pc.setLocalDescription();
    sendCandidates(); // They belong to the description before.
    send({ t: pc.localDescription.type, sdp: pc.localDescription.sdp });
  }

  function sendCandidates() {
    clearTimeout(gathering);
    gathering = null;
    while (gathered.length > 0) send({ t: "ice", candidates: gathered.splice(0, MAX_TOGETHER) });
  }

  async function described(type, sdp) {
    const collides = type === "offer" && (isOffering || pc.signalingState !== "stable");
    isIgnoring = collides && !isPolite;
    if (isIgnoring) return;
    // In a collision this takes our offer back, and the browser will need it again.
    await pc.setRemoteDescription({ type, sdp });
    await addCandidates(early.splice(0));
    if (type === "answer") return;
    hasStarted = true;
    publish();
    await describe();
  }

  async function addCandidates(candidates) {
    for (const candidate of candidates) {
      if (pc.remoteDescription) await pc.addIceCandidate(candidate).catch((error) => isIgnoring || fail(error));
      else if (early.length < MAX_EARLY) early.push(candidate);
    }
  }

  function publish() {
    if (!hasStarted) return;
    const wanted = slots();
    for (const [name, sender] of senders) if (!wanted.some((slot) => slot.name === name)) pc.removeTrack(sender);
    for (const { name, track, stream } of wanted) {
      const sender = senders.get(name);
      if (sender) resume(sender, track);
      else senders.set(name, pc.addTrack(track, stream));
    }
  }

  function resume(sender, track) {
    if (sender.track !== track) sender.replaceTrack(track).catch(fail);
    const transceiver = pc.getTransceivers().find((each) => each.sender === sender);
    if (transceiver.direction === "recvonly") transceiver.direction = "sendrecv";
    if (transceiver.direction === "inactive") transceiver.direction = "sendonly";
  }

  return {
    publish,
    /** Offers to send, and to receive. */
    start() {
      hasStarted = true;
      publish();
      for (const kind of KINDS) {
        const isSent = pc.getSenders().some(({ track }) => track?.kind === kind);
        if (!isSent) pc.addTransceiver(kind, { direction: "recvonly" });
      }
    },
    receive({ t, sdp, candidate, candidates = [candidate] }) {
      work = work.then(() => (t === "ice" ? addCandidates(candidates) : described(t, sdp))).catch(fail);
    },
  };
}

/** The candidate pair in use, with its ends and counters. */
async function selectedPair(pc) {
  const report = await pc.getStats();
  const all = [...report.values()];
  const transport = all.find(({ type }) => type === "transport");
  // Firefox has no transport, and marks the pair.
  const pair = report.get(transport?.selectedCandidatePairId) ?? all.find(({ selected }) => selected);
  const sum = (name) => all.reduce((total, each) => total + (each.type === "inbound-rtp" && each[name] || 0), 0);
  return pair && {
    local: report.get(pair.localCandidateId) ?? {},
    remote: report.get(pair.remoteCandidateId) ?? {},
    rtt: pair.currentRoundTripTime * 1000 || null,
    counters: {
      ms: pair.timestamp,
      bytesIn: pair.bytesReceived,
      bytesOut: pair.bytesSent,
      lost: sum("packetsLost"),
      arrived: sum("packetsReceived"),
    },
  };
}
