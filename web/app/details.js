// The dialog that tells how media travels, asked anew every second while it is open.

import { currentLanguage, say } from "./i18n.js";

/** @typedef {import("/client.js").Call} Call */
/** @typedef {import("/client.js").Peer} Peer */
/** @typedef {import("/client.js").PeerStats} PeerStats */
/** @typedef {import("./i18n.js").Key} Key */
/** @typedef {import("./i18n.js").Values} Values */
/** @typedef {[key: Key, values?: Values] | string} Shown A text, or what is shown as it is. */

const EVERY_MS = 1000;

const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("details"));
const list = /** @type {HTMLElement} */ (document.getElementById("details-list"));

/** Opens the dialog. @param {Call} call */
export function openDetails(call) {
  list.replaceChildren();
  dialog.showModal();
  const refresh = () => show(call).catch(() => {});
  refresh();
  const timer = setInterval(refresh, EVERY_MS);
  dialog.addEventListener("close", () => clearInterval(timer), { once: true });
}

/** @param {Call} call */
async function show(call) {
  const peers = [...call.peers.values()];
  const statistics = await Promise.all(peers.map((peer) => call.stats(peer)));
  const cards = peers.map((peer, index) => cardOf(peer, statistics[index]));
  if (cards.length > 0) return list.replaceChildren(...cards);
  const empty = document.createElement("p");
  say(empty, "details_empty");
  list.replaceChildren(empty);
}

/** @param {Peer} peer @param {PeerStats | null} stats */
function cardOf(peer, stats) {
  const card = document.createElement("section");
  card.className = "details-card";
  Object.assign(card.dataset, { testid: "details-peer", peer: peer.id });
  const heading = document.createElement("h3");
  const name = document.createElement("bdi");
  name.textContent = peer.name;
  const state = document.createElement("span");
  say(state, `state_${peer.connection}`);
  heading.append(name, state);
  const facts = document.createElement("dl");
  for (const [key, value, testid] of factsOf(stats)) facts.append(fact(key, value, testid));
  card.append(heading, facts);
  return card;
}

/** @param {PeerStats | null} stats @returns {[Key, Shown, string][]} */
function factsOf(stats) {
  if (!stats) return [["route", ["route_unknown"], "details-route"]];
  const { path, protocol, local, remote, rtt, loss, bitrateIn, bitrateOut } = stats;
  return [
    ["route", [path === "relay" ? "route_relay" : "route_direct"], "details-route"],
    ["protocol", protocol.toUpperCase(), "details-protocol"],
    ["pair", `${local} → ${remote}`, "details-pair"],
    ["rtt", rtt === null ? ["unknown_value"] : ["ms", { n: number(rtt, rtt < 10 ? 1 : 0) }], "details-rtt"],
    ["loss", ["percent", { n: number(loss * 100, 1) }], "details-loss"],
    ["incoming", bitrate(bitrateIn), "details-in"],
    ["outgoing", bitrate(bitrateOut), "details-out"],
  ];
}

/** @param {Key} key @param {Shown} value @param {string} testid */
function fact(key, value, testid) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  say(term, key);
  const description = document.createElement("dd");
  description.dataset.testid = testid;
  if (typeof value === "string") description.textContent = value;
  else say(description, ...value);
  pair.append(term, description);
  return pair;
}

/** @param {number} bits per second @returns {Shown} */
function bitrate(bits) {
  if (bits < 1_000_000) return ["kbps", { n: number(bits / 1000, 0) }];
  return ["mbps", { n: number(bits / 1_000_000, 1) }];
}

/** @param {number} value @param {number} digits after the point */
function number(value, digits) {
  return value.toLocaleString(currentLanguage(), { maximumFractionDigits: digits });
}
