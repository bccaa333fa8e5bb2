// The node now: the newest blocks as a tree, pending transactions, peers, and the state of the network.

import { get } from '../app/api.js';
import { el, fill, refill } from '../app/dom.js';
import { ago, count, counted, scaled, short, span } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { accountLink, blockLink, problem, section, table } from '../app/parts.js';
import { Chart } from '../picture/chart.js';
import { Cord, HEAP_KNOTS_MAX } from '../picture/cord.js';
import { chainsOf, graphLegend, peersGraph } from '../picture/graph.js';
import { miningControls } from './mining.js';

/** Heights in the charts. */
const HEADERS = 120;
/** Of the cord, in pixels; a view that is not shown yet has none. */
const WIDTH_MIN = 260;
/** Blocks over which a hash rate is taken. */
const RATE_BLOCKS = 10;
/** Blocks whose transactions are shown. */
const BLOCKS = 24;
/** Of these, as text. */
const ROWS = 8;
/** Blocks whose transactions are remembered, for those that leave the best chain. */
const KINDS_KEPT_MAX = 400;

/** The view. */
export function now(_, { signal }) {
  const state = { headers: [], blocks: [], pending: { length: 0, transactions: [] }, peers: [], kinds: new Map() };
  const parts = makeParts(miningControls(signal));
  const draw = () => drawAll(parts, state);
  const fetchChain = calmly(async () => {
    const [headers, page] = await Promise.all([get(`/headers?limit=${HEADERS}`), get(`/blocks?limit=${BLOCKS}`)]);
    Object.assign(state, { headers, blocks: page.blocks });
    learnKinds(state);
    draw();
  });
  const fetchPending = calmly(async () => {
    state.pending = await get(`/transactions?limit=${HEAP_KNOTS_MAX}`);
    draw();
  });
  const fetchPeers = calmly(async () => {
    state.peers = await get('/peers');
    draw();
  });
  const all = () => [fetchChain, fetchPending, fetchPeers].forEach((fetchOne) => fetchOne());
  live.on('tip', () => [fetchChain, fetchPending].forEach((fetchOne) => fetchOne()), signal);
  live.on('tip', (tip) => tellOfReorganisation(parts.news, tip), signal);
  live.on('transaction', fetchPending, signal);
  live.on('peers', fetchPeers, signal);
  // Blocks beside the best chain and heights of peers come without an event.
  live.on('status', () => [fetchChain, fetchPeers].forEach((fetchOne) => fetchOne()), signal);
  const resized = new ResizeObserver(draw);
  resized.observe(parts.cordBox);
  signal.addEventListener('abort', () => resized.disconnect());
  get('/status').then(all, (error) => fill(parts.news, problem(error)));
  return { title: 'Now', element: parts.element };
}

function makeParts(controls) {
  const cord = new Cord();
  const cordBox = el('div', { class: 'cord-box' }, cord.element);
  const news = el('p', { class: 'news', role: 'status' });
  const figures = el('div', { class: 'figures' });
  const charts = {
    rate: new Chart({
      title: 'Hash rate',
      kind: 'line',
      explain: 'Work of ten blocks by the time they took',
      show: (n) => scaled(n, 'H/s'),
    }),
    work: new Chart({
      title: 'Difficulty',
      kind: 'line',
      explain: 'Hashes that a block takes on average',
      show: (n) => scaled(n, 'H'),
    }),
    times: new Chart({ title: 'Block times', kind: 'bars', explain: 'From each block to the next', show: span }),
  };
  const graph = el('div', { class: 'graph-box' });
  const rows = el('div');
  const element = el(
    'div',
    { class: 'now' },
    el('h1', {}, 'Now'),
    figures,
    el('section', { class: 'card wide', 'aria-label': 'Chain' }, cordBox, legend(), news, controls),
    el(
      'div',
      { class: 'charts' },
      Object.values(charts).map((chart) => chart.element),
    ),
    el('div', { class: 'two' }, section('Last blocks', rows, el('p', { class: 'after' }, el('a', { href: '#/blocks' }, 'Older blocks'))), section('Peers', graph)),
  );
  return { element, cord, cordBox, news, figures, charts, graph, rows };
}

function legend() {
  const items = [
    ['best', 'best chain'],
    ['beside', 'side branch'],
    ['transfer', 'transfer'],
    ['record', 'record'],
  ];
  return el(
    'ul',
    { class: 'legend' },
    items.map(([kind, text]) => el('li', {}, el('span', { class: `swatch ${kind}`, 'aria-hidden': 'true' }), text)),
  );
}

function drawAll(parts, state) {
  const { headers, blocks, pending, peers, kinds } = state;
  drawFigures(parts.figures, state);
  parts.cord.draw({ headers, kinds, pending, width: Math.max(WIDTH_MIN, parts.cordBox.clientWidth) });
  drawCharts(
    parts.charts,
    headers.filter((header) => header.best_chain),
  );
  const status = live.status;
  if (status) {
    const kinds = chainsOf(peers, headers);
    const draw = () => [peersGraph(status.name, peers, kinds), graphLegend()];
    const nobody = () => el('p', { class: 'faint' }, 'Nobody is connected yet. ', el('a', { href: '#/peers' }, 'Connect'));
    refill(parts.graph, [status.name, peers, [...kinds]], peers.length ? draw : nobody);
  }
  const newest = blocks.slice(0, ROWS);
  const names = [...live.aliases, status?.address];
  refill(parts.rows, [newest.map(({ id }) => id), names], () => blocksTable(newest));
}

function blocksTable(blocks) {
  const cells = blocks.map((block) => [
    blockLink(block.id, count(block.height)),
    blockLink(block.id, short(block.id)),
    counted(block.transactions.length - 1, 'transaction'),
    accountLink(block.miner),
    block.height === 0 ? '—' : ago(block.timestamp),
  ]);
  return table('The newest blocks of the best chain', ['Height', 'Id', 'Holds', 'Miner', 'Age'], cells);
}

function minerNote({ hash_rate, waits_for }) {
  if (waits_for === 'account') return '· the reward has no room in its account';
  if (waits_for === 'chain') return '· waits for a better chain';
  return hash_rate ? scaled(hash_rate, 'H/s') : '';
}

function drawFigures(element, { peers, pending, headers }) {
  const status = live.status;
  if (!status) return;
  const newest = headers.filter((header) => header.best_chain).at(-1);
  const rows = [
    ['Height', count(status.height), newest ? ['· newest block ', ago(newest.timestamp)] : ''],
    ['Waiting', el('a', { href: '#/waiting' }, count(pending.length)), pending.length === 1 ? 'transaction' : 'transactions'],
    ['Peers', count(peers.length), status.syncing ? 'fetching a better chain' : peers.length ? 'in sync' : '· nobody yet'],
    ['Mining here', status.mining.mode, minerNote(status.mining)],
  ];
  const one = ([name, value, note]) =>
    el(
      'div',
      { class: 'figure-box' },
      el('dt', {}, name),
      el('dd', {}, el('strong', {}, value), ' ', el('span', { class: 'faint' }, note)),
    );
  const { height, syncing, mining } = status;
  const state = [height, newest?.timestamp, pending.length, peers.length, syncing, mining];
  refill(element, state, () => el('dl', { class: 'figure-row' }, rows.map(one)));
}

function drawCharts({ rate, work, times }, best) {
  // Genesis is no work, and its time is when the network was thought of.
  const chain = best.filter((header) => header.height > 0);
  const label = (header) => `Block ${count(header.height)}`;
  const works = chain.map((header) => ({ label: label(header), value: Number(header.work) }));
  const gaps = chain
    .slice(1)
    .map((header, at) => ({ label: label(header), value: header.timestamp - chain[at].timestamp }));
  const rates = chain.slice(RATE_BLOCKS).map((header, at) => {
    const hashes = chain.slice(at + 1, at + 1 + RATE_BLOCKS).reduce((sum, one) => sum + Number(one.work), 0);
    const millis = Math.max(1, header.timestamp - chain[at].timestamp);
    return { label: label(header), value: (hashes * 1000) / millis };
  });
  const last = (points, show) => (points.length ? show(points.at(-1).value) : '—');
  rate.draw(
    rates,
    last(rates, (value) => scaled(value, 'H/s')),
  );
  work.draw(
    works,
    last(works, (value) => scaled(value, 'H')),
  );
  // One pause of the miners would spoil the mean.
  const sorted = gaps.map((gap) => gap.value).sort((one, other) => one - other);
  times.draw(gaps, sorted.length ? `median ${span(sorted[sorted.length >> 1])}` : '—');
}

/** The kinds of transactions in each block, the reward left out. */
function learnKinds(state) {
  const kindsOf = (block) => block.transactions.slice(1).map((row) => row.type);
  for (const block of state.blocks) state.kinds.set(block.id, kindsOf(block));
  for (const id of [...state.kinds.keys()].slice(0, -KINDS_KEPT_MAX)) state.kinds.delete(id);
}

function tellOfReorganisation(news, tip) {
  if (!tip.reorg_depth) return;
  const left = counted(tip.reorg_depth, 'block');
  const text = `Reorganisation: ${left} left the best chain, which now ends at ${count(tip.height)}.`;
  fill(news, text, ' ', el('a', { href: '#/lessons/fork' }, 'What is that?'));
}
