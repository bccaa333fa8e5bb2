// What is a hash? A text whose digest changes as it is typed, and the header of the newest block.

import { get, getBytes } from '../../app/api.js';
import { el, fill } from '../../app/dom.js';
import { count } from '../../app/format.js';
import { blockLink, button, field, section } from '../../app/parts.js';
import { hex, utf8 } from '../../protocol/bytes.js';
import { HEADER, HEADER_BYTES, decodeHeader, encode } from '../../protocol/encode.js';
import { sha256 } from '../../protocol/sha256.js';
import { work } from '../../protocol/target.js';
import { minedForLesson } from './sandbox.js';

/** The place of the nonce in a header. */
const NONCE_AT = 88;

/** The lesson. */
export async function hashLesson({ signal }) {
  const { tip } = await get('/status');
  const real = decodeHeader((await getBytes(`/blocks/${tip}/encoded`)).slice(0, HEADER_BYTES));
  const header = encode(HEADER, (await minedForLesson(real, signal)) ?? real);
  return el('div', {}, typing(), mining(header, tip, work(real.target)));
}

/** A text and its digest; the picture shows which of the 256 bits have changed. */
function typing() {
  const text = el('input', { value: 'a rope with knots', autocomplete: 'off', spellcheck: 'false' });
  const digits = el('p', { class: 'big-digest', id: 'typed-digest' });
  const bits = el('div', { class: 'bits', role: 'img' });
  const news = el('p', { class: 'faint', role: 'status' });
  let before = null;
  const draw = () => {
    const digest = sha256(utf8(text.value));
    fill(digits, hex(digest));
    const changed = drawBits(bits, digest, before);
    fill(
      news,
      before ? `${changed} of 256 bits changed.` : 'Each square is a bit that changes. Type something.',
    );
    before = digest;
  };
  text.addEventListener('input', draw);
  draw();
  const flip = () => {
    const last = text.value.slice(-1);
    text.value = `${text.value.slice(0, -1)}${last === 's' ? 'z' : 's'}`;
    draw();
  };
  return section(
    'Any text',
    el(
      'p',
      {},
      'SHA-256 makes 32 bytes of any data. The same data gives the same bytes, always and everywhere; other data gives others, and nobody knows how to find two that give the same.',
    ),
    field('Text', text),
    digits,
    bits,
    news,
    el('p', { class: 'buttons' }, button('Change the last letter', flip, { kind: 'main' })),
  );
}

function drawBits(element, digest, before) {
  let changed = 0;
  const squares = Array.from({ length: 256 }, (_, at) => {
    const mask = 0x80 >> (at % 8);
    const differs = before !== null && ((digest[at >> 3] ^ before[at >> 3]) & mask) !== 0;
    changed += differs ? 1 : 0;
    return el('span', { class: differs ? 'differs' : '' });
  });
  fill(element, squares);
  element.setAttribute('aria-label', `${changed} of 256 bits changed`);
  return changed;
}

/** Counting a header's nonce: the whole work of a miner. `hashes` is what the real one takes on average. */
function mining(header, tip, hashes) {
  const tried = header.slice();
  const wanted = zeros(hex(sha256(header)));
  const digits = el('p', { class: 'big-digest' });
  const news = el('p', { role: 'status' });
  let [tries, most] = [0, 0];
  const show = (id) => fill(digits, el('b', {}, id.slice(0, zeros(id))), id.slice(zeros(id)));
  const tryMany = (times) => {
    for (let at = 0; at < times; at += 1) {
      increment(tried, NONCE_AT);
      const id = hex(sha256(tried));
      tries += 1;
      most = Math.max(most, zeros(id));
      if (at === times - 1) show(id);
    }
    fill(news, `${count(tries)} tries; the best began with ${most} zeros, the one that was mined with ${wanted}.`);
  };
  show(hex(sha256(header)));
  fill(news, `It begins with ${wanted} zeros: that is the work. Change the nonce, and they are gone.`);
  return section(
    'The newest block',
    el(
      'p',
      {},
      'A block’s id is the hash of its header: ',
      blockLink(tip),
      '. A miner counts a number in it, the nonce, until the hash is small enough. Here it has an easy target, whose work your browser has just done',
      hashes > 1n ? `; the network’s own takes ${count(hashes)} hashes on average.` : '.',
    ),
    digits,
    news,
    el(
      'p',
      { class: 'buttons' },
      button('Add 1 to the nonce', () => tryMany(1), { kind: 'main' }),
      button('Try a thousand nonces', () => tryMany(1000)),
    ),
  );
}

function zeros(digits) {
  return digits.length - digits.replace(/^0+/, '').length;
}

/** Counts a little-endian number in place. */
function increment(bytes, at) {
  for (let i = at; i < bytes.length; i += 1) {
    bytes[i] = (bytes[i] + 1) & 255;
    if (bytes[i] !== 0) return;
  }
}
