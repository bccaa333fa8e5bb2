// The commitment to all ancestors of a block: section 7.2 of the specification.

import { concat, toLittleEndian, unhex } from './bytes.js';
import { sha256 } from './sha256.js';

/** A block as a leaf: its id (hex), and its work, 0 for genesis. */
export function historyLeaf(id, work) {
  return { hash: sha256(concat(Uint8Array.of(2), unhex(id), toLittleEndian(work, 16))), work };
}

/** The node above two others. */
export function historyNode(left, right) {
  const parts = [left, right].flatMap(({ hash, work }) => [hash, toLittleEndian(work, 16)]);
  return { hash: sha256(concat(Uint8Array.of(3), ...parts)), work: left.work + right.work };
}

/** The root over the leaves of all blocks from genesis on: its hash. */
export function historyRoot(leaves) {
  return leaves.length === 0 ? sha256(new Uint8Array()) : rootOf(leaves).hash;
}

function rootOf(leaves) {
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (2 * split < leaves.length) split *= 2;
  return historyNode(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}
