// client.js in Node, without a browser or a server: what its session does under virtual time.
// The WebSockets are fakes that the tests speak for.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

/** @type {FakeSocket[]} */
let sockets;
const socket = () => sockets.at(-1);

class FakeSocket {
  sent = [];
  closedWith = null;

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
  }

  says(...messages) {
    for (const message of messages) this.onmessage({ data: JSON.stringify(message) });
  }

  closes(code) {
    this.onclose({ code });
  }

  /** Those of a type, or all but `hello` and `ping`. */
  requests(type) {
    return this.sent.filter(({ t }) => (type ? t === type : t !== "hello" && t !== "ping"));
  }
}

class FakeStream {
  static count = 0;
  id = `stream ${FakeStream.count++}`;
  tracks = [];

  getTracks() {
    return this.tracks;
  }
}

class FakeTrack extends EventTarget {
  readyState = "live";
  enabled = true;

  constructor(kind) {
    super();
    this.kind = kind;
  }
}

Object.assign(globalThis, { WebSocket: FakeSocket, MediaStream: FakeStream, addEventListener() {} });
globalThis.navigator ??= {};
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
const { connect } = await import("../../web/client/client.js");

const WELCOME = { t: "welcome", version: 1, ping: 10, limits: { rate: 50, burst: 200 } };
const SESSION = { id: "session", secret: "secret" };
const JOINED = {
  t: "joined",
  seq: 1,
  room: "room",
  you: { id: "me", name: "Ann", grants: ["publish"], state: {} },
  peers: [],
  tracks: [],
  mode: "mesh",
  locked: false,
  ice_servers: [],
  ttl: 60,
  resume: SESSION,
};

const STEP_MS = 250;

let call;
let states;

beforeEach(async () => {
  call?.close();
  sockets = [];
  states = [];
  call = connect({ url: "wss://server/ws", token: async () => "token" });
  call.on("state", ({ state }) => states.push(state));
  await settled();
});

/** Lets promises run that have nothing to wait for. */
async function settled() {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** Passes time in small steps: a timer set by a timer counts from where the step ends. */
async function pass(ms) {
  for (let left = ms; left > 0; left -= STEP_MS) {
    mock.timers.tick(Math.min(left, STEP_MS));
    await settled();
  }
}

async function join() {
  const joined = call.join("room", { name: "Ann" });
  socket().says(WELCOME, { t: "ok", re: 1 });
  const [{ id }] = socket().requests("join");
  socket().says({ ...JOINED, re: id });
  await joined;
}

test("the token is said in hello, and never in the address", () => {
  socket().says(WELCOME);
  assert.equal(socket().url, "wss://server/ws");
  assert.equal(socket().protocol, "turnstone.v1");
  assert.deepEqual(socket().sent, [{ t: "hello", id: 1, token: "token" }]);
});

test("what was asked before the connection is sent after it", async () => {
  const joined = call.join("room", { name: "Ann", wait: true });
  assert.deepEqual(socket().sent, []);
  socket().says(WELCOME, { t: "ok", re: 1 });
  const [{ id, name, wait, state }] = socket().requests("join");
  assert.deepEqual([name, wait, state.audio, state.screen], ["Ann", true, false, false]);
  socket().says({ t: "waiting", re: id, position: 1 });
  assert.equal(call.state, "waiting");
  socket().says({ ...JOINED, re: id });
  assert.equal(await joined, call.me);
  assert.deepEqual(states, ["connected", "waiting", "connected"]);
});

test("a resumed session sends again only what was not carried out", async () => {
  await join();
  const chats = ["one", "two", "three"].map((text) => call.chat(text));
  const [one, two, three] = socket().requests("chat");
  assert.ok(one.id < two.id && two.id < three.id);
  socket().says({ t: "ok", re: one.id, seq: 2 });
  socket().closes(1006);
  assert.equal(call.state, "reconnecting");
  await pass(500);
  const four = call.chat("four");
  socket().says(WELCOME);
  assert.deepEqual(socket().sent, [{ t: "hello", id: 1, resume: { ...SESSION, last_seq: 2 } }]);
  // The second was carried out; its answer was lost, and comes again.
  socket().says({ t: "ok", re: 1, resumed: { last_id: two.id } }, { t: "ok", re: two.id, seq: 3 });
  assert.equal(call.state, "connected");
  const again = socket().requests("chat");
  assert.deepEqual(again.map(({ text }) => text), ["three", "four"]);
  for (const { id } of again) socket().says({ t: "ok", re: id });
  await Promise.all([...chats, four]);
});

test("a session that is gone is joined anew, in place of the old one", async () => {
  await join();
  const lost = assert.rejects(call.chat("lost"), { code: "session_gone" });
  socket().closes(1006);
  await pass(500);
  socket().says(WELCOME, { t: "error", re: 1, code: "session_gone", message: "" });
  await lost;
  await settled();
  socket().says(WELCOME, { t: "ok", re: 1 });
  assert.deepEqual(socket().requests("hello")[0].token, "token");
  const [again] = socket().requests("join");
  assert.deepEqual([again.room, again.name, again.replaces], ["room", "Ann", SESSION]);
  assert.equal(call.state, "reconnecting");
  socket().says({ ...JOINED, re: again.id });
  assert.equal(call.state, "connected");
});

test("joining anew goes on when the socket is lost meanwhile", async () => {
  await join();
  socket().closes(1006);
  await pass(500);
  socket().says(WELCOME, { t: "error", re: 1, code: "session_gone", message: "" });
  await settled();
  socket().says(WELCOME, { t: "ok", re: 1 });
  socket().closes(1006);
  await pass(1_000);
  socket().says(WELCOME, { t: "ok", re: 1 });
  assert.equal(socket().requests("join").length, 1);
});

test("a room that refuses us after the session is gone ends the call with its reason", async () => {
  await join();
  socket().closes(1006);
  await pass(500);
  socket().says(WELCOME, { t: "error", re: 1, code: "session_gone", message: "" });
  await settled();
  socket().says(WELCOME, { t: "ok", re: 1 });
  socket().says({ t: "error", re: socket().requests("join")[0].id, code: "room_full", message: "" });
  await settled();
  assert.deepEqual([call.state, call.reason, socket().closedWith], ["closed", "room_full", 1000]);
});

test("the wait between attempts doubles up to 15 s, by a random part", async () => {
  for (const most of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
    const { length } = sockets;
    socket().closes(1006);
    await pass(most / 2 - 1);
    assert.equal(sockets.length, length, `too soon before ${most}`);
    await pass(most / 2 + 1);
    assert.equal(sockets.length, length + 1, `too late after ${most}`);
  }
});

test("25 s without a message is the end of a socket", async () => {
  await join();
  const first = socket();
  await pass(10_000);
  assert.equal(first.requests("ping").length, 1);
  first.says({ t: "pong" });
  await pass(24_999);
  assert.equal(first.closedWith, null);
  await pass(1);
  // Not 1000, which would leave.
  assert.equal(first.closedWith, 4000);
  assert.equal(call.state, "reconnecting");
});

for (const [code, reason] of [[4401, "unauthorized"], [4403, "kicked"], [4409, "replaced"]]) {
  test(`after ${code} nobody comes back`, async () => {
    const joined = assert.rejects(call.join("room"), { code: reason });
    socket().says(WELCOME, { t: "ok", re: 1 });
    socket().closes(code);
    await joined;
    await pass(60_000);
    assert.deepEqual([sockets.length, call.state, call.reason], [1, "closed", reason]);
  });
}

test("the code of a fatal error is the reason", async () => {
  socket().says(WELCOME, { t: "error", re: 1, code: "token_expired", message: "", fatal: true });
  socket().closes(4401);
  assert.deepEqual([call.state, call.reason], ["closed", "token_expired"]);
});

test("a full server is asked again when it says", async () => {
  socket().says(WELCOME, { t: "error", re: 1, code: "server_full", message: "", retry_after_ms: 5_000 });
  await pass(4_999);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.equal(sockets.length, 2);
});

test("a flood goes out slower than the server refuses", async () => {
  await join();
  const chats = Array.from({ length: 250 }, (_, index) => call.chat(`${index}`));
  const sent = () => socket().requests("chat").length;
  assert.ok(sent() <= 100);
  await pass(1_000);
  assert.ok(sent() > 100 && sent() <= 200);
  await pass(2_000);
  assert.equal(sent(), 250);
  for (const { id } of socket().requests("chat")) socket().says({ t: "ok", re: id });
  await Promise.all(chats);
});

test("what the rate limit refused is sent again under a new id", async () => {
  await join();
  const chat = call.chat("again");
  const [first] = socket().requests("chat");
  socket().says({ t: "error", re: first.id, code: "rate_limited", message: "", retry_after_ms: 20 });
  await pass(1_000);
  const [, second] = socket().requests("chat");
  assert.equal(second.text, "again");
  assert.ok(second.id > first.id);
  socket().says({ t: "ok", re: second.id });
  await chat;
});

test("no more than 512 requests wait", async () => {
  const waiting = Array.from({ length: 512 }, () => call.chat("").catch(({ code }) => code));
  await assert.rejects(call.chat("one more"), { code: "busy" });
  call.close();
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(["closed"]));
});

test("members of the state that are the client's are refused", async () => {
  await assert.rejects(call.join("room", { state: { video: true } }), TypeError);
  await assert.rejects(call.set({ state: { streams: {} } }), TypeError);
});

test("the state on the wire holds the app's members and ours", async () => {
  await join();
  call.set({ state: { hand: true } }).catch(() => {});
  const { state } = socket().requests("set").at(-1);
  assert.equal(state.hand, true);
  assert.deepEqual(Object.values(state.streams), ["camera", "screen"]);
  assert.deepEqual(call.me.state, { hand: true });
});

test("what was muted before it was published stays muted", async () => {
  await join();
  const [audio, video] = [new FakeTrack("audio"), new FakeTrack("video")];
  audio.enabled = false;
  const stream = Object.assign(new FakeStream(), { tracks: [audio, video] });
  call.publish(stream);
  assert.deepEqual([audio.enabled, call.me.audio, call.me.video], [false, false, true]);
  const another = new FakeTrack("audio");
  call.publish(Object.assign(new FakeStream(), { tracks: [another, video] }));
  assert.equal(another.enabled, false);
  call.enable("audio");
  assert.deepEqual([another.enabled, call.me.audio], [true, true]);
});

test("a moderator's mute is carried out", async () => {
  await join();
  const audio = new FakeTrack("audio");
  call.publish(Object.assign(new FakeStream(), { tracks: [audio] }));
  socket().says({ t: "mute", seq: 2, by: "me", kind: "audio" });
  assert.deepEqual([audio.enabled, call.me.audio], [false, false]);
});
