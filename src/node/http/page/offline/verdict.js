// What a receipt that holds proves, in words. How much that is depends on its form, and on what its reader knows.

import { el, foreign } from '../app/dom.js';
import { count, counted, time } from '../app/format.js';
import { coins, facts, problem, section } from '../app/pieces.js';
import { addressText, amountText } from '../protocol/address.js';
import { unhex } from '../protocol/bytes.js';
import { hasBlock } from '../protocol/receipt.js';
import { contentOf } from '../views/content.js';
import { fileCheck } from '../views/file-check.js';
import { isBuiltIn } from './networks.js';

/** The content, its signer, and whether a file is that. None of this depends on what the reader knows. */
export function signedCards(proven) {
  const { record, action } = proven;
  const tag = (text) => el('span', { class: 'tag' }, foreign(text));
  return [
    section(
      'What was signed',
      record ? contentOf(record, tag) : transferred(action.transfer),
      record ? fileCheck(record) : null,
    ),
    section(
      'Who signed it, and where',
      facts([
        ['Signed by', el('code', {}, proven.sender)],
        ['Transaction', el('code', {}, proven.id)],
        ['Network', networkWords(proven)],
        ['Genesis', el('code', {}, proven.genesis)],
      ]),
    ),
  ];
}

function transferred({ to, amount }) {
  return el('p', {}, coins(amountText(BigInt(amount))), ' to ', el('code', {}, addressText(unhex(to))));
}

/** The verdict, by the receipt's form and by the id of a block that the reader knows to be on the chain, or null. */
export function verdict(proven, published) {
  const outside = problem(new Error('The published block is not in the receipt: it witnesses nothing.'));
  if (published === null) return proven.form === 'witnessed' ? onlySigned(proven) : good(SHOWN[proven.form](proven));
  const isIn = hasBlock(proven, published);
  if (proven.form === 'witnessed') {
    return isIn
      ? good('The receipt holds as far as the published id goes. It shows no work: it is worth as much as the word of whoever published that id.')
      : [outside, onlySigned(proven)];
  }
  const witness = isIn ? good('The published block is in the receipt: its publisher is a witness.') : outside;
  return [good(SHOWN[proven.form](proven)), witness];
}

/** What the other forms show. */
const SHOWN = {
  full: ({ confirmations }) => `The receipt holds. All work of ${counted(confirmations, 'block')} is in it, and was checked.`,
  sampled: () =>
    'The receipt holds. It shows its newest blocks, and samples of the work before them: a forger who has done less than half of that work is caught, but for a chance of 2⁻⁴⁸ for each try.',
};

function good(words) {
  return el('p', { class: 'good-news', role: 'status' }, words);
}

function onlySigned({ tip }) {
  return el(
    'div',
    { class: 'half-news', role: 'status' },
    el(
      'p',
      {},
      el('strong', {}, 'Only the signature is proven.'),
      ' That it is in the ledger, and since when, is proven only to readers who know from elsewhere that the last block of the receipt is on the chain. This is that block’s id: compare it with the one that was published, or type the published one above.',
    ),
    // No button copies it: it must not find its way into the field.
    el('p', {}, el('code', {}, tip.match(/.{8}/g).join(' '))),
  );
}

/** Its place in the chain. Of a witnessed receipt, only what is below the published block is proven. */
export function placeCard(proven, published) {
  const isWitnessed = proven.form === 'witnessed';
  const isClaim = isWitnessed && (published === null || !hasBlock(proven, published));
  // Whoever knows the transaction's own block learns nothing of those above it.
  const hasLater = !isWitnessed || isClaim || published === proven.tip;
  const hashes = counted(proven.work, 'expected hash', 'expected hashes');
  return section(
    isClaim ? 'What it says of its place, unproven' : 'Its place in the ledger',
    facts([
      ['In block', placed(proven.height, proven.block)],
      ['Not before', el('span', {}, time(Number(proven.earliest)), ', if nodes’ clocks were right')],
      ['Not after', hasLater ? latest(proven) : null],
      ['Work on it', hasLater ? `${counted(proven.confirmations, 'block')}, ${hashes}` : null],
      ['Newest block', hasLater ? placed(proven.tip_height, proven.tip) : null],
    ]),
    isClaim ? null : el('p', { class: 'hint after' }, 'Only a node can say whether the block still is on the best chain.'),
  );
}

function placed(height, id) {
  return [el('div', {}, count(height)), el('code', {}, id)];
}

function latest({ latest: millis }) {
  if (!millis) return 'no later block is in the receipt';
  return el('span', {}, time(Number(millis)), ', by the clock of a later block’s miner');
}

/** Anybody can make a network, with any name. */
function networkWords(proven) {
  const name = el('code', {}, proven.network);
  if (isBuiltIn(proven)) return el('span', {}, name, ', the built-in one');
  return el('span', {}, name, '. Anybody can make one of that name: compare its genesis with that of a node that you know.');
}
