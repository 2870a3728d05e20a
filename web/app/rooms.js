// Names of rooms: which are allowed, what their address is, and how one is made up.

/** As the protocol has it (docs/protocol.md, "From the client"). */
const ROOM_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** @param {string} name */
export const isRoomName = (name) => ROOM_NAME.test(name);

/** @param {string} room */
export const roomAddress = (room) => `/r/${room}`;

/** The name of the room in this page's address; null when there is no valid one. */
export function roomOfAddress() {
  const [, name = ""] = /^\/r\/([^/]*)\/?$/.exec(location.pathname) ?? [];
  return isRoomName(name) ? name : null;
}

/**
 * A name that is easy to say and hard to guess: 32 × 32 × 32 words and 5 letters or digits, about
 * 40 bits.
 */
export function madeUpRoomName() {
  const words = [ADJECTIVES, COLOURS, PLACES].map((list) => list[randomBelow(32)]);
  const tail = Array.from({ length: 5 }, () => LETTERS[randomBelow(32)]).join("");
  return [...words, tail].join("-");
}

/** @param {number} limit a power of two, up to 256, so that all numbers are equally likely */
const randomBelow = (limit) => crypto.getRandomValues(new Uint8Array(1))[0] % limit;

const ADJECTIVES = words(`airy bold brave breezy bright brisk calm clear cosy early easy fair fresh gentle
  glad grand happy keen kind light lively merry mild quiet rapid round silent smooth soft steady warm wild`);
const COLOURS = words(`amber ash azure beige birch bronze cedar clay cobalt copper coral cream ebony fern
  flint gold green hazel indigo ivory jade lemon lilac maple mint olive pearl rose ruby sand silver teal`);
const PLACES = words(`bay beach bluff bridge brook cape cliff coast cove creek delta dune field fjord
  forest garden grove harbor haven hill island lagoon lake marsh meadow pier pond reef ridge river shore valley`);
/** Without those that look alike: i, l, o, u. */
const LETTERS = "0123456789abcdefghjkmnpqrstvwxyz";

/** @param {string} text */
function words(text) {
  return text.split(/\s+/);
}
