// The chain as a quipu: a cord, a bead for each block, and from each block a string with a knot for each transaction.
//
// The best chain is the straight cord; branches stand above it. A shape that changes its place moves there, so that a
// block
// is seen to arrive, and a reorganisation to happen.

import { svg } from '../app/dom.js';
import { counted, short } from '../app/format.js';
import { layOut } from './layout.js';

const COLUMN = 76;
const LANE = 62;
/** Half of a bead, across and up. */
const BEAD = 26;
const BEAD_RISE = 18;
const ID_DIGITS = 6;
const KNOTS_MAX = 7;
const KNOT_STEP = 13;
/** Room for the heap of what waits, at the right. */
const HEAP_WIDTH = 108;
const HEAP_COLUMNS = 6;
const MOVE_MILLIS = 450;
/** The transactions that are drawn of those that wait. */
export const HEAP_KNOTS_MAX = 42;
/** Blocks at once that the eye can follow. */
const JUMP_MAX = 3;

/** A picture that is updated in place: unchanged parts are not touched, so that a motion is not cut short. */
export class Cord {
  /** The last place of each block. */
  #spots = new Map();
  /** The elements of each block, and the values that they were made of. */
  #beads = new Map();
  #top = null;
  #ground = svg('g');
  #blocks = svg('g');

  constructor() {
    const label = 'The newest blocks as a tree';
    this.element = svg('svg', { class: 'cord', role: 'group', 'aria-label': label }, this.#ground, this.#blocks);
  }

  /**
   * Draws headers, what is known of their transactions (by block id), and what waits: how many, and the first of them.
   * `width` is in pixels.
   */
  draw({ headers, kinds, pending, width }) {
    const columns = Math.max(2, Math.floor((width - HEAP_WIDTH) / COLUMN));
    const { places, hidden } = layOut(headers, columns);
    const lanes = places.reduce((most, place) => Math.max(most, place.lane), 0);
    const base = 44 + lanes * LANE;
    const rows = depth(places, kinds, pending);
    const height = base + 44 + rows * KNOT_STEP;
    const spots = new Map(places.map((place) => [place.header.id, spot(place, base)]));
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, height, width })) {
      this.element.setAttribute(name, value);
    }
    const last = places.filter((place) => place.lane === 0).at(-1);
    const heap = { x: last ? spots.get(last.header.id).x + COLUMN : COLUMN, y: base };
    const note = hidden
      ? [svg('text', { x: 8, y: 16, class: 'faint' }, `${counted(hidden, 'more block')} on side branches`)]
      : [];
    this.#ground.replaceChildren(cordLine(base, heap.x), drawHeap(pending, heap, rows), ...note);
    this.#place(places, spots, kinds, heap);
  }

  /** Puts every bead in its place. A known bead moves there; a new one drops in, its knots from the heap. */
  #place(places, spots, kinds, heap) {
    const top = places.at(-1)?.header.height ?? 0;
    // After a long jump there is nothing to follow with the eye.
    const isNear = this.#top !== null && Math.abs(top - this.#top) <= JUMP_MAX && this.#spots.size > 0;
    const isLively = isNear && !matchMedia('(prefers-reduced-motion: reduce)').matches;
    const beads = new Map();
    for (const place of places) {
      const { id } = place.header;
      const node = this.#bead(place, spots, kinds.get(id));
      beads.set(id, node);
      const [from, to] = [this.#spots.get(id), spots.get(id)];
      if (!isLively) continue;
      if (!from) arrive(node.element, to, heap);
      else if (from.x !== to.x || from.y !== to.y) slide(node.element, from, to);
    }
    reorder(
      this.#blocks,
      [...beads.values()].map(({ element }) => element),
    );
    this.#beads = beads;
    this.#spots = spots;
    this.#top = top;
  }

  #bead(place, spots, kinds) {
    const { header, lane } = place;
    const { x, y } = spots.get(header.id);
    const parent = spots.get(header.parent);
    const from = lane > 0 ? { x: (parent?.x ?? x - COLUMN) - x, y: (parent?.y ?? y) - y } : null;
    const madeOf = JSON.stringify([header.best_chain, header.condemned, kinds, from]);
    const old = this.#beads.get(header.id);
    const node = old?.madeOf === madeOf ? old : { madeOf, element: bead(header, from, kinds) };
    node.element.setAttribute('transform', `translate(${x} ${y})`);
    return node;
  }
}

/** Makes these the children, in this order, and moves none that is in its place. */
function reorder(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
}

/** Rows of knots below the cord. */
function depth(places, kinds, pending) {
  const longest = places.reduce((most, { header }) => Math.max(most, kinds.get(header.id)?.length ?? 0), 0);
  const heap = Math.ceil(Math.min(pending.length, HEAP_KNOTS_MAX) / HEAP_COLUMNS);
  return Math.min(KNOTS_MAX + (longest > KNOTS_MAX ? 1 : 0), Math.max(3, longest, heap));
}

function spot({ column, lane }, base) {
  return { x: 40 + column * COLUMN, y: base - lane * LANE };
}

/** The straight cord, from the left edge to the heap. */
function cordLine(base, to) {
  return svg('path', { class: 'main-cord', d: `M0 ${base}H${to - 20}` });
}

/** A block: a link with its bead, its string, and the branch to its parent, if it is not on the cord. */
function bead(header, from, kinds) {
  const beside = header.best_chain ? '' : header.condemned ? ', refused' : ', on a side branch';
  const known = kinds ? ` with ${counted(kinds.length, 'transaction')}` : '';
  const digits = short(header.id).slice(0, ID_DIGITS);
  const state = header.best_chain ? 'best' : header.condemned ? 'condemned' : 'beside';
  return svg(
    'g',
    { class: `block ${state}`, 'data-id': header.id, 'data-height': header.height },
    from ? branchLine(from) : null,
    header.best_chain ? strings(kinds ?? []) : null,
    svg(
      'a',
      { href: `#/block/${header.id}`, 'aria-label': `${header.height} ${digits}, block${known}${beside}` },
      svg('rect', { class: 'bead', x: -BEAD, y: -BEAD_RISE, width: 2 * BEAD, height: 2 * BEAD_RISE, rx: 11 }),
      svg('text', { class: 'height', y: -1, 'text-anchor': 'middle' }, header.height),
      ' ',
      svg('text', { class: 'id', y: 11, 'text-anchor': 'middle' }, digits),
    ),
  );
}

/** From the parent's edge: its side in the same lane, else its top. */
function branchLine({ x, y }) {
  if (y === 0) return svg('path', { class: 'branch', d: `M${x + BEAD} 0H${-BEAD}` });
  return svg('path', { class: 'branch', d: `M${x} ${y - BEAD_RISE}C${x} ${y / 3} ${x + 14} 0 ${-BEAD} 0` });
}

/** A string with a knot for each transaction but the reward. */
function strings(kinds) {
  if (!kinds.length) return null;
  const knots = kinds.slice(0, KNOTS_MAX);
  const end = 18 + knots.length * KNOT_STEP;
  const more = kinds.length - knots.length;
  return svg(
    'g',
    { class: 'string', 'aria-hidden': 'true' },
    svg('path', { class: 'thread', d: `M0 18V${end + 4}` }),
    knots.map((kind, at) => svg('circle', { class: `knot ${kind}`, cy: 18 + (at + 1) * KNOT_STEP - 2, r: 4.5 })),
    more > 0 ? svg('text', { class: 'faint', y: end + 18, 'text-anchor': 'middle' }, `+${more}`) : null,
  );
}

/** The pending transactions. */
function drawHeap(pending, { x, y }, rows) {
  const knots = pending.transactions.slice(0, HEAP_KNOTS_MAX);
  const text = pending.length ? `${pending.length} waiting` : 'none waiting';
  return svg(
    'g',
    { class: 'heap', transform: `translate(${x} ${y})`, role: 'img', 'aria-label': `Transactions: ${text}` },
    svg('rect', { class: 'heap-box', x: -20, y: -18, width: 96, height: 36 + rows * KNOT_STEP, rx: 11 }),
    svg('text', { class: 'faint', x: 28, y: 2, 'text-anchor': 'middle', 'font-size': '10' }, text),
    knots.map((row, at) =>
      svg('circle', {
        class: `knot ${row.type}`,
        cx: -10 + (at % HEAP_COLUMNS) * 13,
        cy: 20 + Math.floor(at / HEAP_COLUMNS) * 13,
        r: 4.5,
      }),
    ),
  );
}

function slide(bead, from, to) {
  const path = [from, to].map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` }));
  bead.animate(path, { duration: MOVE_MILLIS, easing: 'ease-in-out' });
}

function arrive(bead, to, heap) {
  const here = `translate(${to.x}px, ${to.y}px)`;
  bead.animate(
    [
      { transform: `${here} scale(0.4)`, opacity: 0 },
      { transform: `${here} scale(1)`, opacity: 1 },
    ],
    { duration: MOVE_MILLIS, easing: 'ease-out' },
  );
  const [x, y] = [heap.x - to.x, heap.y - to.y];
  bead.querySelectorAll('.knot').forEach((knot, at) => {
    const path = [{ transform: `translate(${x}px, ${y}px)` }, { transform: 'none' }];
    knot.animate(path, { duration: MOVE_MILLIS, delay: 60 * at, fill: 'backwards', easing: 'ease-in' });
  });
}
