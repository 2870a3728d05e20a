// One end of a connection between two browser processes.
// Usage: node side.mjs '{"browser":"chromium","seconds":50,"offers":true,"rtc":{...}}'.
// JSON lines out: {"ready":true}, {"signal":...}, then {"result":...,"version":...} or {"error":...}.
// JSON lines in: {"start":true} once both ends are ready, {"signal":...}. Closing standard input
// ends it; both ends stay until then, because the other one still needs this one's video.

import { createInterface } from "node:readline";
import { limitLife, openPage } from "./launch.mjs";

const { browser, seconds, offers, rtc } = JSON.parse(process.argv[2]);
const write = (line) => console.log(JSON.stringify(line));
let opened;
limitLife(seconds, async () => {
  if (opened) console.error(await opened.page.evaluate("globalThis.end?.describe()"));
  await opened?.close();
});

try {
  opened = await openPage(browser);
  const { page, version } = opened;
  await page.exposeFunction("sendSignal", (signal) => write({ signal }));
  await page.evaluate(createEnd, { rtc, offers });
  write({ ready: true });
  page
    .evaluate("end.run()")
    .then((result) => write({ result, version }))
    .catch((error) => write({ error: String(error) }));
  for await (const line of createInterface({ input: process.stdin })) {
    const { start, signal } = JSON.parse(line);
    if (start) await page.evaluate("end.start()");
    else await page.evaluate((received) => globalThis.end.receive(received), signal);
  }
} catch (error) {
  write({ error: String(error) });
}
await opened?.close();
process.exit(0);

/** Runs in the page. */
function createEnd({ rtc: configuration, offers: makesOffer }) {
  globalThis.end = new globalThis.Peer(configuration, makesOffer, globalThis.sendSignal);
}
