// The browser client of turnstone.v1: client.d.ts is what an app may rely on, docs/protocol.md the wire.
// A part is a function that returns its public members: `connect` a call, `openLink` its session, over as many
// WebSockets as it takes, `openMesh` its media, with an `openPair` a peer.

/** @import { Call, connect as Connect } from "./client.d.ts" */

const KINDS = ["audio", "video"];
const SLOTS = ["camera", "screen"].flatMap((source) => KINDS.map((kind) => ({ source, kind, name: source + kind })));

/** Errors about a peer, or a place, that is just gone. */
const HARMLESS = ["no_such_peer", "stale_generation", "not_joined", "session_gone"];

export class CallError extends Error {
  name = "CallError";

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
  const published = /** @type {any} */ ({ camera: null, screen: null });
  // What the others see our tracks in: the state names these ids, whatever is published.
  const carriers = { camera: new MediaStream(), screen: new MediaStream() };
  const isOn = { audio: true, video: true };
  const open = new AbortController();
  let self = /** @type {any} */ ({});
  let told = ""; // The state that the others know.
  let session, media, isEntering;

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
      const answer = link.request({ t: "leave" });
      leaveRoom();
      await answer.catch(report);
      link.endSession("not_joined");
      leaveRoom(); // We may have been let in meanwhile.
      if (call.state === "waiting") enter("connected");
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
      announce();
    },

    async set({ name = self.name, state = self.state ?? {} }) {
      self = { ...self, name, state: checked(state) };
      told = "";
      await tell();
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
  const report = (error) => call.state === "closed" || HARMLESS.includes(error.code) || emit("error", { error });
  const announce = () => tell().catch(report);
  const person = (id) => (id === call.me.id ? call.me : call.peers.get(id));
  const signal = (message) => media.handle(message);

  const handlers = {
    joined,
    waiting: ({ position }) => enter("waiting", { position }),
    peer_joined: ({ peer }) => addPeer(new Member(peer), false),
    peer_left: ({ peer, reason }) => removePeer(peer, reason),
    peer_updated: ({ t, seq, peer, ...changes }) => update(peer, changes),
    peer_away: ({ peer }) => update(peer, { away: true }),
    peer_back: ({ peer }) => update(peer, { away: false }),
    offer: signal,
    answer: signal,
    ice: signal,
    ice_servers: ({ ice_servers }) => media.refresh(ice_servers),
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
    message(message) {
      // After `leave` some are still on their way.
      if (call.me || message.t === "joined" || message.t === "waiting") handlers[message.t]?.(message);
    },
    ready(isResumed) {
      if (isResumed || !call.room) enter("connected");
      // Its media may still flow, and does until we are in again.
      else if (!isEntering) enterRoom(call.room, session).catch((error) => end(error.code));
    },
    lost: () => enter("reconnecting"),
    end,
    report,
  });

  const whileOpen = { signal: open.signal };
  addEventListener("online", networkChanged, whileOpen);
  // Not in every browser, and it tells of speeds as well.
  const { connection } = /** @type {any} */ (navigator);
  let type = connection?.type;
  connection?.addEventListener("change", () => type !== (type = connection.type) && networkChanged(), whileOpen);
  addEventListener("pagehide", ({ persisted }) => {
    // Not earlier: a tab is copied with its storage, and the copy would replace us.
    if (session) storage()?.setItem(address + call.room, JSON.stringify(session));
    if (!persisted) end("closed");
  }, whileOpen);
  addEventListener("pageshow", () => {
    storage()?.removeItem(address + call.room);
    link.wake();
  }, whileOpen);
  return call;

  function networkChanged() {
    link.wake();
    media?.restart();
  }

  function enter(state, detail) {
    if (call.state === "closed" || (call.state === state && !detail)) return;
    call.state = state;
    emit("state", { state, reason: call.reason, ...detail });
  }

  function end(reason) {
    if (call.state === "closed") return;
    open.abort();
    link.close(reason);
    leaveRoom();
    call.reason = reason;
    enter("closed");
  }

  async function enterRoom(room, replaces) {
    const state = wireState();
    told = JSON.stringify(state);
    isEntering = true;
    const join = { t: "join", room, mode: "mesh", replaces, ...self, state };
    await link.request(join).finally(() => (isEntering = false));
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
    // The seam for an SFU: `mode` chooses what returns the members of openMesh.
    if (mode !== "mesh") return end("mode_unavailable");
    const { request, isReady } = link;
    media = openMesh({ ...configuration, iceServers }, { request, isReady, slots, emit, report });
    enter("connected");
    peers = peers.map((facts) => new Member(facts));
    emit("joined", { room, me: call.me, peers });
    for (const peer of peers) addPeer(peer, true);
    announce();
  }

  function addPeer(peer, wasThere) {
    call.peers.set(peer.id, peer);
    media?.addPeer(peer, wasThere);
    emit("peer", { peer });
  }

  function removePeer(id, reason) {
    const peer = call.peers.get(id);
    media.removePeer(id);
    call.peers.delete(id);
    emit("peerleft", { peer, reason });
  }

  function update(id, changes) {
    const peer = person(id);
    peer.update(changes);
    if (changes.grants) media.publish();
    emit("peerchange", { peer });
  }

  /** What there is to send. */
  function slots() {
    if (!call.me?.grants.includes("publish")) return [];
    return SLOTS.flatMap(({ source, kind, name }) => {
      const track = trackOf(published[source], kind);
      return track ? [{ name, track, stream: carriers[source] }] : [];
    });
  }

  function publishedChanged(source) {
    // Ahead of the offer: the others learn what a stream is before it comes.
    announce();
    media?.publish();
    emit("published", { source, stream: published[source] });
  }

  function trackEnded() {
    const isOver = published.screen?.getTracks().every(({ readyState }) => readyState === "ended");
    if (isOver) call.unpublish("screen");
    else announce();
  }

  function wireState() {
    const isSent = (kind) => isOn[kind] && trackOf(published.camera, kind)?.readyState === "live";
    const streams = { [carriers.camera.id]: "camera", [carriers.screen.id]: "screen" };
    return { ...self.state, audio: isSent("audio"), video: isSent("video"), screen: !!published.screen, streams };
  }

  async function tell() {
    const state = wireState();
    const json = JSON.stringify(state);
    if (!call.me || json === told) return;
    told = json;
    const { name = call.me.name } = self;
    const answer = link.request({ t: "set", name, state });
    update(call.me.id, { name, state });
    await answer;
  }
}

/** Someone in the room. */
class Member {
  connection = "new";
  streams = { camera: new MediaStream(), screen: new MediaStream() };
  sources = {};

  constructor(facts) {
    this.update(facts);
  }

  update({ state, ...facts }) {
    Object.assign(this, facts);
    if (!state) return;
    // Another client may say anything here, or nothing: then it sends.
    const { audio = true, video = true, screen, streams, ...rest } = state;
    Object.assign(this, { audio: !!audio, video: !!video, screen: !!screen, sources: streams, state: rest });
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
  } catch {}
}

// --- the session ---

const ANSWER_MS = 8_000;
const DEAD_MS = 25_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 15_000;
const MAX_REQUESTS = 512;

/** Close codes after which we do not come back. */
const FINAL = { 4401: "unauthorized", 4403: "kicked", 4409: "replaced" };
const ABANDONED = 4000; // Any code but 1000 and 1001, which leave.

function openLink(address, token, on) {
  const requests = new Map(); // Those without an answer, by id.
  let unsent = []; // Those of them that this WebSocket has not carried.
  let nextId = 2; // 1 is the `hello` of every WebSocket.
  let socket, session, refusal, isReady, isClosed, pinging, dying, retrying, pacing;
  let lastSeq = 0;
  let attempts = 0;
  let most = 1; // Messages that the server takes in a second, of which `sent` are used.
  let sent = 0;

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
      expect(ANSWER_MS);
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

  function welcomed({ ping, limits }, credential) {
    most = limits.burst / 2;
    pinging = setInterval(() => {
      attempts = 0; // It has held for a while.
      probe(DEAD_MS - ping * 1000);
    }, ping * 1000);
    const who = session ? { resume: { ...session, last_seq: lastSeq } } : { token: credential };
    send({ t: "hello", id: 1, ...who });
    expect(ANSWER_MS);
  }

  function greeted(message) {
    const { t, code, fatal, resumed } = message;
    if (code === "session_gone") {
      endSession(code);
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
    if (message.fatal) return (refusal = error);
    if (!request) return on.report(error);
    requests.delete(message.re);
    if (error.code !== "rate_limited") return request.reject(error);
    sent = most;
    enqueue(request);
  }

  function enqueue(request) {
    request.message.id = nextId++;
    requests.set(request.message.id, request);
    unsent.push(request);
    flush();
  }

  function flush() {
    for (; isReady && unsent.length > 0 && sent < most; sent++) send(unsent.shift().message);
    pacing ??= setTimeout(() => {
      pacing = null;
      sent = 0;
      if (unsent.length > 0) flush();
    }, 1000);
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
    for (const timer of [pinging, dying, retrying]) clearTimeout(timer);
    dying = retrying = null;
    isReady = false;
    if (socket) socket.onmessage = socket.onclose = null;
    socket?.close(code);
    socket = null;
  }

  function endSession(code) {
    session = null;
    unsent = [];
    for (const { reject } of requests.values()) reject(new CallError(code, `it is over: ${code}`));
    requests.clear();
  }

  open();
  return {
    isReady: () => isReady,
    endSession,

    /** Resolves to the answer, over as many WebSockets as it takes. */
    request: (message) =>
      new Promise((resolve, reject) => {
        if (isClosed) reject(new CallError("closed", "the call is over"));
        else if (requests.size >= MAX_REQUESTS) reject(new CallError("busy", "too much is on its way"));
        else enqueue({ message: { ...message }, resolve, reject });
      }),

    /** Finds out at once whether it is still there. */
    wake() {
      if (retrying) open();
      else if (isReady) probe(ANSWER_MS);
    },

    close(code) {
      isClosed = true;
      drop(1000);
      endSession(code);
    },
  };
}

const errorOf = ({ code, message, retry_after_ms }) => new CallError(code, message, retry_after_ms);

// --- media ---

function openMesh(config, host) {
  const pairs = new Map();
  return {
    addPeer: (peer, wasThere) => pairs.set(peer.id, openPair(peer, wasThere, config, host)),
    removePeer(id) {
      pairs.get(id)?.close();
      pairs.delete(id);
    },
    handle: (message) => pairs.get(message.from)?.handle(message),
    publish: () => pairs.forEach((pair) => pair.publish()),
    restart: () => pairs.forEach((pair) => pair.restart()),
    refresh(iceServers) {
      config = { ...config, iceServers };
      pairs.forEach((pair) => pair.refresh(config).catch(host.report));
    },
    stats: (id) => pairs.get(id)?.stats(),
    close: () => pairs.forEach((pair) => pair.close()),
  };
}

const DISCONNECTED_MS = 3_000; // It may pass by itself.
const FIRST_REPAIR_MS = 10_000;
const LAST_REPAIR_MS = 60_000;
const MAX_TRACKS = 8;

/** With one peer, over as many RTCPeerConnections as it takes. Whoever came later `isPolite`. */
function openPair(peer, isPolite, config, { request, isReady, slots, emit, report }) {
  const sources = new Map(); // By track.
  let gen = 0;
  let repairs = 0;
  let pc, repairing, counters;
  let negotiation = /** @type {any} */ (null);

  function renew(nextGen) {
    close();
    gen = nextGen;
    counters = null;
    pc = new RTCPeerConnection(config);
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

  const emitTrack = (type, track, source) => emit(type, { peer, track, source, stream: peer.streams[source] });
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
    if (!peer.grants.includes("publish") || sources.size >= MAX_TRACKS) return;
    const source = peer.sources?.[stream?.id] === "screen" ? "screen" : "camera";
    if (stream) stream.onremovetrack = (event) => trackEnded(event.track);
    sources.set(track, source);
    peer.streams[source].addTrack(track);
    emitTrack("track", track, source);
  }

  function trackEnded(track) {
    const source = sources.get(track);
    if (!sources.delete(track)) return;
    peer.streams[source].removeTrack(track);
    emitTrack("trackended", track, source);
  }

  async function stats() {
    const used = await selectedPair(pc);
    if (!used) return null;
    const { local, remote, now } = used;
    const before = counters ?? now;
    counters = now;
    const since = (name) => Math.max(0, now[name] - before[name]);
    const lost = since("packetsLost");
    const { currentRoundTripTime: rtt = null } = now;
    return {
      path: [local, remote].some((end) => end.candidateType === "relay") ? "relay" : "direct",
      protocol: local.relayProtocol || local.protocol,
      rtt: rtt && rtt * 1000,
      loss: lost / (lost + since("packetsReceived")) || 0,
      bitrateIn: (since("bytesReceived") * 8000) / since("timestamp") || 0,
      bitrateOut: (since("bytesSent") * 8000) / since("timestamp") || 0,
      local: local.candidateType,
      remote: remote.candidateType,
    };
  }

  renew(1);
  if (isPolite) negotiation.start();
  return {
    handle(message) {
      if (message.gen > gen) {
        repairs = 0;
        renew(message.gen);
      }
      if (message.gen === gen) negotiation.receive(message);
    },
    publish: () => negotiation.publish(),
    restart: () => pc.restartIce(),
    async refresh(next) {
      config = next;
      pc.setConfiguration(config);
      // Only a path through the relay ends with the old credentials.
      if ((await selectedPair(pc))?.local.candidateType === "relay") pc.restartIce();
    },
    stats,
    close,
  };
}

const MAX_EARLY = 100;

/** Perfect negotiation (W3C WebRTC, section 10.7). */
function negotiate(pc, isPolite, { send, slots, report }) {
  const senders = new Map(); // By slot, which keeps its sender, so that m-lines do not pile up.
  const early = []; // Candidates ahead of their description.
  let work = Promise.resolve(); // What came in is handled in its order.
  // Whoever was there has not before the newcomer's offer, or the two would collide.
  let hasStarted = false;
  let isOffering, isIgnoring;

  const fail = (error) => pc.signalingState === "closed" || report(error);

  pc.onicecandidate = ({ candidate }) => candidate && send({ t: "ice", candidate: candidate.toJSON() });

  pc.onnegotiationneeded = async () => {
    isOffering = true;
    await describe().catch(fail);
    isOffering = false;
  };

  async function describe() {
    await pc.setLocalDescription();
    send({ t: pc.localDescription.type, sdp: pc.localDescription.sdp });
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
    const line = pc.getTransceivers().find((each) => each.sender === sender);
    if (line.direction === "recvonly") line.direction = "sendrecv";
    if (line.direction === "inactive") line.direction = "sendonly";
  }

  return {
    publish,
    /** Offers to send, and to receive. */
    start() {
      hasStarted = true;
      publish();
      for (const kind of KINDS) {
        if (!slots().some(({ track }) => track.kind === kind)) pc.addTransceiver(kind, { direction: "recvonly" });
      }
    },
    receive({ t, sdp, candidate, candidates = [candidate] }) {
      work = work.then(() => (t === "ice" ? addCandidates(candidates) : described(t, sdp))).catch(fail);
    },
  };
}

/** The candidate pair in use: its ends, and what is counted. */
async function selectedPair(pc) {
  const report = await pc.getStats();
  const all = [...report.values()];
  const pair = report.get(all.find(({ type }) => type === "transport")?.selectedCandidatePairId);
  const inbound = all.filter(({ type }) => type === "inbound-rtp");
  const sum = (name) => inbound.reduce((total, each) => total + (each[name] ?? 0), 0);
  return pair && {
    local: report.get(pair.localCandidateId) ?? {},
    remote: report.get(pair.remoteCandidateId) ?? {},
    now: { ...pair, packetsLost: sum("packetsLost"), packetsReceived: sum("packetsReceived") },
  };
}
