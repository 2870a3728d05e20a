// The pages' icons: strokes on a grid of 24, in the colour of the text around them. They say nothing
// to screen readers, so the control they stand in needs a label.

/** @type {Record<string, string>} Path data by name. */
const SHAPES = {
  mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  "mic-off": "M9 9.5V12a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.7-1.3M5.5 11.5a6.5 6.5 0 0 0 10 5.5M18.5 11.5a6.5 6.5 0 0 1-.7 3M12 18v3M4 4l16 16",
  camera: "M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM15.5 10.5l6-3.5v10l-6-3.5",
  "camera-off": "M10.5 6.5h3a2 2 0 0 1 2 2v3M15.5 10.5l6-3.5v10l-2.5-1.5M15.2 16.6a2 2 0 0 1-1.7.9h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.6-2M3.5 3.5l17 17",
  screen: "M4.5 4.5h15a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2ZM8.5 20h7M12 13.5V8M9.5 10 12 7.5l2.5 2.5",
  "screen-off": "M4.5 4.5h15a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2ZM8.5 20h7M9.8 8.3l4.4 4.4M14.2 8.3l-4.4 4.4",
  chat: "M5.5 4.5h13a2.5 2.5 0 0 1 2.5 2.5v7a2.5 2.5 0 0 1-2.5 2.5H12L7.5 20v-3.5h-2A2.5 2.5 0 0 1 3 14V7a2.5 2.5 0 0 1 2.5-2.5ZM8 9h8M8 12.5h5",
  people: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5c0-3.3 2.9-5 6.5-5s6.5 1.7 6.5 5M16 4.9a3.3 3.3 0 0 1 0 6.2M18 14.9c2.1.7 3.5 2.3 3.5 4.6",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  leave: "M2.8 14.6c-.5-.9-.2-2 .7-2.7A14 14 0 0 1 12 9.2c3.2 0 6.1.9 8.5 2.7.9.7 1.2 1.8.7 2.7l-.9 1.6c-.4.7-1.2 1-2 .8l-2.7-.8c-.7-.2-1.2-.9-1.2-1.6v-1.5a9.6 9.6 0 0 0-4.8 0v1.5c0 .7-.5 1.4-1.2 1.6l-2.7.8c-.8.2-1.6-.1-2-.8Z",
  link: "M10 14a4.2 4.2 0 0 0 6 0l3.5-3.5a4.2 4.2 0 0 0-6-6L12 6M14 10a4.2 4.2 0 0 0-6 0l-3.5 3.5a4.2 4.2 0 0 0 6 6L12 18",
  close: "M6 6l12 12M18 6 6 18",
  send: "M4 12 20 4.5 15 20l-3.5-6.5ZM11.5 13.5 20 4.5",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6.5 11h11a1.5 1.5 0 0 1 1.5 1.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5v-6A1.5 1.5 0 0 1 6.5 11ZM12 14.5v2",
  unlock: "M7 11V8a5 5 0 0 1 9.6-2M6.5 11h11a1.5 1.5 0 0 1 1.5 1.5v6a1.5 1.5 0 0 1-1.5 1.5h-11A1.5 1.5 0 0 1 5 18.5v-6A1.5 1.5 0 0 1 6.5 11ZM12 14.5v2",
  kick: "M10 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM3 19.5c0-3.3 3-5 7-5 1.3 0 2.5.2 3.5.5M16 16l5 5M21 16l-5 5",
  devices: "M4 7.5h9M17 7.5h3M4 16.5h3M11 16.5h9M15 9.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM9 18.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  details: "M4 19.5V14M9.3 19.5V9.5M14.7 19.5V12M20 19.5v-15",
  keyboard: "M4.5 6.5h15a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2ZM6.5 10h.01M10.2 10h.01M13.8 10h.01M17.5 10h.01M8 14h8",
  language: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3 12h18M12 3c2.5 2.6 3.8 5.6 3.8 9S14.5 18.4 12 21c-2.5-2.6-3.8-5.6-3.8-9S9.5 5.6 12 3Z",
  arrow: "M5 12h14M13 6l6 6-6 6",
  shield: "M12 3l7.5 2.8v5.4c0 4.6-3 8.2-7.5 9.8-4.5-1.6-7.5-5.2-7.5-9.8V5.8ZM8.8 11.8l2.3 2.3 4.2-4.3",
  server: "M5 4.5h14a1.5 1.5 0 0 1 1.5 1.5v3.5A1.5 1.5 0 0 1 19 11H5a1.5 1.5 0 0 1-1.5-1.5V6A1.5 1.5 0 0 1 5 4.5ZM5 13.5h14a1.5 1.5 0 0 1 1.5 1.5v3.5A1.5 1.5 0 0 1 19 20H5a1.5 1.5 0 0 1-1.5-1.5V15A1.5 1.5 0 0 1 5 13.5ZM7 7.7h.01M7 16.7h.01M11 7.7h6M11 16.7h6",
  path: "M5.5 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM18.5 21a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM8 5.5h7a3.5 3.5 0 0 1 0 7H9a3 3 0 0 0 0 6h7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5l3.5 2",
  door: "M13.5 4.5H17A2 2 0 0 1 19 6.5v11a2 2 0 0 1-2 2h-3.5M4 12h10M10.5 8.5 14 12l-3.5 3.5",
  warning: "M12 4 2.8 19.5h18.4ZM12 10v4.5M12 17h.01",
  ear: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5ZM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11",
};

const SVG = "http://www.w3.org/2000/svg";

/**
 * Draws an icon.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name] ?? SHAPES.warning);
  svg.append(path);
  return svg;
}

/**
 * Puts an icon first in an element, in place of the one that is there.
 * @param {Element} element
 * @param {string} name
 */
export function setIcon(element, name) {
  if (element.getAttribute("data-drawn") === name) return;
  element.setAttribute("data-drawn", name);
  element.querySelector(":scope > .icon")?.remove();
  element.prepend(icon(name));
}

/**
 * Draws the icon of every element below `root` that names one in `data-icon`.
 * @param {ParentNode} root
 */
export function drawIcons(root) {
  for (const element of root.querySelectorAll("[data-icon]")) {
    setIcon(element, element.getAttribute("data-icon") ?? "");
  }
}
