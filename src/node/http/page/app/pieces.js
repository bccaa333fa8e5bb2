// Pieces that views are made of, and that know of no node: they are in the verifier without one, too.

import { copyText } from './copy.js';
import { el, fill, foreign } from './dom.js';

/** An amount of coins. */
export function coins(amount) {
  return el('span', { class: 'amount' }, amount, el('span', { class: 'unit' }, amount === '1' ? ' coin' : ' coins'));
}

/** Names and their values; rows without a value are left out. */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined);
  return el(
    'dl',
    { class: 'facts' },
    shown.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );
}

/**
 * A table. `rows` are lists of cells; on a phone each row is a card, where a cell follows its heading. Roles are said, since a
 * table that is not laid out as one loses them.
 */
export function table(caption, headings, rows) {
  const head = el(
    'tr',
    { role: 'row' },
    headings.map((heading) => el('th', { scope: 'col', role: 'columnheader' }, heading)),
  );
  const body = rows.map((cells) =>
    el(
      'tr',
      { role: 'row' },
      cells.map((cell, at) => el('td', { role: 'cell', 'data-heading': headings[at] || null }, cell)),
    ),
  );
  const parts = [el('thead', { role: 'rowgroup' }, head), el('tbody', { role: 'rowgroup' }, body)];
  const content = el('table', { role: 'table' }, el('caption', {}, caption), parts);
  return el('div', { class: 'scrolls', tabindex: '0', role: 'region', 'aria-label': caption }, content);
}

/** An error, in the node's words. */
export function problem(error) {
  return el('p', { class: 'problem', role: 'alert' }, foreign(error.message));
}

/** A section with a heading. */
export function section(title, ...content) {
  return el('section', { class: 'card' }, el('h2', {}, title), content);
}

/** A button. */
export function button(text, act, { kind = '', ...more } = {}) {
  return el('button', { type: 'button', class: kind, on: { click: act }, ...more }, text);
}

/** How long a button says that something was copied. */
const COPIED_MILLIS = 2_000;

/** A button that copies a text, or what a function gives. `what` names it for those who do not see where it stands. */
export function copyButton(source, what, { kind = 'copy', text = 'Copy' } = {}) {
  const label = text === 'Copy' ? `Copy the ${what}` : null;
  const word = el('span', { 'aria-live': 'polite' }, text);
  const act = async () => {
    let said = 'Copied';
    try {
      await copyText(typeof source === 'function' ? await source() : source);
    } catch {
      said = 'Not copied';
    }
    fill(word, said);
    setTimeout(() => fill(word, text), COPIED_MILLIS);
  };
  return el('button', { type: 'button', class: kind, title: label, on: { click: act } }, word, label ? el('span', { class: 'hidden' }, ` the ${what}`) : null);
}

/** Digits that people pass on. */
export function copyable(digits, what) {
  return el('span', {}, el('code', {}, digits), ' ', copyButton(digits, what));
}

let fields = 0;

/** A labelled field. `hint` describes its value. */
export function field(label, input, hint) {
  fields += 1;
  const id = `field-${fields}`;
  input.id = id;
  if (hint) input.setAttribute('aria-describedby', `${id}-hint`);
  const help = hint ? el('p', { class: 'hint', id: `${id}-hint` }, hint) : null;
  return el('div', { class: 'field' }, el('label', { for: id }, label), input, help);
}

/** Saves bytes or text as a file. */
export function save(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = el('a', { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
