// The reasons for which a receipt proves nothing, in words: section 17 of the specification.

import { el } from '../app/dom.js';
import { section } from '../app/pieces.js';

const REASONS = {
  too_long: 'It is too long for a receipt.',
  version: 'It is a receipt of another version: another quipu may read it.',
  not_canonical: 'Another program has rewritten it: use the file as the node gave it.',
  form: 'It is not a receipt.',
  parameters: 'Its parameters make no network.',
  genesis: 'Its network is not the one that it names.',
  transaction: 'Its transaction is damaged.',
  transaction_rule: 'Its transaction breaks a rule.',
  signature: 'Its signature is not the sender’s: somebody has changed the transaction.',
  path: 'The transaction is not in the block that it names.',
  target: 'A header has a wrong target.',
  not_genesis: 'Its first block is not the network’s.',
  work: 'A header lacks the work that it claims.',
  history: 'A block that it shows does not stand on the chain of the others.',
  samples: 'It lacks work that it must show: its chain may be forged.',
  tip: 'Its last block is not the one that it names.',
  not_built_in: 'Its network calls itself like a built-in one, and is another.',
};

/** The reason in words. */
export function reasonText(reason) {
  return REASONS[reason] ?? reason;
}

/** What to say of a receipt that proves nothing. */
export function refutation({ reason, unreadable }) {
  return section(
    unreadable ? 'Unreadable' : 'Refuted: it proves nothing',
    el('p', { class: 'problem', role: 'alert' }, reasonText(reason), ' ', el('span', { class: 'faint' }, `(${reason})`)),
  );
}
