// What this browser remembers between visits (name, language, devices) and what this tab remembers
// between reloads (the token, whether it was in a call). Storage may be switched off: then nothing is
// remembered and everything else works.

const PREFIX = "turnstone.";

/** @param {string} key @returns {string | null} */
export function recall(key) {
  return read(() => localStorage.getItem(PREFIX + key));
}

/** @param {string} key @param {string | null} value `null` forgets it */
export function remember(key, value) {
  read(() => write(localStorage, key, value));
}

/** Like recall(), for this tab. @param {string} key @returns {string | null} */
export function recallHere(key) {
  return read(() => sessionStorage.getItem(PREFIX + key));
}

/** Like remember(), for this tab. @param {string} key @param {string | null} value */
export function rememberHere(key, value) {
  read(() => write(sessionStorage, key, value));
}

/**
 * The token in the address (`#token=...`), which is taken out of it so that it is neither seen nor
 * copied, or the one that this tab had for the room before.
 * @param {string} room
 * @returns {string | null}
 */
export function takeToken(room) {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return recallHere(`token.${room}`);
  fragment.delete("token");
  const rest = fragment.size > 0 ? `#${fragment}` : "";
  history.replaceState(null, "", location.pathname + location.search + rest);
  rememberHere(`token.${room}`, token);
  return token;
}

/**
 * The name in a token, for the form; the server alone judges the token.
 * @param {string | null} token
 * @returns {string | null}
 */
export function nameInToken(token) {
  return read(() => {
    const payload = (token ?? "").split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const { name } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof name === "string" ? name : null;
  });
}

/** @param {Storage} storage @param {string} key @param {string | null} value */
function write(storage, key, value) {
  if (value === null) storage.removeItem(PREFIX + key);
  else storage.setItem(PREFIX + key, value);
  return null;
}

/** @param {() => string | null} access */
function read(access) {
  try {
    return access();
  } catch {
    return null;
  }
}
