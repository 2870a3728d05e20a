// How long it takes from join to the first decoded frame of the other one, in Chromium on loopback.
// Usage: node benches/signaling/first_frame.mjs https://127.0.0.1:8443 [rounds]
// against a server that lets guests in. Each round is a room of its own: the first person is there
// with a fake camera, the second joins, and the time counts until a frame of the first is shown.

import { createRequire } from "node:module";

// Installed by ./check for the browser tests.
const require = createRequire(new URL("../../tests/browser/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const [server, rounds = "15"] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--ignore-certificate-errors",
  ],
});
const times = [];
for (let round = 0; round < Number(rounds); round++) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const [first, second] = [await context.newPage(), await context.newPage()];
  const room = `first-frame-${process.pid}-${round}`;
  for (const page of [first, second]) {
    await page.goto(`${server}/`);
    await page.evaluate(prepare);
  }
  await first.evaluate((name) => globalThis.call.join(name), room);
  times.push(await second.evaluate(joinAndWatch, room));
  await context.close();
}
await browser.close();
times.sort((a, b) => a - b);
const at = (share) => Math.round(times[Math.floor((times.length - 1) * share)]);
console.log(`join to first frame, ${times.length} rounds: min ${at(0)} ms, median ${at(0.5)} ms, max ${at(1)} ms`);

/** Runs in the page: a call with a camera that is running already. */
async function prepare() {
  const { connect } = await import("/client.js");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 480 } });
  globalThis.call = connect();
  globalThis.call.publish(stream);
}

/** Runs in the page: joins, and returns the milliseconds until a frame is shown. */
function joinAndWatch(room) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    globalThis.call.on("track", ({ track, stream }) => {
      if (track.kind !== "video") return;
      const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
      video.requestVideoFrameCallback((now) => resolve(now - began));
      video.srcObject = stream;
      document.body.append(video);
    });
    globalThis.call.join(room).catch(reject);
  });
}
