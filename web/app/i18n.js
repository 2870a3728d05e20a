// Puts the texts of strings.js into the page. Whatever shows a text gets it by say() or label(), or
// names it in a data-i18n attribute, so that another language can be chosen at any time.

import { strings } from "./strings.js";
import { recall, remember } from "./memory.js";

/** @typedef {import("./strings.js").Key} Key */
/** @typedef {import("./strings.js").Text} Text */
/** @typedef {Record<string, string | number>} Values */

/** The values for {placeholders}, of elements that have some. @type {WeakMap<Element, Values>} */
const valuesOf = new WeakMap();

let language = chooseLanguage();

/** The tag of the language in use. */
export const currentLanguage = () => language;

/**
 * A text in the language in use.
 * @param {Key} key
 * @param {Values} [values] for the {placeholders}; a text that counts is chosen by `n`
 * @returns {string}
 */
export function text(key, values = {}) {
  const entry = texts()[key];
  const form = typeof entry === "string" ? entry : pluralForm(entry, Number(values.n));
  return form.replace(/\{(\w+)\}/g, (whole, name) => isolated(String(values[name] ?? whole)));
}

/**
 * Shows a text in an element.
 * @param {Element} element
 * @param {Key} key
 * @param {Values} [values]
 */
export function say(element, key, values) {
  element.setAttribute("data-i18n", key);
  if (values) valuesOf.set(element, values);
  else valuesOf.delete(element);
  fill(element);
}

/**
 * Names a control that shows no text, for screen readers and as a tooltip.
 * @param {Element} element
 * @param {Key} key
 * @param {Values} [values]
 */
export function label(element, key, values) {
  element.setAttribute("data-i18n-label", key);
  if (values) valuesOf.set(element, values);
  fill(element);
}

/**
 * Fills in all texts below an element.
 * @param {ParentNode} root
 */
export function translate(root) {
  const selector = "[data-i18n], [data-i18n-label], [data-i18n-placeholder]";
  for (const element of root.querySelectorAll(selector)) fill(element);
}

/** Translates the page, and puts a switch into every element with `data-language`. */
export function startTranslation() {
  applyLanguage();
  for (const place of document.querySelectorAll("[data-language]")) place.append(languageSwitch());
}

function languageSwitch() {
  const select = document.createElement("select");
  select.dataset.testid = "language";
  label(select, "choose_language");
  for (const [tag, { language: name }] of Object.entries(strings)) {
    const option = new Option(String(name), tag, false, tag === language);
    option.lang = tag;
    select.append(option);
  }
  select.addEventListener("change", () => {
    language = select.value;
    remember("language", language);
    applyLanguage();
    document.dispatchEvent(new Event("languagechange"));
  });
  return select;
}

function applyLanguage() {
  document.documentElement.lang = language;
  document.documentElement.dir = text("dir");
  translate(document);
}

/** @param {Element} element */
function fill(element) {
  const values = valuesOf.get(element);
  const key = (/** @type {string} */ name) => /** @type {Key | null} */ (element.getAttribute(name));
  const own = key("data-i18n");
  if (own) element.textContent = text(own, values);
  const name = key("data-i18n-label");
  if (name) {
    element.setAttribute("aria-label", text(name, values));
    if (element instanceof HTMLButtonElement) element.title = text(name, values);
  }
  const placeholder = key("data-i18n-placeholder");
  if (placeholder) element.setAttribute("placeholder", text(placeholder, values));
}

/** A name that is written from right to left must not turn the text around it. @param {string} value */
function isolated(value) {
  return /\p{Script=Arabic}|\p{Script=Hebrew}|\p{Script=Syriac}|\p{Script=Thaana}|\p{Script=Nko}/u.test(value)
    ? `\u2068${value}\u2069`
    : value;
}

/** @returns {Record<Key, Text>} */
function texts() {
  return strings[/** @type {keyof typeof strings} */ (language)];
}

/** @param {Exclude<Text, string>} forms @param {number} n */
function pluralForm(forms, n) {
  return forms[new Intl.PluralRules(language).select(n)] ?? forms.other;
}

function chooseLanguage() {
  const wanted = [recall("language"), ...navigator.languages];
  const known = Object.keys(strings);
  for (const tag of wanted) {
    const primary = tag?.toLowerCase().split("-")[0];
    if (primary && known.includes(primary)) return primary;
  }
  return known[0];
}
