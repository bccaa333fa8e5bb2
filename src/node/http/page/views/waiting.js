// The transactions that wait to be mined, in the order in which this node would mine them.

import { get, query as queryText } from '../app/api.js';
import { el, fill, refill } from '../app/dom.js';
import { count, counted, short } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { accountLink, coins, problem, section, table, transactionLink } from '../app/parts.js';
import { lostSection, lostTransactions } from './lost.js';
import { miningControls } from './mining.js';
import { rowSummary } from './transaction.js';

const PAGE_ROWS = 25;

/** The view. `?from=` is the place of the first row, counted from 0. */
export async function waiting(_, { query, signal }) {
  const from = Number(query.get('from')) || 0;
  const rows = el('div');
  const lost = el('div');
  const pages = el('nav', { class: 'buttons', 'aria-label': 'Pages' });
  const show = async () => {
    const page = await get(`/transactions${queryText({ from, limit: PAGE_ROWS })}`);
    const names = [...live.aliases, live.status?.address];
    refill(rows, [page, names], () => (page.transactions.length ? waitingTable(page, from) : nothing(page)));
    refill(pages, [page.length, page.next], () => pageLinks(page, from));
  };
  await show();
  const showLost = async () => {
    const all = await lostTransactions();
    refill(lost, all, () => lostSection(all, () => again()));
  };
  await showLost();
  const again = calmly(() => Promise.all([show(), showLost()]).catch((error) => fill(pages, problem(error))));
  live.on('tip transaction watch', again, signal);
  const element = el(
    'div',
    {},
    el('h1', {}, 'Waiting'),
    el('p', {}, 'These transactions are in no block yet. This node would mine the first ones first: by fee, and those of one account in their order.'),
    lost,
    el('section', { class: 'card' }, rows),
    pages,
    section('Mine them', miningControls(signal)),
  );
  return { title: 'Waiting', element };
}

function nothing({ length }) {
  return el('p', { class: 'faint' }, length ? `Only ${counted(length, 'transaction')} wait.` : 'Nothing waits.');
}

function waitingTable({ transactions }, from) {
  const cells = transactions.map((row, at) => [
    count(from + at + 1),
    transactionLink(row.id, short(row.id)),
    coins(row.fee),
    el('span', { class: `kind ${row.type}` }, row.type),
    accountLink(row.sender),
    rowSummary(row),
  ]);
  return table('Transactions that wait, the next one first', ['Place', 'Id', 'Fee', 'Kind', 'From', 'What'], cells);
}

function pageLinks({ length, next, transactions }, from) {
  const link = (text, at, rel) =>
    el('a', { class: 'button', href: `#/waiting${queryText({ from: at || '' })}`, rel }, text);
  return [
    from > 0 ? link('← Before', Math.max(0, from - PAGE_ROWS), 'prev') : null,
    next === null ? null : link('After →', next, 'next'),
    transactions.length
      ? el('span', { class: 'faint' }, `${count(from + 1)} to ${count(from + transactions.length)} of ${count(length)}`)
      : null,
  ];
}
