// Stands for someone without a picture: their initial on a colour of their own.

/** What people see as one letter may be several code points. */
const graphemes = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;

/** @param {string} name @returns {HTMLElement} */
export function avatar(name) {
  const element = document.createElement("span");
  element.className = "avatar";
  element.setAttribute("aria-hidden", "true");
  element.textContent = initialOf(name);
  return element;
}

/**
 * A dark, quiet colour on which white text can be read, the same for the same id everywhere.
 * @param {string} id
 */
export function hueOf(id) {
  let hash = 0x811c9dc5;
  for (const letter of id) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return `hsl(${(hash >>> 8) % 360} 24% 26%)`;
}

/** @param {string} name */
function initialOf(name) {
  const trimmed = name.trim();
  const [first] = graphemes ? graphemes.segment(trimmed) : [];
  return (first?.segment ?? [...trimmed][0] ?? "").toLocaleUpperCase();
}
