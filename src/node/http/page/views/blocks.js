// The best chain as a list: older and newer pages, or from a height on.

import { get, query as queryText } from '../app/api.js';
import { el, fill, refill } from '../app/dom.js';
import { ago, bytes, count, short } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { accountLink, blockLink, coins, field, problem, table } from '../app/parts.js';

const PAGE_ROWS = 20;

/** The view. `?from=` is the height of the first row; without it the newest blocks are followed. */
export async function blocks(_, { query, signal }) {
  const from = query.get('from') ?? '';
  const rows = el('div');
  const pages = el('nav', { class: 'buttons', 'aria-label': 'Pages' });
  const show = async () => {
    const page = await get(`/blocks/brief${queryText({ from, limit: PAGE_ROWS })}`);
    const names = [...live.aliases, live.status?.address];
    refill(rows, [page, names], () => blocksTable(page.blocks));
    refill(pages, page, () => pageLinks(page));
  };
  await show();
  const again = calmly(() => show().catch((error) => fill(pages, problem(error))));
  // An old page changes with a reorganisation alone; the newest follows the chain.
  live.on('tip', (tip) => (!from || tip.reorg_depth || tip.height === null) && again(), signal);
  const element = el('div', {}, el('h1', {}, 'Blocks'), jumpForm(), el('section', { class: 'card' }, rows), pages);
  return { title: 'Blocks', element };
}

/** A table of blocks in brief. */
export function blocksTable(list) {
  const cells = list.map((block) => [
    blockLink(block.id, count(block.height)),
    blockLink(block.id, short(block.id)),
    block.height === 0 ? '—' : ago(block.timestamp),
    accountLink(block.miner),
    count(block.transactions),
    coins(block.fees),
    bytes(block.size),
  ]);
  return table(
    'Blocks of the best chain, the newest first',
    ['Height', 'Id', 'Age', 'Miner', 'Transactions', 'Fees', 'Size'],
    cells,
  );
}

function pageLinks({ blocks: list, next, length }) {
  const first = list[0].height;
  const newer = Math.min(length - 1, first + PAGE_ROWS);
  const isNewest = first === length - 1;
  const link = (text, from, rel) => el('a', { class: 'button', href: `#/blocks${queryText({ from })}`, rel }, text);
  return [
    isNewest ? null : link('← Newest', ''),
    isNewest ? null : link('← Newer', newer === length - 1 ? '' : newer, 'prev'),
    next === null ? null : link('Older →', next, 'next'),
    el('span', { class: 'faint' }, `${count(list.at(-1).height)} to ${count(first)} of ${count(length)}`),
  ];
}

function jumpForm() {
  const input = el('input', { inputmode: 'numeric', autocomplete: 'off', placeholder: 'Height', class: 'narrow' });
  const submit = (event) => {
    event.preventDefault();
    const height = input.value.replace(/[\s,]/g, '');
    if (height) location.hash = `#/blocks${queryText({ from: height })}`;
  };
  return el(
    'form',
    { class: 'jump', on: { submit } },
    field('Blocks from height', input),
    el('button', {}, 'Go'),
  );
}
