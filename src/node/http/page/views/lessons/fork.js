// What is a fork? Two pretended miners on top of the real chain, and the choice by the rule of the most work.

import { get } from '../../app/api.js';
import { el, fill } from '../../app/dom.js';
import { ago, count, counted, short } from '../../app/format.js';
import { blockLink, button, section, table } from '../../app/parts.js';
import { Cord } from '../../picture/cord.js';
import { pretendId } from './sandbox.js';

/** Real blocks below the pretended ones. */
const REAL = 4;
/** Headers among which real forks are looked for. */
const HEADERS = 1000;
const ROWS_MAX = 20;
/** The width of the picture in pixels: no more than the sandbox needs. */
const WIDTH_MIN = 260;
const WIDTH_MAX = 720;

/** The lesson. */
export async function forkLesson({ signal }) {
  const headers = await get(`/headers?limit=${HEADERS}`);
  return el(
    'div',
    {},
    section('Two miners', pretend(headers.filter((header) => header.best_chain).slice(-REAL), signal)),
    section('On this node', real(headers)),
  );
}

/** Two miners that do not hear of each other until they are connected. */
function pretend(base, signal) {
  const cord = new Cord();
  const box = el('div', { class: 'cord-box' }, cord.element);
  const news = el('p', { class: 'news', role: 'status', id: 'fork-news' });
  const world = {
    made: [],
    kinds: new Map(),
    tips: { Ana: base.at(-1), Bo: base.at(-1) },
    best: base.at(-1),
    waiting: [{ type: 'transfer' }, { type: 'record' }],
  };
  const draw = () => {
    markBest(world);
    const waiting = stillWaiting(world);
    cord.draw({
      headers: [...base, ...world.made],
      kinds: world.kinds,
      pending: { length: waiting.length, transactions: waiting },
      width: Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, box.clientWidth)),
    });
  };
  const mineAs = (name) => () => {
    fill(news, step(world, name));
    draw();
  };
  const resized = new ResizeObserver(draw);
  resized.observe(box);
  signal.addEventListener('abort', () => resized.disconnect());
  return [
    el(
      'p',
      {},
      'Ana and Bo both mine on the newest block, and the line between them is cut. Press for each of them: the chain with the most work is the best one, and the first seen stays when both are equal.',
    ),
    box,
    news,
    el(
      'div',
      { class: 'buttons' },
      button('Ana finds a block', mineAs('Ana'), { kind: 'main' }),
      button('Bo finds a block', mineAs('Bo'), { kind: 'main' }),
    ),
  ];
}

/** Adds a block of one miner. Gives a sentence about it. */
function step(world, name) {
  const parent = world.tips[name];
  const id = pretendId(`${name} ${parent.id} ${world.made.length}`);
  const block = {
    height: parent.height + 1,
    id,
    parent: parent.id,
    best_chain: false,
    condemned: false,
    made_by: name,
  };
  // Ana mines what waits with her first block; Bo has not heard of it.
  world.kinds.set(
    id,
    name === 'Ana' && !world.made.some((one) => one.made_by === 'Ana') ? world.waiting.map((row) => row.type) : [],
  );
  world.made.push(block);
  world.tips[name] = block;
  const before = world.best;
  if (block.height <= before.height) return `${name}’s chain has no more work than the best one: it is a side branch.`;
  world.best = block;
  if (before.id === parent.id) return `${name}’s block goes on the best chain.`;
  const left = ancestors(world, before).filter((one) => !ancestors(world, block).includes(one)).length;
  return `Reorganisation: ${name}’s chain has more work now. ${counted(left, 'block')} left the best chain, and what was in there waits again.`;
}

/** A pretended block and those below it, as ids. */
function ancestors({ made }, block) {
  const ids = [];
  for (let at = block; at; at = made.find((one) => one.id === at.parent)) if (made.includes(at)) ids.push(at.id);
  return ids;
}

function markBest(world) {
  const best = ancestors(world, world.best);
  for (const block of world.made) block.best_chain = best.includes(block.id);
}

/** The blocks on side branches. */
function stillWaiting(world) {
  const isMined = ancestors(world, world.best).some((id) => world.kinds.get(id).length);
  return isMined ? [] : world.waiting;
}

function real(headers) {
  const beside = headers.filter((header) => !header.best_chain).reverse();
  if (!beside.length) {
    return el(
      'p',
      {},
      `In the last ${counted(headers.length, 'block')} this node has seen no fork: every block reached every node in time.`,
    );
  }
  const rows = beside
    .slice(0, ROWS_MAX)
    .map((header) => [
      count(header.height),
      blockLink(header.id, short(header.id)),
      header.condemned ? 'refused' : 'on a side branch',
      ago(header.timestamp),
    ]);
  return [
    el('p', {}, `This node has ${counted(beside.length, 'block')} on side branches:`),
    table('Blocks on side branches', ['Height', 'Id', 'Why', 'Age'], rows),
  ];
}
