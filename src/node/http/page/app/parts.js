// Pieces that several views are made of: links to what the node has, by its names, and those of `pieces.js`.

import { live } from './live.js';
import { el, foreign } from './dom.js';
import { short, shortAddress } from './format.js';

export * from './pieces.js';

/** The miner's address in genesis, which nobody mined. */
const NOBODY = `0x${'0'.repeat(40)}`;

/** A link to a block, with its whole id for who hovers. */
export function blockLink(id, text = short(id)) {
  return el('a', { href: `#/block/${id}`, class: 'id', title: id }, text);
}

/** A link to a transaction. */
export function transactionLink(id, text = short(id)) {
  return el('a', { href: `#/transaction/${id}`, class: 'id', title: id }, text);
}

/** A link to an account, by its name if it has one. `whole` shows all digits. */
export function accountLink(address, whole = false) {
  if (!address || address === '0') return el('span', { class: 'faint' }, 'nobody');
  if (address === NOBODY) return el('span', { class: 'faint', title: address }, 'nobody');
  const name = nameOf(address);
  const text = name ?? (whole ? address : shortAddress(address));
  return el('a', { href: `#/account/${address}`, class: name ? 'name' : 'id', title: address }, name ? foreign(text) : text);
}

/** This node's name for an account, if it has one. */
export function nameOf(address) {
  if (live.status?.address === address) return 'this node';
  return live.aliases.get(address) ?? null;
}
