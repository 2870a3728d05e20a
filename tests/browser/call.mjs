// People in calls through client.js, in plain pages of another web site than the server's.
// Usage: node call.mjs '{"browser":"chromium","seconds":50,"scenario":"two_people"}'.
// JSON lines out: {"origin":...}, the site whose pages will connect; {"ask":...}, a thing for the test
// to do, whose answer is a line; {"result":{...}} or {"error":...}.
// JSON lines in: {"server":"https://..."} once it runs, then the answers. It gives up when input ends.

import { createServer, connect } from "node:net";
import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";
import { launch, limitLife } from "./launch.mjs";
import { openSite } from "./static_site.mjs";

const { browser: browserName, seconds, scenario } = JSON.parse(process.argv[2]);
const write = (line) => console.log(JSON.stringify(line));

/** @type {Map<string, import("playwright-core").Page>} */
const pages = new Map();
let browser;
let server;
const giveUp = limitLife(seconds, async () => {
  for (const [name, page] of pages) console.error(name, await page.evaluate(describe).catch(String));
  await browser?.close();
});
const lines = createInterface({ input: process.stdin });
let isDone = false;
lines.on("close", () => isDone || giveUp("standard input was closed"));
const input = lines[Symbol.asyncIterator]();
const answer = async () => JSON.parse((await input.next()).value);

const module = new URL("call_page.mjs", import.meta.url);
const example = (name) => new URL(`../../examples/${name}`, import.meta.url);
const files = {
  "/": '<!doctype html><title>call</title><script type="module" src="/call_page.mjs"></script>',
  "/call_page.mjs": module,
  "/minimal.html": example("minimal.html"),
  "/migrate.html": example("migrate.html"),
};
const site = await openSite(files);

const scenarios = {
  two_people,
  four_people,
  lost_socket,
  server_restart,
  dead_connection,
  renewed_credentials,
  reload,
  refused,
  documented,
  minimal,
  migrate,
};

let exitCode = 0;
try {
  write({ origin: site.origin });
  ({ server } = await answer());
  browser = await launch(browserName);
  const result = await scenarios[scenario]();
  isDone = true;
  write({ result });
} catch (error) {
  isDone = true;
  for (const [name, page] of pages) console.error(name, await page.evaluate(describe).catch(String));
  write({ error: String(error) });
  exitCode = 1;
}
await browser?.close();
process.exit(exitCode);

// --- scenarios ---

async function two_people() {
  const ann = await enter("Ann");
  const bob = await enter("Bob");
  await movesBothWays(ann, bob);

  await ann.evaluate(() => me.call.chat("hello"));
  await bob.evaluate(() => me.sees("chat Ann hello"));
  await ann.evaluate(() => me.sees("chat Ann hello"));
  await bob.evaluate(() => me.call.chat("a secret", me.peer("Ann")));
  await ann.evaluate(() => me.sees("chat Bob a secret Ann"));

  await bob.evaluate(() => me.call.enable("video", false));
  await ann.evaluate(() => me.until("Bob's camera is off", () => !me.peer("Bob").video));
  await bob.evaluate(() => me.call.enable("video"));
  await ann.evaluate(() => me.call.mute(me.peer("Bob"), "audio"));
  await bob.evaluate(() => me.sees("moderated mute Ann audio"));
  await ann.evaluate(() => me.until("Bob is muted", () => !me.peer("Bob").audio && me.peer("Bob").video));
  const isMuted = await bob.evaluate(() => !me.camera.getAudioTracks()[0].enabled);

  // Another device: the same senders go on.
  const offers = await bob.evaluate(() => me.descriptions);
  await bob.evaluate(() => me.publishCamera());
  await ann.evaluate(() => me.seesMoving("Bob camera"));
  const offersForDevice = (await bob.evaluate(() => me.descriptions)) - offers;
  const isStillMuted = await bob.evaluate(() => !me.camera.getAudioTracks()[0].enabled);

  // Both at once: their offers collide.
  await Promise.all([
    ann.evaluate(() => me.publishScreen("rgb(200, 30, 30)")),
    bob.evaluate(() => me.publishScreen("rgb(30, 30, 200)")),
  ]);
  await ann.evaluate(() => me.seesColor("Bob screen", 2));
  await bob.evaluate(() => me.seesColor("Ann screen", 0));
  const lines = await ann.evaluate(() => me.lines());
  for (const color of ["rgb(30, 200, 30)", "rgb(200, 30, 30)"]) {
    await bob.evaluate(() => me.call.unpublish("screen"));
    await ann.evaluate(() => me.seesNext("trackended Bob screen video"));
    await bob.evaluate((next) => me.publishScreen(next), color);
    await ann.evaluate(() => me.seesNext("track Bob screen video"));
  }
  await ann.evaluate(() => me.seesColor("Bob screen", 0));
  const newLines = (await ann.evaluate(() => me.lines())) - lines;
  // Firefox gives scripts no way to end a track with an event.
  await bob.evaluate((hasEvent) => (hasEvent ? me.endScreen() : me.call.unpublish("screen")), browserName === "chromium");
  await ann.evaluate(() => me.until("the screen is over", () => !me.peer("Bob").screen));

  // Another network: new candidates, on the same connection.
  const [before, connections] = await ann.evaluate(() => [me.ufrag(), me.connections.length]);
  await ann.evaluate(() => dispatchEvent(new Event("online")));
  await ann.evaluate((ufrag) => me.until("ICE restarts", () => ![undefined, ufrag].includes(me.ufrag())), before);
  await movesBothWays(ann, bob);
  const newConnections = (await ann.evaluate(() => me.connections.length)) - connections;

  await ann.evaluate(() => me.stats("Bob"));
  const stats = await ann.evaluate(() => me.until("bits flow", () => me.stats("Bob", (found) => found.bitrateIn > 0)));

  const cid = await enter("Cid", { wait: true });
  await cid.evaluate(() => me.sees("state waiting 1"));
  await bob.evaluate(() => me.call.leave());
  await ann.evaluate(() => me.sees("peerleft Bob left"));
  await movesBothWays(ann, cid);
  await ann.evaluate(() => me.call.lock());
  await cid.evaluate(() => me.sees("moderated lock"));
  await ann.evaluate(() => me.call.kick(me.peer("Cid"), "enough"));
  await cid.evaluate(() => me.sees("state closed kicked"));
  await ann.evaluate(() => me.sees("peerleft Cid kicked"));
  const errors = await Promise.all([ann, bob, cid].map((page) => page.evaluate(() => me.errors())));
  return { isMuted, isStillMuted, offersForDevice, newLines, newConnections, stats, errors: errors.flat() };
}

async function four_people() {
  const names = ["Ann", "Bob", "Cid", "Dee"];
  // All at once: whoever is first decides who offers to whom.
  const people = await Promise.all(names.map((name) => enter(name)));
  await Promise.all(
    people.map((page, index) =>
      page.evaluate(
        (others) => others.reduce((before, name) => before.then(() => me.seesMoving(`${name} camera`)), Promise.resolve()),
        names.filter((_, at) => at !== index),
      ),
    ),
  );
  const errors = await Promise.all(people.map((page) => page.evaluate(() => me.errors())));
  return { errors: errors.flat() };
}

async function lost_socket() {
  const wire = await openWire();
  const ann = await enter("Ann");
  const bob = await enter("Bob", { url: wire.url });
  await movesBothWays(ann, bob);
  const before = await bob.evaluate(() => me.connections.length);
  wire.cut();
  await bob.evaluate(() => me.sees("state reconnecting"));
  await ann.evaluate(() => me.until("Bob is away", () => me.peer("Bob").away));
  // Both sides speak while it is cut.
  const said = bob.evaluate(() => me.call.chat("from the gap"));
  await ann.evaluate(() => me.call.chat("into the gap"));
  await movesBothWays(ann, bob);
  wire.mend();
  await said;
  await bob.evaluate(() => me.sees("chat Ann into the gap"));
  await ann.evaluate(() => me.sees("chat Bob from the gap"));
  await ann.evaluate(() => me.until("Bob is back", () => !me.peer("Bob").away));
  await movesBothWays(ann, bob);
  const events = await bob.evaluate(() => me.events);
  const chats = (await ann.evaluate(() => me.events)).filter((event) => event.startsWith("chat"));
  return {
    newConnections: (await bob.evaluate(() => me.connections.length)) - before,
    joined: events.filter((event) => event.startsWith("joined")).length,
    chats: chats.length,
  };
}

async function server_restart() {
  const ann = await enter("Ann");
  const bob = await enter("Bob");
  await movesBothWays(ann, bob);
  await ask("restart");
  for (const [page, other] of [[ann, "Bob"], [bob, "Ann"]]) {
    await page.evaluate((name) => me.seesTimes(2, `peer ${name}`), other);
    await page.evaluate(() => me.until("connected", () => me.call.state === "connected"));
  }
  await movesBothWays(ann, bob);
  return { peers: await ann.evaluate(() => me.call.peers.size), reason: await ann.evaluate(() => me.call.reason) };
}

async function dead_connection() {
  const ann = await enter("Ann");
  const bob = await enter("Bob");
  await movesBothWays(ann, bob);
  // Behind the client's back. Restarting ICE cannot help.
  await bob.evaluate(() => me.connections.at(-1).close());
  await ann.evaluate(() => me.sees("trackended Bob camera video"));
  await movesBothWays(ann, bob);
  return {
    connections: await bob.evaluate(() => me.connections.length),
    peers: await bob.evaluate(() => me.call.peers.size),
  };
}

/** Relayed media outlives the credentials that it began with. */
async function renewed_credentials() {
  const options = { configuration: { iceTransportPolicy: "relay" } };
  const [ann, bob] = [await enter("Ann", options), await enter("Bob", options)];
  await movesBothWays(ann, bob);
  await Promise.all([ann, bob].map((page) => page.evaluate(() => me.watchForGaps())));
  const stats = await ann.evaluate(() => me.stats("Bob"));
  const user = () => ann.evaluate(() => me.connections.at(-1).getConfiguration().iceServers.at(-1).username);
  const first = await user();
  const ends = Number(first.split(":")[0]) * 1000;
  while ((await user()) === first) await new Promise((resolve) => setTimeout(resolve, 100));
  while (Date.now() < ends + 5_000) await movesBothWays(ann, bob);
  const gaps = await Promise.all([ann, bob].map((page) => page.evaluate(() => me.gaps)));
  return { path: stats.path, gaps: gaps.flat() };
}

async function reload() {
  const ann = await enter("Ann");
  let bob = await enter("Bob");
  await movesBothWays(ann, bob);
  await bob.reload();
  bob = await enter("Bob", {}, bob);
  await movesBothWays(ann, bob);
  // A copy of the tab starts with the same storage, and must not push the original out.
  const stored = await bob.evaluate(() => sessionStorage.length);
  const events = await ann.evaluate(() => me.events);
  return {
    stored,
    left: events.filter((event) => event.startsWith("peerleft Bob")).length,
    peers: await ann.evaluate(() => me.call.peers.size),
  };
}

async function refused() {
  const page = await openPage("Ann", "/");
  return page.evaluate(async (url) => {
    globalThis.me = await Caller.open(url, { token: async () => "not a token" });
    const { code } = await me.call.join("room").catch((error) => error);
    return { code, state: me.call.state, reason: me.call.reason };
  }, server);
}

/** The first page of docs/client.md, as it stands there. */
async function documented() {
  const text = await readFile(new URL("../../docs/client.md", import.meta.url), "utf8");
  const [, page] = text.match(/```html\n(.*?)```/s);
  files["/documented.html"] = page.replace("https://call.example.org", server);
  const { frames } = await example_call("documented.html", "video");
  return { frames };
}

/** The example that follows docs/protocol.md alone, then with somebody who uses client.js. */
async function minimal() {
  const { ann, frames } = await example_call("minimal.html");
  const bob = await enter("Bob");
  await bob.evaluate(() => me.seesMoving("Guest camera"));
  await ann.evaluate(framesOf, "video.remote");
  return { frames, errors: await bob.evaluate(() => me.errors()) };
}

async function migrate() {
  const { frames } = await example_call("migrate.html");
  return { frames };
}

/** Two people who open the same example: each sees the other move. Then one of them goes. */
async function example_call(name, selector = "video.remote") {
  const path = `/${name}?server=${server.replace("https", "wss")}&room=room`;
  const [ann, bob] = [await openPage("Ann", path), await openPage("Bob", path)];
  const frames = await Promise.all([ann, bob].map((page) => page.evaluate(framesOf, selector)));
  await bob.close();
  pages.delete("Bob");
  await ann.waitForFunction((video) => !document.querySelector(video)?.srcObject, selector);
  return { ann, frames };
}

/** Runs in the page: plays until the picture of the other one has changed. */
async function framesOf(selector) {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  const canvas = new OffscreenCanvas(64, 48);
  const context = canvas.getContext("2d");
  const picture = () => {
    const video = document.querySelector(selector);
    if (!video?.videoWidth) return null;
    context.drawImage(video, 0, 0, 64, 48);
    return context.getImageData(0, 0, 64, 48).data.join();
  };
  let first;
  while (!(first = picture())) await pause();
  while (picture() === first) await pause();
  return document.querySelector(selector).getVideoPlaybackQuality().totalVideoFrames;
}

// --- people ---

/** Opens a page, publishes a camera, and joins; with `wait` it does not wait for the place. */
async function enter(name, { wait = false, ...options } = {}, opened) {
  const page = opened ?? (await openPage(name, "/"));
  await page.waitForFunction("globalThis.Caller !== undefined");
  await page.evaluate(
    async ([from, given]) => {
      globalThis.me = await Caller.open(from, given);
      await me.publishCamera();
    },
    [server, options],
  );
  const joined = page.evaluate(([person, waits]) => me.join("room", { name: person, wait: waits }), [name, wait]);
  if (!wait) await joined;
  return page;
}

async function openPage(name, path) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (message) => console.error(`${name}: ${message.text()}`));
  page.on("pageerror", (error) => giveUp(`${name}: ${error}`));
  await page.goto(site.origin + path);
  pages.set(name, page);
  return page;
}

async function movesBothWays(...people) {
  const names = await Promise.all(people.map((page) => page.evaluate(() => me.call.me.name)));
  await Promise.all(
    people.map((page, index) => page.evaluate((name) => me.seesMoving(`${name} camera`), names[1 - index])),
  );
}

/** Runs in the page. */
function describe() {
  return globalThis.me?.describe() ?? document.body.textContent;
}

async function ask(what) {
  write({ ask: what });
  await answer();
}

/** A way to the server that can be cut. */
async function openWire() {
  const { hostname, port } = new URL(server);
  const sockets = new Set();
  let isCut = false;
  const wire = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise((resolve) => wire.listen(0, "127.0.0.1", resolve));
  return {
    url: `wss://127.0.0.1:${wire.address().port}/ws`,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
  };
}
