// Connects two RTCPeerConnections of one page and prints one JSON line: what each end received and
// over which candidates. Usage: node relay.mjs '{"browser":"chromium","seconds":40,"rtc":{...}}',
// where rtc is the RTCConfiguration of both ends. It gives up when standard input is closed.

import { limitLife, openPage } from "./launch.mjs";

const { browser, seconds, rtc } = JSON.parse(process.argv[2]);
let opened;
const giveUp = limitLife(seconds, async () => {
  if (opened) console.error(await opened.page.evaluate("globalThis.describe?.()"));
  await opened?.close();
});
process.stdin.on("end", () => giveUp("standard input was closed")).resume();

let exitCode = 0;
try {
  opened = await openPage(browser);
  const ends = await opened.page.evaluate(connect, rtc);
  console.log(JSON.stringify({ version: opened.version, ends }));
} catch (error) {
  console.error(String(error));
  exitCode = 1;
}
await opened?.close();
process.exit(exitCode);

/** Runs in the page. */
async function connect(configuration) {
  const { Peer } = globalThis;
  const ends = [];
  // Each end handles its signals one after the other, in the order they were sent.
  const queues = [Promise.resolve(), Promise.resolve()];
  const deliverTo = (index) => (signal) => {
    queues[index] = queues[index].then(() => ends[index].receive(signal));
  };
  ends.push(new Peer(configuration, true, deliverTo(1)));
  ends.push(new Peer(configuration, false, deliverTo(0)));
  globalThis.describe = async () => (await Promise.all(ends.map((end) => end.describe()))).join("\n");
  await ends[1].start();
  await ends[0].start();
  return Promise.all(ends.map((end) => end.run()));
}
