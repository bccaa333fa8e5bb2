// The commitment to all ancestors of a block: section 7.2 of the specification.

import { unhex } from './bytes.js';
import { sha256 } from './sha256.js';

const HASH_BYTES = 32;
const WORK_BYTES = 16;

/** A block as a leaf: its id (hex), and its work, 0 for genesis. */
export function historyLeaf(id, work) {
  return { hash: hashed(2, [{ hash: unhex(id), work }]), work };
}

/** The node above two others. */
export function historyNode(left, right) {
  return { hash: hashed(3, [left, right]), work: left.work + right.work };
}

/** The hash of a byte that says what this is, and of other hashes with their works. */
function hashed(kind, parts) {
  const bytes = new Uint8Array(1 + parts.length * (HASH_BYTES + WORK_BYTES));
  const view = new DataView(bytes.buffer);
  bytes[0] = kind;
  let at = 1;
  for (const { hash, work } of parts) {
    bytes.set(hash, at);
    at += HASH_BYTES;
    view.setBigUint64(at, BigInt.asUintN(64, work), true);
    view.setBigUint64(at + 8, work >> 64n, true);
    at += WORK_BYTES;
  }
  return sha256(bytes);
}

/** The root over the leaves of all blocks from genesis on: its hash. */
export function historyRoot(leaves) {
  return leaves.length === 0 ? sha256(new Uint8Array()) : rootOf(leaves).hash;
}

function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  const split = splitOf(leaves.length);
  return historyNode(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** The largest power of two below this number. */
function splitOf(count) {
  let split = 1;
  while (2 * split < count) split *= 2;
  return split;
}

/** A subtree, by the height of its first block and its number of blocks. */
function placeOf(first, count) {
  return `${first} ${count}`;
}

/**
 * The nodes of the tree over `count` blocks that are as high as possible and have none of the opened blocks below them, by
 * their places. `node(count)` gives each, from the left to the right; `opened` are heights in ascending order.
 */
export function readNodes(count, opened, node) {
  const nodes = new Map();
  const read = (first, size, low, high) => {
    if (low === high) {
      nodes.set(placeOf(first, size), node(size));
      return;
    }
    if (size === 1) return;
    const split = splitOf(size);
    const middle = partition(opened, first + split, low, high);
    read(first, split, low, middle);
    read(first + split, size - split, middle, high);
  };
  read(0, count, 0, opened.length);
  return nodes;
}

/** Where the numbers that are not below a bound begin, in a sorted list from `low` up to `high`. */
function partition(numbers, bound, low, high) {
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (numbers[middle] < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A tree of which some nodes are known, and the leaves of all blocks that are below none of these. */
export class OpenedHistory {
  #known;
  #leaf;

  /** `nodes` are those of `readNodes`; `leaf(height)` gives the leaf of an opened block. */
  constructor(nodes, leaf) {
    this.#known = new Map(nodes);
    this.#leaf = leaf;
  }

  /** The root over all blocks below an opened one, or over all that there are. */
  below(height) {
    return this.#over(0, height);
  }

  #over(first, count) {
    const place = placeOf(first, count);
    if (!this.#known.has(place)) this.#known.set(place, this.#make(first, count));
    return this.#known.get(place);
  }

  #make(first, count) {
    if (count === 1) return this.#leaf(first);
    const split = splitOf(count);
    return historyNode(this.#over(first, split), this.#over(first + split, count - split));
  }
}
