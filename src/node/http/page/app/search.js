// The search box: a height, an id, an address, a name, a tag, or a file.

import { find, query } from './api.js';
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

/** The address that a text leads to, or null. */
async function placeOf(text) {
  const height = text.replace(/,/g, '');
  if (/^\d{1,15}$/.test(height) && (Number(height) <= (live.status?.height ?? 0) || height.length < 8)) {
    return `#/block/${height}`;
  }
  if (/^0x[0-9a-f]{40}$/i.test(text)) return `#/account/${text}`;
  await live.learnNames();
  for (const [address, name] of live.aliases) {
    if (name === text.normalize('NFC')) return `#/account/${address}`;
  }
  const place = /^[0-9a-f]{8,64}$/i.test(text) ? await placeOfDigits(text.toLowerCase()) : null;
  if (place) return place;
  const tagged = await find(`/records${query({ tag: text, limit: 1 })}`);
  return tagged?.records.length ? `#/records${query({ tag: text })}` : null;
}

async function placeOfDigits(digits) {
  const block = digits.length === 8 || digits.length === 64 ? await find(`/blocks/${digits}`) : null;
  if (block) return `#/block/${block.id}`;
  const transaction = await find(`/transactions/${digits}`);
  if (transaction) return `#/transaction/${transaction.id}`;
  const records = digits.length === 64 ? await find(`/records${query({ sha256: digits, limit: 1 })}`) : null;
  return records?.records.length ? `#/records${query({ sha256: digits })}` : null;
}

/** A file leads to its record, or to the message that there is none. */
async function placeOfFile(file, progress) {
  const sha256 = await hashFile(file, progress);
  return `#/records${query({ sha256, name: file.name })}`;
}
