// Someone who uses the room app: a browser context of their own, and what they do and see there.
// Everything waits for what it is after; the timeout of Playwright or of the script ends it.

/** Reports that a page may make without anything being wrong. */
const EXPECTED = [/ERR_CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)/, /WebSocket connection to/];

export class Person {
  /** What the page complained about. @type {string[]} */
  complaints = [];

  /**
   * @param {import("playwright-core").Browser} browser
   * @param {string} address of the room
   * @param {string} name
   * @param {{prepare?: () => void, options?: object}} [extras] `prepare` runs in the page before its scripts
   */
  static async open(browser, address, name, { prepare, options } = {}) {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-US", ...options });
    await context.addInitScript(addWitnesses);
    if (prepare) await context.addInitScript(prepare);
    const person = new Person(await context.newPage(), address, name);
    await person.page.goto(address);
    return person;
  }

  /** @param {import("playwright-core").Page} page @param {string} address @param {string} name */
  constructor(page, address, name) {
    this.page = page;
    this.address = address;
    this.name = name;
    page.on("pageerror", (error) => this.complaints.push(`${name}: ${error.stack}`));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !EXPECTED.some((known) => known.test(text))) {
        this.complaints.push(`${name}: ${text}`);
      }
    });
  }

  /** The visible element with this test id. @param {string} id */
  see(id) {
    return this.page.getByTestId(id).filter({ visible: true });
  }

  /** @param {string} id */
  async press(id) {
    await this.see(id).click();
  }

  /** Fills in the name and presses the button. */
  async knock() {
    await this.see("name").fill(this.name);
    await this.press("join");
  }

  /** Enters the room. */
  async join() {
    await this.knock();
    await this.isIn();
  }

  async isIn() {
    await this.see("call").waitFor();
  }

  /** The tile of somebody, by the name on it. @param {string} name @param {"camera" | "screen"} [source] */
  tile(name, source = "camera") {
    const own = source === "camera" ? [name, `${name} (you)`] : [`Screen of ${name}`];
    const plate = this.page.getByTestId("tile-name").getByText(new RegExp(`^(${own.map(quoted).join("|")})$`));
    return this.see("tile").filter({ has: plate });
  }

  /**
   * Waits until a tile shows moving pictures: more frames are decoded, and pixels differ.
   * @param {string} name
   * @param {"camera" | "screen"} [source]
   */
  async seesMoving(name, source = "camera") {
    const tile = this.tile(name, source).and(this.page.locator("[data-video]"));
    await tile.waitFor();
    const video = await tile.getByTestId("tile-video").elementHandle();
    const first = await this.page.evaluate((shown) => globalThis.pictureOf(shown), video);
    await this.page.waitForFunction(
      ({ shown, frames, pixels }) => {
        const now = globalThis.pictureOf(shown);
        return now.frames >= frames + 5 && now.pixels !== pixels && now.colors > 1;
      },
      { shown: video, ...first },
    );
  }

  /** Waits for the notice of this kind. @param {string} kind */
  async isTold(kind) {
    await this.page.locator(`[data-testid=notice][data-notice=${kind}]`).filter({ visible: true }).waitFor();
  }

  /** How many RTCPeerConnections the page has made. */
  connections() {
    return this.page.evaluate(() => globalThis.connectionsMade);
  }

  /** Names every visible control that has no accessible name. */
  async nameless() {
    const snapshot = await this.page.locator("body").ariaSnapshot();
    return snapshot.split("\n").filter((line) => /^\s*- (button|link|textbox|combobox|checkbox)(?! ")/.test(line));
  }

  /** What to know when a test is stuck. */
  async describe() {
    const visible = await this.page.locator("body").ariaSnapshot({ timeout: 2000 }).catch(String);
    return `---- ${this.name} at ${this.page.url()}\n${visible}\n${this.complaints.join("\n")}`;
  }
}

/** Runs in the page, before its scripts. */
function addWitnesses() {
  const Real = globalThis.RTCPeerConnection;
  globalThis.connectionsMade = 0;
  globalThis.RTCPeerConnection = class extends Real {
    constructor(configuration) {
      super(configuration);
      globalThis.connectionsMade++;
    }
  };
  /** What a video shows now. @param {HTMLVideoElement} video */
  globalThis.pictureOf = (video) => {
    const canvas = new OffscreenCanvas(64, 48);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 64, 48);
    const pixels = new Uint32Array(context.getImageData(0, 0, 64, 48).data.buffer);
    return {
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      pixels: pixels.join(),
      colors: new Set(pixels).size,
    };
  };
}

/** @param {string} text */
const quoted = (text) => text.replace(/[^\w ]/g, "\\$&");
