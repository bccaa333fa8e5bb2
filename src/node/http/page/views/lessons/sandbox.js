// The common parts of the lessons: real blocks to play with, and a miner in the page.

import { get, getBytes } from '../../app/api.js';
import { el } from '../../app/dom.js';
import { live } from '../../app/live.js';
import { section } from '../../app/parts.js';
import { hex, unhex, utf8 } from '../../protocol/bytes.js';
import { HEADER, encode } from '../../protocol/encode.js';
import { makeNetwork, parametersOf } from '../../protocol/network.js';
import { decodeBlock } from '../../protocol/rules.js';
import { sha256 } from '../../protocol/sha256.js';
import { expand } from '../../protocol/target.js';
import { miningControls } from '../mining.js';

/** Hashes between two looks at the clock; the page stays smooth. */
const PIECE_HASHES = 400;
const PIECE_MILLIS = 24;
const NONCE_AT = 88;
/** Of every lesson, whatever the network's is: 2^13 hashes on average, so that the work of five blocks fits a browser. */
export const LESSON_TARGET = 0x1f080000;

/** This node's network, as the rules take it. */
export async function loadNetwork() {
  return makeNetwork(parametersOf(await get('/network')));
}

/** A real block by its height or id, to be changed at will. */
export async function loadBlock(name) {
  const { id } = await get(`/blocks/${name}`);
  return decodeBlock(await getBytes(`/blocks/${id}/encoded`));
}

/** The network with the lessons' target, which never changes. Signatures stay good: its genesis block stays, too. */
export function withLessonWork(network) {
  return { ...network, easiest_target: LESSON_TARGET, half_life: 0n };
}

/** A real header with the lessons' target, mined again. Null when `signal` aborts. */
export async function minedForLesson(header, signal) {
  const easy = { ...header, target: LESSON_TARGET };
  const nonce = await mine(easy, { signal, progress: () => {} });
  return nonce === null ? null : { ...easy, nonce };
}

/** In place of a lesson that needs a block: the means to get one. The lesson begins when it is there. */
export function genesisAlone({ signal, again }) {
  live.on('tip', ({ height }) => height > 0 && again(), signal);
  const words = 'The chain has only its first block, which every node knows by heart. Mine one, and the lesson begins.';
  return section('Genesis', el('p', {}, words), miningControls(signal));
}

/**
 * Looks for a nonce that makes the header meet its target. Gives the nonce as text, or null when `signal` aborts or the
 * target is none. `progress` hears how many hashes were tried.
 */
export async function mine(header, { signal, progress }) {
  const bound = expand(header.target);
  if (bound === null) return null;
  const limit = unhex(bound.toString(16).padStart(64, '0'));
  const bytes = encode(HEADER, { ...header, nonce: '0' });
  const view = new DataView(bytes.buffer);
  for (let nonce = 0; !signal.aborted;) {
    const end = performance.now() + PIECE_MILLIS;
    while (performance.now() < end) {
      for (let at = 0; at < PIECE_HASHES; at += 1, nonce += 1) {
        view.setBigUint64(NONCE_AT, BigInt(nonce), true);
        if (isAtMost(sha256(bytes), limit)) return String(nonce);
      }
    }
    progress(nonce);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return null;
}

function isAtMost(one, other) {
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return one[at] < other[at];
  return true;
}

/** An id for a value of the sandbox. */
export function pretendId(text) {
  return hex(sha256(utf8(text)));
}
