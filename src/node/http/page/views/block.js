// One block: its header, its transactions, and its place.

import { get, getBytes } from '../app/api.js';
import { el } from '../app/dom.js';
import { bytes, count, counted, short, timeAndAge } from '../app/format.js';
import { accountLink, blockLink, coins, copyable, facts, section, table, transactionLink } from '../app/parts.js';
import { hex } from '../protocol/bytes.js';
import { HEADER_BYTES, decodeHeader } from '../protocol/encode.js';
import { work } from '../protocol/target.js';
import { rowSummary } from './transaction.js';

/** Rows of a table; a block can have thousands. */
const ROWS_MAX = 500;

/** The view of a block by its name: a height, an id, or eight digits of the id. */
export async function block([name]) {
  const found = await get(`/blocks/${encodeURIComponent(name)}`);
  // The JSON rounds a nonce above 2^53; the bytes do not.
  const encoded = await getBytes(`/blocks/${found.id}/encoded`);
  const header = decodeHeader(encoded.slice(0, HEADER_BYTES));
  const place = found.best_chain ? counted(found.confirmations, 'confirmation') : 'on a side branch';
  const element = el(
    'div',
    {},
    el('p', { class: 'kicker' }, 'Block'),
    el('h1', {}, count(found.height), ' ', el('small', { class: 'id' }, short(found.id))),
    el('p', { class: `badge ${found.best_chain ? 'good' : 'warn'}` }, place),
    neighbours(found),
    section('Header', headerFacts(found, header, encoded.slice(0, HEADER_BYTES))),
    section('Transactions', transactions(found)),
  );
  return { title: `Block ${found.height}`, element };
}

function neighbours({ height, parent, best_chain: isBest, confirmations }) {
  const back = height > 0 ? el('a', { href: `#/block/${parent}`, rel: 'prev' }, `← ${count(height - 1)}`) : null;
  const hasNext = isBest && confirmations > 1;
  const next = hasNext ? el('a', { href: `#/block/${height + 1}`, rel: 'next' }, `${count(height + 1)} →`) : null;
  return el('nav', { class: 'neighbours', 'aria-label': 'Neighbouring blocks' }, back, next);
}

function headerFacts(found, header, encoded) {
  const mined = found.height > 0;
  return facts([
    ['Id', copyable(found.id, 'id')],
    [mined ? 'Parent' : 'Parameters', mined ? blockLink(found.parent, found.parent) : el('code', {}, found.parent)],
    ['Made', timeAndAge(found.timestamp)],
    ['Miner', accountLink(found.miner, true)],
    ['Root', el('code', {}, header.root)],
    [
      'Target',
      el(
        'span',
        {},
        el('code', {}, found.target),
        mined ? `, ${counted(work(header.target), 'hash', 'hashes')} on average` : ', no work needed',
      ),
    ],
    ['Nonce', count(BigInt(header.nonce))],
    ['Size', bytes(found.size)],
    ['Header’s bytes', el('code', { class: 'bytes' }, hex(encoded))],
  ]);
}

function transactions({ transactions: rows }) {
  const cells = rows
    .slice(0, ROWS_MAX)
    .map((row) => [
      transactionLink(row.id),
      el('span', { class: `kind ${row.type}` }, row.type),
      accountLink(row.sender),
      rowSummary(row),
      row.type === 'reward' ? '' : coins(row.fee),
    ]);
  const more = rows.length - cells.length;
  return [
    table('What this block holds', ['Id', 'Kind', 'From', 'What', 'Fee'], cells),
    more > 0 ? el('p', { class: 'faint' }, `and ${counted(more, 'more transaction')}`) : null,
  ];
}
