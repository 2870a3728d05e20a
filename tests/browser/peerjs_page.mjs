// Runs inside a plain page: one or more PeerJS peers, with the client as npm publishes it, and what
// a test asks of them. `Peer` comes from the page's other script.

/** Every peer that this page made, by the name that the test gives it. */
const peers = new Map();

/** What each peer received, in order, and what it waits for. */
const notes = [];

/** Opens a peer and returns its id. It answers calls with the fake camera, and data with the same data. */
globalThis.openPeer = async (name, id, options) => {
  const peer = id === null ? new Peer(options) : new Peer(id, options);
  peers.set(name, peer);
  peer.on("connection", (connection) => {
    connection.on("data", (data) => connection.send({ echo: data }));
  });
  peer.on("call", async (call) => {
    call.answer(await camera());
    call.on("stream", show);
  });
  return until(peer, "open", `${name} opens`);
};

/** Opens a peer that is to be refused, and returns the type of the error. */
globalThis.refusal = (id, options) => failure(new Peer(id, options), "a refusal");

/** Asks for the list of all peers, on a peer that is no longer needed then. */
globalThis.listing = async (options) => {
  const peer = new Peer(options);
  await until(peer, "open", "a peer that asks for all");
  const failed = failure(peer, "the list is refused");
  peer.listAllPeers();
  return failed;
};

/** Connects to a peer, and returns what came back for some data. */
globalThis.exchange = async (name, other, data) => {
  const connection = peers.get(name).connect(other);
  await until(connection, "open", `${name} connects to ${other}`);
  connections.set(name, connection);
  return send(connection, data);
};

/** Says something on the last connection again. */
globalThis.exchangeAgain = (name, data) => send(connections.get(name), data);

/** Connects to somebody who is not there, and returns the type of the error. */
globalThis.connectInVain = (name, other) => {
  const failed = failure(peers.get(name), `${other} is missed`);
  peers.get(name).connect(other);
  return failed;
};

/** Calls a peer, and waits until its picture moves. */
globalThis.call = async (name, other) => {
  const call = peers.get(name).call(other, await camera());
  call.on("stream", show);
  return moving();
};

/** Waits until pictures of somebody else move; returns how many came. */
globalThis.moving = async () => {
  notes.push("a picture moves");
  await shown;
  return new Promise((resolve) => {
    let frames = 0;
    const count = () => (++frames < FRAMES_WANTED ? video.requestVideoFrameCallback(count) : resolve(frames));
    video.requestVideoFrameCallback(count);
  });
};

/** Leaves the server, and comes back with the same id. */
globalThis.reconnect = async (name) => {
  const peer = peers.get(name);
  const gone = until(peer, "disconnected", `${name} leaves`);
  peer.disconnect();
  await gone;
  const back = until(peer, "open", `${name} comes back`);
  peer.reconnect();
  return back;
};

globalThis.describe = () => JSON.stringify(notes);

const FRAMES_WANTED = 30;

const connections = new Map();

const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, playsInline: true });
document.body.append(video);

let show;
const shown = new Promise((resolve) => {
  // PeerJS tells of a stream once for each of its tracks.
  show = (stream) => resolve((video.srcObject = stream));
});

function camera() {
  return navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 15 } });
}

function send(connection, data) {
  const answer = until(connection, "data", "an echo");
  connection.send(data);
  return answer;
}

/** Waits for an event; an error before it is the end. */
function until(emitter, event, what) {
  notes.push(what);
  return new Promise((resolve, reject) => {
    emitter.once(event, resolve);
    emitter.once("error", (error) => reject(new Error(`${what}: ${error.type}: ${error.message}`)));
  });
}

/** Waits for an error, and returns its type. */
function failure(peer, what) {
  notes.push(what);
  return new Promise((resolve, reject) => {
    peer.once("error", (error) => resolve(error.type));
    peer.once("open", () => reject(new Error(`${what}: it opened`)));
  });
}
