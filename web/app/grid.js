// Where the tiles go: the layout with the largest tiles, for any number and any window. Shared screens
// get most of the stage, and the people a strip beside or below.

/** @typedef {{left: number, top: number, width: number, height: number}} Box */

const GAP = 10;
/** How much of the stage shared screens get. */
const SPOTLIGHT = 0.78;
/** The widest tile, as width by height; a camera's picture. */
const WIDEST = 16 / 9;

/**
 * Lays tiles out in rows that are centred.
 * @param {Box} area
 * @param {number} count
 * @returns {Box[]}
 */
export function layOut(area, count) {
  if (count === 0) return [];
  // A tall window may have tall tiles, or they would be small.
  const narrowest = area.width >= area.height ? 4 / 3 : 3 / 4;
  let best = { width: 0, height: 0, columns: 1 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (area.width - GAP * (columns - 1)) / columns;
    const cellHeight = (area.height - GAP * (rows - 1)) / rows;
    const width = Math.min(cellWidth, cellHeight * WIDEST);
    const height = Math.min(cellHeight, cellWidth / narrowest);
    if (width * height > best.width * best.height) best = { width, height, columns };
  }
  return inRows(area, count, best);
}

/**
 * Lays out shared screens and, beside them or below, people.
 * @param {Box} area
 * @param {number} screens
 * @param {number} people
 * @returns {{screens: Box[], people: Box[]}}
 */
export function layOutWithScreens(area, screens, people) {
  if (screens === 0) return { screens: [], people: layOut(area, people) };
  if (people === 0) return { screens: layOut(area, screens), people: [] };
  const { left, top, width, height } = area;
  if (width >= height) {
    const main = Math.max(width * SPOTLIGHT, width - 280) - GAP;
    return {
      screens: layOut({ left, top, width: main, height }, screens),
      people: layOut({ left: left + main + GAP, top, width: width - main - GAP, height }, people),
    };
  }
  const main = height * 0.62 - GAP;
  return {
    screens: layOut({ left, top, width, height: main }, screens),
    people: layOut({ left, top: top + main + GAP, width, height: height - main - GAP }, people),
  };
}

/**
 * @param {Box} area
 * @param {number} count
 * @param {{width: number, height: number, columns: number}} tile
 * @returns {Box[]}
 */
function inRows(area, count, { width, height, columns }) {
  const rows = Math.ceil(count / columns);
  const top = area.top + (area.height - rows * height - (rows - 1) * GAP) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = row === rows - 1 ? count - row * columns : columns;
    const left = area.left + (area.width - inRow * width - (inRow - 1) * GAP) / 2;
    return {
      left: left + (index - row * columns) * (width + GAP),
      top: top + row * (height + GAP),
      width,
      height,
    };
  });
}
