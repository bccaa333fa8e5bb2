// The proof of a receipt: verified on this page, without the node; only at the end the node is asked whether it agrees.

import { find } from '../app/api.js';
import { el, fill } from '../app/dom.js';
import { count, counted, time } from '../app/format.js';
import { live } from '../app/live.js';
import {
  accountLink,
  blockLink,
  coins,
  copyable,
  facts,
  field,
  problem,
  section,
  transactionLink,
} from '../app/parts.js';
import { addressText, amountText } from '../protocol/address.js';
import { unhex } from '../protocol/bytes.js';
import { RECEIPT_BYTES_MAX } from '../protocol/receipt.js';
import { fileDrop } from './drop.js';
import { fileCheck } from './file-check.js';
import { offlineLink } from './offline-link.js';
import { reasonText, refutation } from './reasons.js';
import { recordContent } from './record.js';

/** The view. */
export async function verify() {
  const outcome = el('div', { 'aria-live': 'polite' });
  const witness = el('input', { autocomplete: 'off', spellcheck: 'false', placeholder: '64 hex digits' });
  const drop = fileDrop(
    'Drop a receipt here',
    async (file, say) => {
      if (file.size > RECEIPT_BYTES_MAX) throw new Error(reasonText('too_long'));
      say('Verifying …');
      const result = await verified(await file.text(), witness.value.trim().toLowerCase());
      say('');
      if (result.reason) fill(outcome, refutation(result));
      else fill(outcome, await provenCards(result));
    },
    { accept: '.json,application/json' },
  );
  const element = el(
    'div',
    {},
    el('h1', {}, 'Verify a receipt'),
    el(
      'p',
      {},
      'A receipt proves who signed what, and how much work confirms it. It is checked on this page; you need not trust anybody.',
    ),
    offlineLink(),
    field('Witness (optional)', witness, 'The id of a block that somebody published: the receipt must show that block'),
    drop,
    outcome,
  );
  return { title: 'Verify', element };
}

function verified(text, witness) {
  return new Promise((resolve, reject) => {
    const worker = new Worker('/page/protocol/receipt-worker.js', { type: 'module' });
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = () => {
      worker.terminate();
      reject(new Error('the receipt could not be verified here: try another browser, or `quipu verify`'));
    };
    worker.postMessage({ text, witness });
  });
}

async function provenCards({ proven, isWitnessed }) {
  const { record, action } = proven;
  // Without work, the word of a witness is all that puts the block on the chain.
  const stands = proven.form !== 'witnessed' || isWitnessed === true;
  return [
    stands ? verdict(proven) : signatureAlone(proven),
    witnessed(isWitnessed),
    section(
      'What was signed',
      record ? recordContent(record) : transferred(action.transfer),
      record ? fileCheck(record) : null,
    ),
    section(stands ? 'Proven' : 'Proven, if the last block is on the chain', provenFacts(proven)),
    section('What this node says', await nodesWord(proven)),
  ];
}

/** What a receipt that holds is worth, by its form. */
const WORTH = {
  full: ({ work }) => `It shows all work on the block: ${expectedHashes(work)}.`,
  sampled: ({ work }) =>
    `It shows samples of the work on the block, ${expectedHashes(work)} in all: ` +
    'a forger who did less than half of it is caught but with a chance of 2^-48.',
  witnessed: () => 'It shows no work: that the block is on the chain is the word of whoever published the id.',
};

function verdict(proven) {
  return [el('p', { class: 'good-news' }, 'The receipt holds.'), el('p', {}, WORTH[proven.form](proven))];
}

/** A receipt that shows no work, whose tip nobody has vouched for. */
function signatureAlone({ tip }) {
  return [
    el('p', {}, el('strong', {}, 'The receipt proves the signature.')),
    el(
      'p',
      {},
      'Whether the block is on the chain depends on the id of the last block: you must have that from elsewhere. ',
      'Compare it, and give it above as the witness: ',
      copyable(tip, 'id of the last block'),
    ),
  ];
}

/** Whether a published id is in the receipt; nothing if none was given. */
function witnessed(isWitnessed) {
  if (isWitnessed === null) return null;
  if (!isWitnessed) return problem(new Error('The published block is not in the receipt, or not its last one where no work is shown: it witnesses nothing.'));
  return el('p', { class: 'good-news' }, 'The published block is in the receipt: its publisher is a witness.');
}

function expectedHashes(work) {
  return counted(work, 'expected hash', 'expected hashes');
}

function transferred({ to, amount }) {
  return el('p', {}, coins(amountText(BigInt(amount))), ' to ', accountLink(addressText(unhex(to)), true));
}

function provenFacts(proven) {
  return facts([
    ['Signed by', accountLink(proven.sender, true)],
    ['Transaction', transactionLink(proven.id, proven.id)],
    [
      'In block',
      el('span', {}, blockLink(proven.block, count(proven.height)), ' of the network ', el('code', {}, proven.network)),
    ],
    ['Under', `${counted(proven.confirmations, 'block')}, ${expectedHashes(proven.work)}`],
    ['Not before', el('span', {}, time(Number(proven.earliest)), ', if nodes’ clocks were right')],
    [
      'Not after',
      proven.latest
        ? el('span', {}, time(Number(proven.latest)), ', if the clock of a later block’s miner was right')
        : 'no later block is in the receipt',
    ],
    ['Newest block in the receipt', el('code', {}, proven.tip)],
    ['Genesis', el('code', {}, proven.genesis)],
  ]);
}

/** The receipt proves nothing about which chain is the best; a node can give its opinion. */
async function nodesWord({ genesis, block, height }) {
  if (live.status && live.status.genesis !== genesis) {
    return el('p', { class: 'badge warn' }, `This is another network than this node’s (${live.status.network}).`);
  }
  const found = await find(`/blocks/${block}`);
  if (!found) return el('p', { class: 'badge warn' }, 'This node does not know that block.');
  if (!found.best_chain)
    return el('p', { class: 'badge bad' }, `Block ${count(height)} has left the best chain.`);
  return el(
    'p',
    { class: 'badge good' },
    `Block ${count(height)} is on the best chain, with ${counted(found.confirmations, 'confirmation')}.`,
  );
}
