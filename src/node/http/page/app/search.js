// The search box: a height, an id or an address from its first digits on, a name, a tag, a text, or a file.

import { get, query } from './api.js';
import { fill, foreign } from './dom.js';
import { live } from './live.js';
import { hashFile } from './file.js';
import { button } from './parts.js';

/** Wires the form, and files that are dropped on it. */
export function wireSearch({ form, input, file, answer }) {
  const look = async (name, work) => {
    fill(answer, 'Looking …');
    try {
      const place = await work();
      fill(answer, place ? '' : ['Nothing found for “', foreign(name), '”.']);
      if (place) location.hash = place;
    } catch (error) {
      fill(answer, foreign(error.message));
    }
    if (answer.textContent)
      answer.append(
        ' ',
        button('Hide', () => fill(answer)),
      );
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (text) look(text, () => placeOf(text));
  });
  file.addEventListener('change', () => {
    const chosen = file.files[0];
    file.value = '';
    if (chosen) look(chosen.name, () => placeOfFile(chosen, (part) => fill(answer, `Hashing ${chosen.name}: ${part} %`)));
  });
  addEventListener('keydown', (event) => {
    const isTyping = /^(input|textarea|select)$/i.test(event.target.tagName);
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
}

/** The address that a text leads to, or null: the thing that it names, or all that it may mean. */
async function placeOf(text) {
  const [{ hits }] = await Promise.all([get(`/search${query({ q: text })}`), live.learnNames()]);
  if (!hits.length) return null;
  return hits[0].exact || hits.length === 1 ? placeOfHit(hits[0], text) : `#/search${query({ q: text })}`;
}

/** The address of what was found. */
export function placeOfHit({ kind, id, height }, text = '') {
  const places = {
    // A typed height means whatever block is there.
    block: text.replace(/[, ]/g, '') === String(height) ? `#/block/${height}` : `#/block/${id}`,
    account: `#/account/${id}`,
    tag: `#/records${query({ tag: id })}`,
    content: `#/records${query({ sha256: id })}`,
  };
  return places[kind] ?? `#/transaction/${id}`;
}

/** A file leads to its record, or to the message that there is none. */
async function placeOfFile(file, progress) {
  const sha256 = await hashFile(file, progress);
  return `#/records${query({ sha256, name: file.name })}`;
}
