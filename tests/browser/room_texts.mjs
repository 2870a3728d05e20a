// Checks the texts of the pages: every language has them all, with the same placeholders, and none is
// shown that is not there, or there that is not shown. Prints what is wrong, one line each.

import { readdir, readFile } from "node:fs/promises";

const WEB = new URL("../../web/", import.meta.url);

const source = await readFile(new URL("app/strings.js", WEB), "utf8");
const { strings } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const [[first, texts], ...others] = Object.entries(strings);
const wrong = [];

for (const [language, translated] of others) {
  for (const key of new Set([...Object.keys(texts), ...Object.keys(translated)])) {
    if (!(key in texts && key in translated)) wrong.push(`${language}: ${key} is in one of the languages alone`);
    else if (placeholders(texts[key]) !== placeholders(translated[key])) {
      wrong.push(`${language}: ${key} has other placeholders than in ${first}`);
    }
  }
}

const files = [
  ...(await readdir(WEB)).filter((name) => name.endsWith(".html")),
  ...(await readdir(new URL("app/", WEB))).filter((name) => name.endsWith(".js") && name !== "strings.js").map((name) => `app/${name}`),
];
const all = (await Promise.all(files.map((name) => readFile(new URL(name, WEB), "utf8")))).join("\n");
for (const [, key] of all.matchAll(/data-i18n(?:-label|-placeholder)?="(\w+)"/g)) {
  if (!(key in texts)) wrong.push(`${key} is shown, but has no text`);
}
// Keys that are put together: `${problem}_title` and the like.
const made = [...all.matchAll(/`\$\{[\w.]+\}_(\w+)`|`(\w+)_\$\{[\w.]+\}`/g)].map(([, end, start]) =>
  end ? new RegExp(`_${end}$`) : new RegExp(`^${start}_`),
);
for (const key of Object.keys(texts)) {
  const isNamed = new RegExp(`["']${key}["']`).test(all);
  if (!isNamed && !made.some((pattern) => pattern.test(key))) wrong.push(`${key} is never shown`);
}

for (const line of new Set(wrong)) console.log(line);
process.exit(wrong.length > 0 ? 1 : 0);

/** The names in a text, in any order, of all its plural forms together. */
function placeholders(text) {
  const forms = typeof text === "string" ? text : Object.values(text).join(" ");
  return [...new Set([...forms.matchAll(/\{\w+\}/g)].map(([name]) => name))].sort().join();
}
