// Elements from values. Text becomes text nodes and nothing else: whatever a record or a peer's name says, it is never
// read as markup, and what would hide or reorder text is replaced. Styles come from classes, SVG attributes or CSSOM; the server's policy forbids the rest.

import { harmless } from './harmless.js';

/** Attributes that people read. */
const READ_ATTRIBUTES = ['title', 'aria-label'];
const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. `properties` are attributes; `on` holds listeners. Children are nodes, texts, or lists of them. */
export function el(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** The same for SVG. */
export function svg(name, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

/** Text of strangers: its direction is its own, and does not reach what stands around it. */
export function foreign(text) {
  return el('bdi', {}, text);
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** The values that each element was made of. */
const shown = new WeakMap();

/** The same, but only if the values have changed: a reader's selection and focus stay. */
export function refill(element, state, make) {
  const key = JSON.stringify(state);
  if (shown.get(element) === key) return;
  shown.set(element, key);
  fill(element, make());
}

function filled(element, { on, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    const text = value === true ? '' : String(value);
    element.setAttribute(name, READ_ATTRIBUTES.includes(name) ? harmless(text) : text);
  }
  for (const [kind, listener] of Object.entries(on ?? {})) element.addEventListener(kind, listener);
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(harmless(String(child)))));
}
