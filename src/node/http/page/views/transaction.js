// One transaction: its signer, its effect, and its place.

import { get, request, whole } from '../app/api.js';
import { el, fill, foreign, refill } from '../app/dom.js';
import { count, counted, short, timeAndAge } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { accountLink, blockLink, button, coins, copyable, copyButton, facts, problem, save, section } from '../app/parts.js';
import { utf8 } from '../protocol/bytes.js';
import { readRecord } from '../protocol/record.js';
import { lostSection, lostTransactions } from './lost.js';
import { miningControls } from './mining.js';
import { recordContent, recordLine } from './record.js';

/** The view of the transaction with this id, or the beginning of one. It follows the transaction's life. */
export async function transaction([name], { signal }) {
  const path = `/transactions/${encodeURIComponent(name)}`;
  const first = await get(path).catch(async (error) => {
    const lost = error.status === 404 ? (await lostTransactions()).find(({ id }) => id.startsWith(name)) : null;
    if (!lost) throw error;
    return { ...lost, state: 'gone', height: null, block: null, timestamp: null };
  });
  const badge = el('p', { id: 'state', role: 'status' });
  const rest = el('div');
  const lost = el('div');
  const drawLost = async () => {
    const found = (await lostTransactions()).filter(({ id }) => id === first.id);
    refill(lost, found, () => lostSection(found, () => again()));
  };
  const draw = (found) => {
    drawState(badge, found);
    refill(rest, [found.state, found.block], () => content(found, signal));
  };
  draw(first);
  const again = calmly(async () => {
    try {
      draw(await get(`/transactions/${first.id}`));
    } catch (error) {
      // A node that does not answer says nothing about it.
      if (error.status === 404) draw({ ...first, state: 'gone', height: null, block: null, timestamp: null });
    }
    await drawLost();
  });
  await drawLost();
  live.on('tip watch', again, signal);
  const element = el(
    'div',
    {},
    el('p', { class: 'kicker' }, first.type === 'reward' ? 'Reward' : 'Transaction'),
    el(
      'h1',
      {},
      el('span', { class: `kind ${first.type}` }, first.type),
      ' ',
      el('small', { class: 'id' }, short(first.id)),
    ),
    badge,
    lost,
    rest,
  );
  return { title: `Transaction ${short(first.id)}`, element };
}

function drawState(badge, found) {
  const states = {
    pending: ['warn', 'waits to be mined'],
    in_block: ['good', counted(found.confirmations, 'confirmation')],
    gone: ['bad', 'not on the chain, and not waiting'],
  };
  const [mood, words] = states[found.state] ?? ['warn', found.state];
  badge.className = `badge ${mood}`;
  fill(badge, words);
}

function content(found, signal) {
  return [
    found.state === 'pending' ? section('It waits', miningControls(signal)) : null,
    found.type === 'record' ? section('What it says', recordContent(recordOf(found))) : null,
    section('Facts', transactionFacts(found)),
    found.state === 'in_block' && found.type !== 'reward' ? receiptSection(found) : null,
  ];
}

function transactionFacts(found) {
  const isReward = found.type === 'reward';
  return facts([
    ['Id', copyable(found.id, 'id')],
    ['Signed by', isReward ? null : accountLink(found.sender, true)],
    ['To', found.to ? accountLink(found.to, true) : null],
    ['Amount', found.amount ? coins(found.amount) : null],
    ['Fee', isReward ? null : coins(found.fee)],
    ['Nonce', isReward ? null : count(found.nonce)],
    ['Block', found.block ? blockLink(found.block, count(found.height)) : 'none yet'],
    ['Public key', found.public_key ? copyable(found.public_key, 'public key') : null],
    ['Signature', found.signature ? copyable(found.signature, 'signature') : null],
    ['Mined', found.timestamp ? timeAndAge(found.timestamp) : null],
  ]);
}

function receiptSection({ id }) {
  const answer = el('div');
  const receipt = async () => (await whole(await request(`/transactions/${id}/receipt`, { patient: true }))).text();
  const download = async () => {
    try {
      save(`receipt-${short(id)}.json`, await receipt(), 'application/json');
      fill(answer);
    } catch (error) {
      fill(answer, problem(error));
    }
  };
  return section(
    'Receipt',
    el(
      'p',
      {},
      'A file that proves, to somebody without a node, who signed this and how much work confirms it. ',
      el('a', { href: '#/verify' }, 'Verify one'),
    ),
    el(
      'p',
      { class: 'buttons' },
      button('Download the receipt', download, { kind: 'main' }),
      copyButton(receipt, 'receipt', { kind: '', text: 'Copy the receipt' }),
      el('a', { class: 'button', href: `#/print/${id}` }, 'Print'),
    ),
    answer,
  );
}

/** The data of a record's row, in words. */
function recordOf(row) {
  const data = row.data ?? '';
  const bytes =
    typeof data === 'string' ? utf8(data) : Uint8Array.from(data.hex.match(/../g) ?? [], (two) => parseInt(two, 16));
  return readRecord(bytes);
}

/** The effect of a transaction, in a line of a table. */
export function rowSummary(row) {
  if (row.type === 'record') return el('span', { class: 'says' }, foreign(recordLine(recordOf(row))));
  return el('span', {}, coins(row.amount), ' to ', accountLink(row.to));
}
