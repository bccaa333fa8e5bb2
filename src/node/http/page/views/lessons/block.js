// What is a block? The newest one, in parts; broken in a sandbox until some rule complains, repaired until none does.

import { get } from '../../app/api.js';
import { el, fill } from '../../app/dom.js';
import { count, counted, span } from '../../app/format.js';
import { blockLink, button, facts, problem, section } from '../../app/parts.js';
import { amountText } from '../../protocol/address.js';
import { rootOf } from '../../protocol/network.js';
import { RULES, blockId, complaint } from '../../protocol/rules.js';
import { work } from '../../protocol/target.js';
import { LESSON_TARGET, genesisAlone, loadBlock, loadNetwork, mine, minedForLesson, withLessonWork } from './sandbox.js';

/** Ways to break a block; each changes it in place. Those on transactions need one. */
const BREAKS = [
  ['Pay the miner a coin more', ({ block }) => add(block.reward, 'amount', 100_000_000n)],
  ['Backdate it by an hour', ({ block }) => add(block.header, 'timestamp', -3_600_000n)],
  ['Postdate it by a day', ({ block }) => add(block.header, 'timestamp', 86_400_000n)],
  ['Skip a height', ({ block }) => add(block.header, 'height', 1n)],
  ['Choose another target', ({ block }) => set(block.header, 'target', otherTarget(block.header.target))],
  ['Invent a version', ({ block }) => set(block.header, 'version', 3)],
  ['Add 1 to the nonce', ({ block }) => add(block.header, 'nonce', 1n)],
  ['Raise a transaction’s fee', ({ block }) => add(block.transactions[0], 'fee', 1n), true],
  ['Leave a transaction out', ({ block }) => block.transactions.shift(), true],
];

/** The lesson. */
export async function blockLesson(context) {
  const { signal } = context;
  const network = withLessonWork(await loadNetwork());
  const height = await heightWithTransactions();
  if (height === 0) return genesisAlone(context);
  const [real, below] = await Promise.all([loadBlock(height), loadBlock(height - 1)]);
  const original = { ...real, header: (await minedForLesson(real.header, signal)) ?? real.header };
  const parent = { header: { ...below.header, target: LESSON_TARGET, interval: network.target_spacing } };
  const intro = el(
    'p',
    {},
    'Here is block ',
    blockLink(blockId(real.header), count(height)),
    `, mined again on this page with an easy target: about ${count(work(LESSON_TARGET))} hashes. Break it: nothing leaves this page.`,
  );
  return el(
    'div',
    {},
    section('A header over a body', anatomy(real)),
    section('Break it', intro, sandbox({ network, original, parent, signal })),
  );
}

/** The newest of the last blocks that holds something; else the newest. */
async function heightWithTransactions() {
  const { blocks } = await get('/blocks?limit=50');
  return (blocks.find((block) => block.transactions.length > 1 && block.height > 0) ?? blocks[0]).height;
}

function anatomy({ header, transactions }) {
  return facts([
    ['Height', `${count(BigInt(header.height))}: how many blocks are below it`],
    [
      'Parent',
      el('span', {}, blockLink(header.parent), ': the id of the block below, so that nothing below can change'),
    ],
    [
      'Body root',
      el(
        'span',
        {},
        el('code', {}, header.root),
        `: one hash over the reward and ${counted(transactions.length, 'transaction')}`,
      ),
    ],
    ['Time', `${header.timestamp}: milliseconds since 1970, by the miner’s clock`],
    [
      'Target',
      `the id must be so small that finding one takes ${counted(work(header.target), 'hash', 'hashes')} on average`,
    ],
    ['Nonce', `${header.nonce}: the number that the miner found`],
  ]);
}

function sandbox({ network, original, parent, signal }) {
  const state = { network, block: structuredClone(original) };
  const verdict = el('div', { role: 'status', id: 'verdict' });
  const shown = el('div');
  const judge = () => {
    drawVerdict(verdict, complaint(network, state.block, parent.header, BigInt(Date.now())));
    fill(shown, differences(original, state.block));
  };
  const act = (change) => () => {
    try {
      change(state);
      judge();
    } catch (error) {
      fill(verdict, problem(error));
    }
  };
  const breaks = BREAKS.filter(([, , needsOne]) => !needsOne || original.transactions.length).map(([text, change]) =>
    button(text, act(change)),
  );
  judge();
  return [
    el('div', { class: 'buttons', role: 'group', 'aria-label': 'Ways to break it' }, breaks),
    verdict,
    shown,
    el('h3', {}, 'Repair it, as a cheat would'),
    repairs(state, judge, act, original, signal),
    el(
      'p',
      { class: 'hint' },
      'Nonces and balances (R15, R16) need all accounts as they were before this block; only the node has them.',
    ),
  ];
}

function drawVerdict(verdict, broken) {
  if (!broken) fill(verdict, el('p', { class: 'good-news' }, 'No rule complains: every node would take this block.'));
  else
    fill(
      verdict,
      el('p', { class: 'problem' }, el('strong', {}, `${broken.rule} complains. `), `${RULES[broken.rule]}.`),
    );
}

/** Commit to the changed body; do the work again; or start over. */
function repairs(state, judge, act, original, signal) {
  const progress = el('p', { class: 'hint', role: 'status' });
  let stop = null;
  const again = async () => {
    stop?.abort();
    stop = new AbortController();
    const started = performance.now();
    const ends = AbortSignal.any([signal, stop.signal]);
    const nonce = await mine(state.block.header, {
      signal: ends,
      progress: (tries) => fill(progress, `${count(tries)} hashes in ${span(performance.now() - started)} …`),
    });
    if (ends.aborted) return;
    fill(
      progress,
      nonce === null
        ? 'This is no target at all.'
        : `Found after ${span(performance.now() - started)}: nonce ${nonce}.`,
    );
    if (nonce !== null) state.block.header.nonce = nonce;
    judge();
  };
  const reset = act((all) => {
    stop?.abort();
    fill(progress);
    all.block = structuredClone(original);
  });
  return [
    el(
      'div',
      { class: 'buttons' },
      button(
        'Make the root fit the body',
        act(({ block }) => set(block.header, 'root', rootOf(block))),
      ),
      button('Mine it here', again),
      button('Start over', reset, { kind: 'main' }),
    ),
    progress,
  ];
}

function differences(original, block) {
  const rows = Object.keys(block.header)
    .filter((name) => String(block.header[name]) !== String(original.header[name]))
    .map((name) => [
      name.replace('_', ' '),
      el('span', {}, el('s', { class: 'faint' }, original.header[name]), ' ', el('code', {}, block.header[name])),
    ]);
  if (block.reward.amount !== original.reward.amount)
    rows.push(['reward', `${amountText(BigInt(block.reward.amount))} coins`]);
  if (block.transactions.length !== original.transactions.length)
    rows.push(['transactions', `${block.transactions.length} of ${original.transactions.length}`]);
  rows.push(['its id', el('code', {}, blockId(block.header))]);
  return facts(rows);
}

function set(object, name, value) {
  object[name] = value;
}

function add(object, name, change) {
  const sum = BigInt(object[name]) + change;
  object[name] = (sum < 0n ? 0n : sum).toString();
}

/** A target other than the due one, half as hard where that still is a target. */
function otherTarget(target) {
  const [exponent, mantissa] = [target >>> 24, target & 0x7fffff];
  if (mantissa * 2 <= 0x7fffff && exponent < 0x21) return exponent * 2 ** 24 + mantissa * 2;
  return exponent * 2 ** 24 + (mantissa >> 1);
}
