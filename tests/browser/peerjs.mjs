// Two pages with the PeerJS client. Usage: node peerjs.mjs '{"seconds":50}'. Out comes
// {"origin":"http://..."}, the web site of the pages; in goes one JSON line with the script's `steps`
// and the peers' options; out comes {"result":{...}}, or the reason on standard error.

import { createInterface } from "node:readline";
import { launch, limitLife } from "./launch.mjs";
import { openSite } from "./static_site.mjs";

const { seconds } = JSON.parse(process.argv[2]);
let browser;
let pages = [];
const giveUp = limitLife(seconds, async () => {
  for (const page of pages) console.error(await page.evaluate("globalThis.describe?.()"));
  await browser?.close();
});
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();

const file = (path) => new URL(path, import.meta.url);
const site = await openSite({
  "/": '<!doctype html><script src="/peerjs.min.js"></script><body></body><script type="module" src="/page.mjs"></script>',
  "/peerjs.min.js": file("node_modules/peerjs/dist/peerjs.min.js"),
  "/page.mjs": file("peerjs_page.mjs"),
});
console.log(JSON.stringify({ origin: site.origin }));

let exitCode = 0;
try {
  const { value } = await lines.next();
  const { steps, options } = JSON.parse(value);
  input.on("close", () => giveUp("standard input was closed"));
  browser = await launch("chromium");
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  for (let count = 0; count < 2; count++) {
    const page = await context.newPage();
    page.on("console", (message) => console.error(`page: ${message.text()}`));
    page.on("pageerror", (error) => console.error(`page: ${error}`));
    await page.goto(site.origin);
    await page.waitForFunction("globalThis.openPeer !== undefined");
    pages.push(page);
  }
  const result = await { everything, rooms }[steps](options);
  console.log(JSON.stringify({ result }));
} catch (error) {
  console.error(String(error));
  exitCode = 1;
}
await browser?.close();
site.close();
process.exit(exitCode);

/** Calls one of the functions that peerjs_page.mjs puts into the page. */
function ask(page, name, ...values) {
  return pages[page].evaluate(([name, values]) => globalThis[name](...values), [name, values]);
}

/** All that apps do with PeerJS. */
async function everything({ root, below }) {
  const seen = {};
  // Any id from the default path, a chosen one from the path that people copy.
  seen.any = await ask(0, "openPeer", "ann", null, root);
  seen.chosen = await ask(1, "openPeer", "ben", "ben-1", below);
  seen.anyBelow = await ask(1, "openPeer", "any", null, below);
  seen.data = await ask(0, "exchange", "ann", "ben-1", { text: "hello", bytes: 3 });
  seen.frames = [await ask(0, "call", "ann", "ben-1"), await ask(1, "moving")];
  seen.taken = await ask(0, "refusal", "ben-1", root);
  seen.wrongKey = await ask(0, "refusal", "eve", { ...root, key: "wrong" });
  seen.listing = await ask(0, "listing", root);

  seen.back = await ask(0, "reconnect", "ann");
  seen.dataAfter = await ask(0, "exchangeAgain", "ann", "still");
  seen.dataBack = await ask(1, "exchange", "ben", seen.back, "again");

  seen.absent = await ask(0, "connectInVain", "ann", "nobody");
  const early = ask(0, "exchange", "ann", "late-1", "early");
  // The offer of the early one waits at the server until then.
  await pages[1].waitForTimeout(500);
  await ask(1, "openPeer", "late", "late-1", root);
  seen.late = await early;
  return seen;
}

/** Without guests, with room tokens as keys. */
async function rooms({ root, below, green, red }) {
  const seen = {};
  seen.guest = await ask(0, "refusal", "ann", root);
  seen.expired = await ask(0, "refusal", "ann", { ...root, key: `${green}x` });
  // An id of the server's choice, by either path.
  await ask(0, "openPeer", "ann", null, { ...root, key: green });
  await ask(1, "openPeer", "any", null, { ...below, key: green });
  await ask(1, "openPeer", "ben", "ben", { ...root, key: green });
  await ask(1, "openPeer", "eve", "eve", { ...root, key: red });
  seen.data = await ask(0, "exchange", "ann", "ben", "hello");
  seen.otherRoom = await ask(0, "connectInVain", "ann", "eve");
  return seen;
}
