// Plays one scene in the room app, with several people in one Chromium, and prints {"done":true}.
// Usage: node room_app.mjs '{"scene":"call","seconds":60,"host":"127.0.0.1:8443"}'. What only the test can
// do, it asks for with {"ask":"restart"} and goes on after the next line of input.

import { createInterface } from "node:readline";
import { launch, limitLife } from "./launch.mjs";
import { openProxy } from "./proxy.mjs";
import { Person } from "./room_person.mjs";

/** How long a socket stays cut: longer than the client waits before it sees it, well below a session's life. */
const CUT_MS = 10_000;

const SCENES = {
  /** Two people call: pictures, chat, mute, camera, screen, leaving. */
  async call() {
    const [ann, bob] = await pair();
    await chat(ann, bob);
    await ann.press("mic");
    await bob.tile("Ann").and(bob.page.locator("[data-muted]")).waitFor();
    await ann.press("mic");
    await bob.tile("Ann").and(bob.page.locator(":not([data-muted])")).waitFor();
    await ann.press("camera");
    await bob.tile("Ann").and(bob.page.locator(":not([data-video])")).waitFor();
    await ann.press("camera");
    await bob.seesMoving("Ann");
    await ann.press("share");
    await ann.see("sharing").waitFor();
    await bob.seesMoving("Ann", "screen");
    await ann.press("sharing-stop");
    await bob.tile("Ann", "screen").waitFor({ state: "detached" });
    await details(ann);
    await ann.press("leave");
    await ann.isTold("left");
    await bob.tile("Ann").waitFor({ state: "detached" });
    await bob.see("invite").waitFor();
    await ann.press("rejoin");
    await bob.seesMoving("Ann");
  },

  /** A third is refused by a room for two, waits for a place and gets it. */
  async full() {
    const [ann, bob] = await pair();
    const cas = await open("Cas");
    await cas.knock();
    await cas.isTold("full");
    await cas.press("wait");
    await cas.isTold("waiting");
    await cas.see("position").getByText("You are next").waitFor();
    await bob.press("leave");
    await cas.isIn();
    await cas.seesMoving("Ann");
    await ann.seesMoving("Cas");
  },

  /** A page that is loaded anew goes back into the call. */
  async reload() {
    const [ann, bob] = await pair();
    const before = await bob.connections();
    await ann.page.reload();
    await ann.isIn();
    await ann.seesMoving("Bob");
    await bob.seesMoving("Ann");
    assert((await bob.connections()) > before, "the new page needs a new connection");
    assert((await bob.tile("Ann").count()) === 1, "the old page is still there");
  },

  /** Ann's socket is cut; the call goes on, and what she missed arrives, over the same connection. */
  async cut() {
    const proxy = await openProxy(host);
    closers.push(() => proxy.close());
    const ann = await open("Ann", proxy.host);
    await ann.join();
    const bob = await open("Bob");
    await bob.join();
    await ann.seesMoving("Bob");
    await bob.seesMoving("Ann");
    const made = [await ann.connections(), await bob.connections()];

    const isOver = new Promise((resolve) => setTimeout(resolve, CUT_MS));
    proxy.cut();
    await ann.see("banner").waitFor();
    await say(bob, "while you were away");
    await ann.seesMoving("Bob");
    await bob.seesMoving("Ann");
    await isOver;
    proxy.mend();

    await ann.see("banner").waitFor({ state: "hidden" });
    await ann.press("chat-open");
    await ann.see("chat-message").getByText("while you were away").waitFor();
    await say(ann, "back again");
    await bob.see("chat-message").getByText("back again").waitFor();
    await ann.seesMoving("Bob");
    await bob.seesMoving("Ann");
    const now = [await ann.connections(), await bob.connections()];
    assert(String(now) === String(made), `connections made: ${made} before, ${now} after`);
    assert((await ann.see("tile").count()) === 2, "no tile came or went");
  },

  /** The server is killed and starts again: everybody comes back by themselves. */
  async restart() {
    const [ann, bob] = await pair();
    const haveSeen = Promise.all([ann, bob].map((person) => person.see("banner").waitFor()));
    await ask("restart");
    await haveSeen;
    await ann.see("banner").waitFor({ state: "hidden" });
    await bob.see("banner").waitFor({ state: "hidden" });
    await chat(ann, bob);
    await ann.seesMoving("Bob");
    await bob.seesMoving("Ann");
    assert((await ann.see("tile").count()) === 2, "everybody is there once");
  },

  /** Who came first moderates: mutes, locks, sends out. */
  async moderate() {
    const [ann, bob] = await pair();
    await ann.press("people-open");
    const row = ann.see("person").filter({ hasText: "Bob" });
    await row.getByTestId("person-mute").click();
    await ann.tile("Bob").and(ann.page.locator("[data-muted]")).waitFor();
    await bob.page.getByRole("button", { name: "Unmute microphone" }).waitFor();
    await ann.press("lock");
    await bob.see("room-locked").waitFor();
    const cas = await open("Cas");
    await cas.knock();
    await cas.isTold("locked");
    await row.getByTestId("person-kick").click();
    await ann.press("kick-confirm");
    await bob.isTold("kicked");
    await ann.tile("Bob").waitFor({ state: "detached" });
    await ann.press("lock");
    await cas.press("retry");
    await cas.isIn();
    await cas.seesMoving("Ann");
  },

  /** Without a camera and a microphone one can watch, listen and write. */
  async denied() {
    const ann = await open("Ann");
    await ann.join();
    const bob = await open("Bob", host, { prepare: denyMedia });
    await bob.see("media-help").waitFor();
    await bob.join();
    await bob.seesMoving("Ann");
    await ann.tile("Bob").and(ann.page.locator("[data-muted]:not([data-video])")).waitFor();
    await chat(bob, ann);
  },

  /** A wrong token is refused, and no token stays in the address. */
  async token() {
    const ann = await open("Ann", host, { hash: "#token=not.a.token" });
    assert(!ann.page.url().includes("#"), `the token is still in ${ann.page.url()}`);
    await ann.knock();
    await ann.isTold("unauthorized");
  },

  /** The keyboard is enough, and everything has a name, also on a phone and in Korean. */
  async access() {
    const ann = await open("Ann");
    await ann.see("preview").waitFor();
    await hasNames(ann);
    const { keyboard } = ann.page;
    // The name has the focus at once; Enter joins.
    await keyboard.type("Ann");
    await keyboard.press("Enter");
    await ann.isIn();
    await hasNames(ann);
    await keyboard.press("m");
    await ann.page.getByRole("button", { name: "Unmute microphone" }).waitFor();
    await keyboard.press("c");
    await keyboard.type("m is a letter here");
    await keyboard.press("Enter");
    await ann.see("chat-message").getByText("m is a letter here").waitFor();
    await hasNames(ann);
    await keyboard.press("Escape");
    await ann.page.getByTestId("chat").waitFor({ state: "hidden" });
    assert(await ann.see("chat-open").evaluate((button) => button === document.activeElement), "the focus is lost");
    await keyboard.press("p");
    await ann.see("people").waitFor();
    await hasNames(ann);
    await keyboard.press("?");
    await ann.see("help").waitFor();
    await hasNames(ann);
    await tabsStayInside(ann, "help");
    await keyboard.press("Escape");
    await ann.page.getByTestId("help").waitFor({ state: "hidden" });
    await keyboard.press("l");
    await ann.isTold("left");
    await hasNames(ann);
    await onPhone();
  },
};

/** A window of a phone: nothing is cut off, every control is large enough for a finger. */
async function onPhone() {
  const options = { viewport: { width: 360, height: 640 }, locale: "ko-KR" };
  const eun = await open("은서", host, { options });
  assert((await eun.page.getAttribute("html", "lang")) === "ko", "the language of the page");
  await fits(eun);
  await eun.join();
  await eun.page.getByRole("button", { name: "마이크 끄기" }).waitFor();
  await fits(eun);
  await hasNames(eun);
  await eun.press("chat-open");
  await eun.see("chat-input").waitFor();
  await fits(eun);
}

/** @param {Person} person */
async function fits(person) {
  const wrong = await person.page.evaluate(() => {
    const seen = [...document.querySelectorAll("button, a, input, select, textarea")].filter((e) => e.checkVisibility());
    const bad = seen.filter((element) => {
      const { width, height, left, right } = element.getBoundingClientRect();
      return width < 44 || height < 44 || left < 0 || right > innerWidth;
    });
    const isWide = document.documentElement.scrollWidth > innerWidth;
    return [...bad.map((element) => element.outerHTML), ...(isWide ? ["the page is too wide"] : [])];
  });
  assert(wrong.length === 0, `${person.name}: too small or cut off:\n${wrong.join("\n")}`);
}

/** @param {Person} person */
async function hasNames(person) {
  const nameless = await person.nameless();
  assert(nameless.length === 0, `${person.name}: controls without a name:\n${nameless.join("\n")}`);
}

/** @param {Person} person @param {string} dialog */
async function tabsStayInside(person, dialog) {
  for (let count = 0; count < 5; count++) {
    await person.page.keyboard.press("Tab");
    const isInside = await person.see(dialog).evaluate((element) => {
      const { activeElement } = document;
      return activeElement === document.body || element.contains(activeElement);
    });
    assert(isInside, "the focus left the dialog");
  }
}

/** Each writes once; the other has the chat closed before, and sees the badge. */
async function chat(one, other) {
  await say(one, "hello 👋 مرحبا");
  await other.see("chat-badge").getByText("1").waitFor();
  await other.press("chat-open");
  await other.see("chat-message").getByText("hello 👋 مرحبا").waitFor();
  await say(other, "안녕하세요");
  await one.see("chat-message").getByText("안녕하세요").waitFor();
  await one.press("chat-close");
  await other.press("chat-close");
}

/** @param {Person} person @param {string} text */
async function say(person, text) {
  if ((await person.see("chat").count()) === 0) await person.press("chat-open");
  await person.see("chat-input").fill(text);
  await person.press("chat-send");
  await person.see("chat-message").getByText(text).waitFor();
}

/** @param {Person} person */
async function details(person) {
  await person.press("more-open");
  await person.press("details-open");
  await person.see("details-rtt").getByText(/\d ms/).waitFor();
  await person.see("details-route").getByText(/direct|through the relay/).waitFor();
  await person.see("details-in").getByText(/[1-9].* [kM]bit\/s/).waitFor();
  await person.see("dialog-close").click();
}

/** Two people in the room, who see each other. @returns {Promise<[Person, Person]>} */
async function pair() {
  const ann = await open("Ann");
  await ann.join();
  await ann.see("invite").waitFor();
  const bob = await open("Bob");
  await bob.join();
  await ann.seesMoving("Bob");
  await bob.seesMoving("Ann");
  return [ann, bob];
}

/**
 * @param {string} name
 * @param {string} [through] the server, or a proxy before it
 * @param {{hash?: string, prepare?: () => void, options?: object}} [extras]
 */
async function open(name, through = host, { hash = "", ...extras } = {}) {
  const person = await Person.open(browser, `https://${through}/r/test-room${hash}`, name, extras);
  people.push(person);
  return person;
}

/** Runs in the page. */
function denyMedia() {
  navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException("Permission denied", "NotAllowedError");
  };
}

/** @param {string} what */
async function ask(what) {
  const answer = input.next();
  console.log(JSON.stringify({ ask: what }));
  await answer;
}

function assert(isSo, otherwise) {
  if (!isSo) throw new Error(otherwise);
}

const { scene, seconds, host } = JSON.parse(process.argv[2]);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
/** @type {Person[]} */
const people = [];
/** @type {(() => void)[]} */
const closers = [];
/** @type {import("playwright-core").Browser} */
let browser;
const describe = async () => {
  for (const person of people) console.error(await person.describe());
};
limitLife(seconds, async () => {
  await describe();
  await browser?.close();
});
process.stdin.on("end", () => process.exit(1));

let exitCode = 0;
try {
  browser = await launch("chromium");
  await SCENES[scene]();
  const complaints = people.flatMap((person) => person.complaints);
  assert(complaints.length === 0, `pages complained:\n${complaints.join("\n")}`);
  console.log(JSON.stringify({ done: true }));
} catch (error) {
  console.error(String(error?.stack ?? error));
  await describe();
  exitCode = 1;
}
await browser?.close();
for (const close of closers) close();
process.exit(exitCode);
