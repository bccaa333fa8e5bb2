// The binary proof of a receipt: section 17.1 of the specification. It is taken apart here, and judged in `receipt.js`.

import { hex, littleEndian } from './bytes.js';
import { HEADER_BYTES } from './encode.js';
import { readNodes } from './history.js';
import { NO_OUTCOME } from './network.js';
import { sha256 } from './sha256.js';

const HEADERS_MAX = 65_536;
const OPENED_MAX = 65_536;
const HEIGHT_LIMIT = 1n << 32n;
const LEAVES_MAX = 1n << 32n;
const NUMBER_LIMIT = 1n << 64n;
/** Of a block. */
const WORK_MAX = (1n << 96n) - 1n;
const HASH_BYTES = 32;
const VERSION = 2;
/** A block is proven with as many of its ancestors: its target follows from them. */
const ANCESTORS = 2;

/** Bytes that are no proof. */
export class NotProof extends Error {}

/**
 * The parts of a proof of this form:
 *
 * - `height`, `tipHeight`: of the transaction's block and of the last one;
 * - `tail`: the height of the first block of the tail, or null;
 * - `path`: each sibling from the transaction's leaf to the root over reward and transactions, as `{ isLeft, hash }`;
 * - `context`: the leaf of the block's context; or
 * - `outcomes`, `bodies` and `nodes`: outcomes and roots over reward and transactions by height, and nodes of the history;
 * - `opened`: heights of the opened blocks, the transaction's first;
 * - `runs`: lists of headers.
 *
 * Throws `NotProof`.
 */
export function readProof(form, bytes) {
  const reader = new Reader(bytes);
  const path = reader.path();
  const height = reader.varint();
  const tipHeight = height + reader.varint() - (form === 'full' ? 1n : 0n);
  demand(height >= 1n && tipHeight >= height && tipHeight < HEIGHT_LIMIT);
  const proof = { path, height: Number(height), tipHeight: Number(tipHeight), opened: [Number(height)], tail: null };
  READERS[form](reader, proof);
  demand(reader.isAtEnd);
  return proof;
}

function demand(condition) {
  if (!condition) throw new NotProof();
}

const READERS = {
  full(reader, proof) {
    proof.context = reader.hash();
    const first = Math.max(0, proof.height - ANCESTORS);
    const count = proof.tipHeight - first + 1;
    demand(count <= HEADERS_MAX);
    proof.runs = [reader.run(first, count)];
  },

  witnessed(reader, proof) {
    const { height, tipHeight, opened } = proof;
    if (height === tipHeight) {
      proof.context = reader.hash();
      proof.runs = [reader.run(height, 1)];
      return;
    }
    proof.outcomes = new Map([[height, reader.outcome()]]);
    const block = reader.run(height, 1);
    proof.outcomes.set(tipHeight, reader.outcome());
    proof.bodies = new Map([[tipHeight, reader.hash()]]);
    proof.runs = [block, reader.run(tipHeight, 1)];
    proof.nodes = reader.nodes(tipHeight, opened);
  },

  sampled(reader, proof) {
    const { height, tipHeight, opened } = proof;
    const tail = BigInt(height) + reader.varint();
    demand(tail > height && tail <= tipHeight);
    proof.tail = Number(tail);
    readOpened(reader, opened, tail);
    const above = heights(proof.tail, tipHeight);
    proof.runs = neededRuns(opened, above).map(([first, count]) => reader.run(first, count));
    proof.outcomes = new Map([[height, reader.outcome()]]);
    proof.bodies = new Map();
    for (const one of new Set([...opened.slice(1), proof.tail, tipHeight])) {
      proof.outcomes.set(one, reader.outcome());
      proof.bodies.set(one, reader.hash());
    }
    proof.nodes = reader.nodes(tipHeight, [...opened, ...above.slice(0, -1)]);
  },
};

/** Adds the heights of the opened blocks to the first of them. */
function readOpened(reader, opened, tail) {
  const count = reader.varint();
  demand(count <= OPENED_MAX);
  for (let at = 0; at < count; at += 1) {
    const height = BigInt(opened.at(-1)) + 1n + reader.varint();
    demand(height < tail);
    opened.push(Number(height));
  }
}

/** The heights from one to another, if they are not too many. */
function heights(first, last) {
  const count = last - first + 1;
  demand(count <= HEADERS_MAX);
  return Array.from({ length: count }, (_, at) => first + at);
}

/** The runs of headers that are needed for opened blocks and for the tail: the first height and the number of each. */
function neededRuns(opened, tail) {
  const needed = new Set(tail);
  for (const height of [...opened, tail[0]]) {
    for (let one = Math.max(0, height - ANCESTORS); one <= height; one += 1) needed.add(one);
  }
  demand(needed.size <= HEADERS_MAX);
  const runs = [];
  for (const height of [...needed].sort((one, other) => one - other)) {
    const run = runs.at(-1);
    if (run && run[0] + run[1] === height) run[1] += 1;
    else runs.push([height, 1]);
  }
  return runs;
}

/** Takes the parts of a proof from its bytes, one after the other. */
class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get isAtEnd() {
    return this.#at === this.#bytes.length;
  }

  take(count) {
    demand(count <= this.#bytes.length - this.#at);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  hash() {
    return this.take(HASH_BYTES);
  }

  /** A number in its shortest LEB128. */
  varint(limit = NUMBER_LIMIT) {
    let number = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const [byte] = this.take(1);
      number |= BigInt(byte & 127) << shift;
      // What is left of the number would be above the limit, or is nothing.
      demand(number < limit && 1n << shift < limit && (byte !== 0 || shift === 0n));
      if (byte < 128) return number;
    }
  }

  path() {
    let position = this.varint();
    const count = this.varint();
    demand(position >= 1n && position < count && count <= LEAVES_MAX);
    const path = [];
    for (let last = count - 1n; last > 0n; last >>= 1n, position >>= 1n) {
      const isLeft = position % 2n === 1n;
      // The last of an odd number has no sibling, and goes up as it is.
      if (isLeft || position < last) path.push({ isLeft, hash: this.hash() });
    }
    return path;
  }

  outcome() {
    const [tag] = this.take(1);
    demand(tag <= 1);
    if (tag === 0) return new Uint8Array(HASH_BYTES);
    const outcome = this.hash();
    demand(hex(outcome) !== NO_OUTCOME);
    return outcome;
  }

  /** Headers, of which the first has this height. */
  run(first, count) {
    const headers = [];
    for (let height = first; height < first + count; height += 1) headers.push(this.#header(height, headers.at(-1)));
    return headers;
  }

  #header(height, before) {
    const bytes = new Uint8Array(HEADER_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, VERSION, true);
    view.setBigUint64(4, BigInt(height), true);
    bytes.set(before ? before.hash : this.hash(), 12);
    bytes.set(this.hash(), 44);
    const timestamp = before ? before.timestamp + this.varint() : littleEndian(this.take(8));
    demand(timestamp < NUMBER_LIMIT);
    view.setBigUint64(76, timestamp, true);
    bytes.set(this.take(12), 84);
    const hash = sha256(bytes);
    return { height, hash, id: hex(hash), root: bytes.subarray(44, 76), timestamp, target: view.getUint32(84, true) };
  }

  /** Nodes of the history of which these blocks are opened, by their places. */
  nodes(count, opened) {
    const node = (size) => ({ hash: this.hash(), work: this.varint(BigInt(size) * WORK_MAX + 1n) });
    return readNodes(count, opened, node);
  }
}
