// The content of a record, as people read it. All of it is text from strangers.

import { el, foreign } from '../app/dom.js';
import { bytes } from '../app/format.js';
import { facts } from '../app/pieces.js';

const LINE_CHARS_MAX = 120;

/**
 * All of a record: `{ tags, content }` with one of `text`, `json`, `file`, `bytes` in the content. `tagElement` makes an
 * element of a tag.
 */
export function contentOf({ tags, content, content_hash: hash }, tagElement) {
  const { text, json, file, bytes: raw } = content;
  const shown = [];
  if (file) {
    shown.push(
      facts([
        ['File', el('span', { class: 'says' }, foreign(file.name))],
        ['Size', `${bytes(file.size)} (${file.size} bytes)`],
        ['SHA-256', el('code', {}, file.sha256)],
      ]),
    );
  } else if (json !== undefined) {
    shown.push(el('pre', { class: 'says' }, foreign(json)));
  } else if (raw !== undefined) {
    shown.push(el('code', { class: 'bytes' }, raw));
  } else {
    shown.push(el('p', { class: 'says' }, foreign(text)));
  }
  if (tags.length) shown.push(el('p', {}, tags.map(tagElement)));
  if (!file) shown.push(el('p', { class: 'hint' }, 'SHA-256 of what it says: ', el('code', {}, hash)));
  return shown;
}

/** The beginning of a record, on one line. */
export function recordLine({ tags, content }) {
  const { text, json, file, bytes: raw } = content;
  const said = file ? `${file.name} (${bytes(file.size)})` : (json ?? text ?? raw);
  const line = [...(tags.length ? [`[${tags.join(', ')}]`] : []), said].join(' ').replace(/\s+/g, ' ');
  return line.length > LINE_CHARS_MAX ? `${line.slice(0, LINE_CHARS_MAX)}…` : line;
}
