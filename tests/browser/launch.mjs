// Starts an installed browser with fake media and opens the page that holds peer.mjs.
// The page comes from a server on 127.0.0.1, because media needs a secure context.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { chromium, firefox } from "playwright-core";

/** Where Debian puts them. */
const EXECUTABLES = { chromium: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr" };

const LAUNCH_TIMEOUT_MS = 30_000;

const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  // The server's certificate is self-signed, and `turns:` offers no way to trust it.
  "--ignore-certificate-errors",
];

const FIREFOX_PREFS = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  // Loopback addresses are not gathered otherwise, and the relay under test has no other.
  "media.peerconnection.ice.loopback": true,
};

/**
 * @param {"chromium" | "firefox"} name
 * @returns {Promise<{page: import("playwright-core").Page, version: string, close: () => Promise<void>}>}
 */
export async function openPage(name) {
  const site = await serveFolder();
  const browser = await launch(name);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.on("console", (message) => console.error(`page: ${message.text()}`));
  page.on("pageerror", (error) => console.error(`page: ${error}`));
  await page.goto(site.url);
  await page.waitForFunction("globalThis.Peer !== undefined");
  return {
    page,
    version: browser.version(),
    close: async () => {
      await browser.close();
      site.close();
    },
  };
}

/** @param {"chromium" | "firefox"} name */
export function launch(name) {
  const options = {
    executablePath: EXECUTABLES[name],
    headless: true,
    timeout: LAUNCH_TIMEOUT_MS,
  };
  if (name === "chromium") return chromium.launch({ ...options, args: CHROMIUM_ARGS });
  // The channel selects WebDriver BiDi, which a distribution's Firefox speaks.
  return firefox.launch({ ...options, channel: "moz-firefox", firefoxUserPrefs: FIREFOX_PREFS });
}

/** Serves the page and the one module it loads. */
async function serveFolder() {
  const module = await readFile(new URL("peer.mjs", import.meta.url));
  const html = '<!doctype html><title>relay</title><script type="module" src="/peer.mjs"></script>';
  const server = createServer((request, response) => {
    const isModule = request.url === "/peer.mjs";
    response.setHeader("content-type", isModule ? "text/javascript" : "text/html");
    response.end(isModule ? module : html);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/**
 * Bounds the life of this process, so that no browser outlives the test that asked for it.
 * @param {number} seconds after which it gives up
 * @param {() => Promise<void>} giveUp says where it got stuck and closes the browser
 * @returns {(reason: string) => void} gives up at once
 */
export function limitLife(seconds, giveUp) {
  const stop = (reason) => {
    console.error(reason);
    setTimeout(() => process.exit(1), 3_000);
    giveUp().finally(() => process.exit(1));
  };
  setTimeout(stop, seconds * 1000, `no result after ${seconds} s`);
  return stop;
}
