// One person in the room app: opens the page, joins, and waits until the other one's picture moves.
// Usage: node room_side.mjs '{"browser":"firefox","seconds":50,"url":"https://...","name":"Ann"}'.
// JSON lines out: {"result":{...}} or {"error":...}. Closing standard input ends it; it stays in the
// call until then, because the other one still needs its video.

import { launch, limitLife } from "./launch.mjs";

const { browser: name, seconds, url, name: person } = JSON.parse(process.argv[2]);
const FRAMES_WANTED = 30;
let browser;
let page;
let stuck = () => "";
const giveUp = limitLife(seconds, async () => {
  if (page) console.error(await page.evaluate(describe).catch(String));
  await browser?.close();
});
const write = (line) => console.log(JSON.stringify(line));

try {
  browser = await launch(name);
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-US" });
  await context.addInitScript(keepConnections);
  page = await context.newPage();
  page.on("console", (message) => console.error(`page: ${message.text()}`));
  const open = new Map();
  page.on("request", (request) => open.set(request.url(), Date.now()));
  page.on("requestfinished", (request) => open.delete(request.url()));
  page.on("requestfailed", (request) => {
    open.delete(request.url());
    console.error(`failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  stuck = () => [...open].map(([url, since]) => `open for ${Date.now() - since} ms: ${url}`).join("\n");
  page.on("pageerror", (error) => giveUp(`page: ${error}`));
  await page.goto(url);
  await page.getByTestId("name").fill(person);
  await page.getByTestId("join").click();
  await page.evaluate(untilMoving, FRAMES_WANTED);
  write({ result: await page.evaluate(describe) });
} catch (error) {
  console.error(stuck());
  write({ error: String(error) });
}
for await (const _ of process.stdin);
await browser?.close();
process.exit(0);

/** Runs in the page before its own scripts: remembers every RTCPeerConnection. */
function keepConnections() {
  globalThis.connections = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      globalThis.connections.push(this);
    }
  };
}

/** Runs in the page: until the other one's picture has changed so often. The limit above bounds it. */
async function untilMoving(wanted) {
  const frames = async () => {
    let most = 0;
    for (const connection of globalThis.connections) {
      for (const entry of (await connection.getStats()).values()) {
        if (entry.type === "inbound-rtp" && entry.kind === "video") {
          most = Math.max(most, entry.framesDecoded ?? 0);
        }
      }
    }
    return most;
  };
  // Statistics have no event.
  while ((await frames()) < wanted) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Runs in the page: what arrived, and over which candidates. */
async function describe() {
  const found = { frames: 0, colors: 0, localType: "", remoteType: "", relayProtocol: "" };
  found.screen = document.querySelector("[data-testid=notice-text]")?.textContent ?? "";
  for (const connection of globalThis.connections) {
    found.state = connection.iceConnectionState;
    const stats = [...(await connection.getStats()).values()];
    const byId = (id) => stats.find((entry) => entry.id === id);
    const inbound = stats.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    found.frames = inbound?.framesDecoded ?? 0;
    const pair = stats.find(
      (entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded",
    );
    if (!pair) continue;
    const local = byId(pair.localCandidateId);
    found.localType = local?.candidateType ?? "";
    found.relayProtocol = local?.relayProtocol ?? "";
    found.remoteType = byId(pair.remoteCandidateId)?.candidateType ?? "";
  }
  const tile = document.querySelectorAll("[data-testid=tile-video]")[1];
  if (tile?.videoWidth) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [tile.videoWidth, tile.videoHeight];
    const drawing = canvas.getContext("2d");
    drawing.drawImage(tile, 0, 0);
    const { data } = drawing.getImageData(0, 0, canvas.width, canvas.height);
    found.colors = new Set(new Uint32Array(data.buffer)).size;
  }
  return found;
}
