// An app in TypeScript: what compiles here compiles for users, and what must not is marked.

import { connect, CallError, type Call, type Peer, type PeerStats } from "../../web/client/client.js";

const call: Call = connect({
  url: new URL("wss://call.example.org/ws"),
  token: async () => "token",
  configuration: { iceTransportPolicy: "relay" },
});
const stop: () => void = call.on("track", ({ peer, track, stream, source }) => {
  const isStable: boolean = peer.streams[source] === stream;
  console.log(peer.name, track.kind, isStable);
});
call.addEventListener("chat", ({ from, text, at, to }) => console.log(from.id, text.length, at + 1, to?.name));
call.addEventListener("anything", (event) => console.log(event.type));
call.on("moderated", (event) => {
  if (event.action === "mute") console.log(event.kind, event.by.name);
  if (event.action === "kick") console.log(event.reason?.length);
});
call.on("state", ({ state, reason, position }) => console.log(state === "closed", reason, position));

export async function use(stream: MediaStream): Promise<void> {
  try {
    const me = await call.join("tea", { name: "Ann", state: { hand: true }, wait: true });
    console.log(me.grants.includes("moderate"), me.audio);
  } catch (error) {
    if (error instanceof CallError) console.log(error.code, error.retryAfter);
  }
  call.publish(stream);
  call.publish(stream, "screen");
  call.enable("video", false);
  for (const peer of call.peers.values()) await inspect(peer);
  await call.set({ state: { hand: false } });
  await call.lock();
  stop();
  await call.leave();
  call.close();
}

async function inspect(peer: Peer): Promise<void> {
  const stats: PeerStats | null = await call.stats(peer);
  console.log(stats?.path, stats?.rtt, peer.connection, peer.away, peer.state.hand);
  await call.chat("hello", peer);
  await call.mute(peer.id, "audio");
  await call.kick(peer, "enough");
}

// @ts-expect-error: there is no such event
call.on("nonsense", () => {});
// @ts-expect-error: the client's own member of the state
void call.join("tea", { state: { video: true } });
// @ts-expect-error: the ICE servers are the server's
connect({ configuration: { iceServers: [] } });
// @ts-expect-error: people are not for the app to change
call.me!.name = "Bob";
// @ts-expect-error: only audio and video
call.enable("screen");
