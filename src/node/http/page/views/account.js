// One account: its coins, and its whole history.

import { get, query } from '../app/api.js';
import { el, fill, foreign, refill } from '../app/dom.js';
import { ago, count, counted } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { blockLink, button, coins, copyable, facts, nameOf, problem, section, table, transactionLink } from '../app/parts.js';
import { rowSummary } from './transaction.js';

/** Rows that are fetched at a time. */
const PAGE_ROWS = 25;

/** The view of the account with this address. */
export async function account([address], { signal }) {
  const path = `/accounts/${encodeURIComponent(address)}`;
  const found = await get(path);
  const balance = el('div');
  const drawBalance = (row) => refill(balance, row, () => balanceFacts(row));
  drawBalance(found);
  const history = makeHistory(path);
  const refresh = calmly(async () => {
    drawBalance(await get(path));
    await history.refresh();
  });
  live.on('tip transaction', refresh, signal);
  await history.refresh();
  const name = nameOf(found.address);
  const element = el(
    'div',
    {},
    el('p', { class: 'kicker' }, 'Account'),
    el('h1', {}, name ? foreign(name) : el('span', { class: 'id' }, found.address)),
    section('Balance', balance),
    section('History', history.element),
  );
  return { title: name ?? `Account ${found.address.slice(0, 8)}`, element };
}

function balanceFacts(row) {
  return facts([
    ['Address', copyable(row.address, 'address')],
    ['Balance', coins(row.balance)],
    ['Can be spent', row.spendable === row.balance ? null : coins(row.spendable)],
    ['Has signed', counted(row.nonce, 'transaction')],
    ['Waiting', row.pending ? counted(row.pending, 'transaction') : null],
  ]);
}

/** A history that grows at its end when asked, and is read again from its beginning when something happens. */
function makeHistory(path) {
  const rows = el('div');
  const more = el('p', { class: 'buttons' });
  let entries = [];
  const draw = (next) => {
    const nothing = () => el('p', { class: 'faint' }, 'Nothing happened to it yet.');
    refill(rows, entries, () => (entries.length ? historyTable(entries) : nothing()));
    refill(more, next, () => (next ? button('Older', () => extend(next)) : []));
  };
  const extend = async (before) => {
    try {
      const page = await get(`${path}/history${query({ limit: PAGE_ROWS, before })}`);
      entries = before ? [...entries, ...page.entries] : page.entries;
      draw(page.next);
    } catch (error) {
      fill(more, problem(error));
    }
  };
  const refresh = async () => {
    // A reader of old rows is not thrown back to the newest.
    if (entries.length <= PAGE_ROWS) await extend('');
  };
  return { element: el('div', {}, rows, more), refresh };
}

function historyTable(entries) {
  const cells = entries.map(({ height, block, timestamp, roles, transaction }) => [
    blockLink(block, count(height)),
    roles.join(', '),
    rowSummary(transaction),
    transactionLink(transaction.id),
    ago(timestamp),
  ]);
  return table(
    'What this account did and what happened to it, the newest first',
    ['Block', 'Role', 'What', 'Id', 'Age'],
    cells,
  );
}
