// What is a chain? Real blocks, each naming the one below. A change below breaks every link above it.

import { get } from '../../app/api.js';
import { el, fill } from '../../app/dom.js';
import { count, roughly, short, span } from '../../app/format.js';
import { button, section } from '../../app/parts.js';
import { blockId } from '../../protocol/rules.js';
import { work } from '../../protocol/target.js';
import { genesisAlone, loadBlock, mine, minedForLesson } from './sandbox.js';

const BLOCKS = 5;

/** The lesson. */
export async function chainLesson(context) {
  const { signal } = context;
  const { height } = await get('/status');
  if (height === 0) return genesisAlone(context);
  const heights = Array.from(
    { length: Math.min(BLOCKS, height + 1) },
    (_, at) => height - Math.min(BLOCKS, height + 1) + 1 + at,
  );
  const real = (await Promise.all(heights.map((one) => loadBlock(one)))).map(({ header }) => header);
  const originals = await minedAgain(real, signal);
  const state = { headers: structuredClone(originals), stop: new AbortController() };
  const cards = el('ol', { class: 'links' });
  const news = el('p', { role: 'status', id: 'chain-news' });
  const draw = () => drawAll(cards, news, state, originals, real);
  const change = () => {
    const victim = state.headers[Math.min(1, state.headers.length - 1)];
    victim.root = victim.root.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    draw();
  };
  const reset = () => {
    state.stop.abort();
    state.stop = new AbortController();
    state.headers = structuredClone(originals);
    draw();
  };
  draw();
  return section(
    `The last ${originals.length} blocks`,
    el(
      'p',
      {},
      'Each block holds the id of its parent, and its own id is the hash of all it holds. So the newest id is a fingerprint of everything below: change one digit of the past, and the next block names a parent that no longer exists. The work is made again here, with an easy target.',
    ),
    cards,
    news,
    el(
      'div',
      { class: 'buttons' },
      button('Change a digit in the past', change, { kind: 'main' }),
      button('Cover it up', () => coverUp(state, draw, news, AbortSignal.any([signal, state.stop.signal]))),
      button('Start over', reset),
    ),
  );
}

/** The same headers with the lessons' work, each on the one before. */
async function minedAgain(headers, signal) {
  const made = [];
  for (const header of headers) {
    const parent = made.length ? blockId(made.at(-1)) : header.parent;
    made.push((await minedForLesson({ ...header, parent }, signal)) ?? header);
  }
  return made;
}

/** For each header, whether it names the one before it. */
function links(headers) {
  return headers.map((header, at) => at === 0 || header.parent === blockId(headers[at - 1]));
}

function isMined(header, original) {
  // The original's work is real; every changed block has to be mined again.
  return blockId(header) === blockId(original) || header.mined === blockId(header);
}

function drawAll(cards, news, { headers }, originals, real) {
  const states = statesOf(headers, originals);
  const rows = headers.map((header, at) => {
    const { kind, mood, why } = states[at];
    return el(
      'li',
      { class: `link-card ${kind}` },
      el('strong', {}, `Block ${count(BigInt(header.height))}`),
      el('dl', {}, pair('parent', short(header.parent)), pair('its id', short(blockId(header)))),
      el('span', { class: `badge ${mood}` }, why),
    );
  });
  fill(cards, rows);
  const hashes = (list) => roughly(list.slice(1).reduce((sum, header) => sum + work(header.target), 0n));
  if (states.some(({ kind }) => kind))
    fill(
      news,
      `To cover it up you have to redo the work of every block from there on, about ${hashes(headers)} hashes for these alone, faster than all others add to theirs. With this network’s own targets it was about ${hashes(real)}.`,
    );
  else if (headers.every((header, at) => blockId(header) === blockId(originals[at]))) fill(news, 'Every link fits.');
  else
    fill(
      news,
      'Every link fits again, with your own work. Everybody else still has the other chain, and it has grown.',
    );
}

/** Each block fits, is broken itself, or stands on one that is. */
function statesOf(headers, originals) {
  const fits = links(headers);
  let below = false;
  return headers.map((header, at) => {
    const isGood = fits[at] && isMined(header, originals[at]);
    const isAbove = below;
    below ||= !isGood;
    if (!isGood) return { kind: 'broken', mood: 'bad', why: fits[at] ? 'no longer meets the target' : 'its parent no longer exists' };
    if (isAbove) return { kind: 'above', mood: 'warn', why: 'stands on a broken block' };
    return { kind: '', mood: 'good', why: 'fits' };
  });
}

function pair(name, digits) {
  return [el('dt', { class: 'faint' }, name), el('dd', {}, el('code', {}, digits))];
}

/** Names the right parents and mines again, block by block. */
async function coverUp(state, draw, news, signal) {
  const { headers } = state;
  const started = performance.now();
  for (const [at, header] of headers.entries()) {
    if (at > 0) header.parent = blockId(headers[at - 1]);
    if (at === 0) continue;
    const nonce = await mine(header, {
      signal,
      progress: (tries) =>
        fill(news, `Block ${header.height}: ${count(tries)} hashes, ${span(performance.now() - started)} in all …`),
    });
    if (nonce === null) return;
    header.nonce = nonce;
    header.mined = blockId(header);
    draw();
  }
}
