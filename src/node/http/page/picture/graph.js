// This node and its peers as a graph: one cord to each, its length of no meaning. Colours tell on which chain each was
// when it was last heard, so a network in two parts is seen to be one.

import { el, svg } from '../app/dom.js';
import { shortPeer } from '../app/format.js';

const WIDTH = 360;
const HEIGHT = 230;
/** Peers on the innermost ring; each further ring has room for so many more. */
const RING_PEERS = 10;
const RING_MORE = 8;
/** From ring to ring, across and up. */
const RING_X = 96;
const RING_Y = 64;
const NAME_CHARS_MAX = 14;
/** Where names would overlap. */
const CROWD_NAME_CHARS_MAX = 8;
/** Other chains that have a colour of their own. */
const OTHERS_MAX = 3;

/** A peer's name: its owner's, or the end of its id. Both are text from elsewhere. */
export function peerName(peer) {
  return peer.name || shortPeer(peer.peer_id);
}

/** The meaning of the colours. */
export function graphLegend() {
  const items = [
    ['level', 'on our chain'],
    ['other-0', 'on another chain'],
    ['unknown', 'not heard yet'],
  ];
  const one = ([kind, text]) => el('li', {}, el('span', { class: `swatch ${kind}`, 'aria-hidden': 'true' }), text);
  return el('ul', { class: 'legend' }, items.map(one));
}

/**
 * Of each peer the class of its colour, by its id. `headers` are the newest ones that this node knows. Peers report
 * their tips now and then, so an old tip of our own chain is no fault; a tip that we do not know is of another chain.
 */
export function chainsOf(peers, headers) {
  const known = new Map(headers.map((header) => [header.id, header]));
  const lowest = headers.length ? headers[0].height : 0;
  const others = [];
  const kinds = new Map();
  for (const { peer_id: id, height, tip } of peers) {
    const isOld = height !== null && height < lowest;
    const isOurs = known.get(tip)?.best_chain || isOld;
    if (!tip) kinds.set(id, 'unknown');
    else if (isOurs) kinds.set(id, 'level');
    else {
      if (!others.includes(tip)) others.push(tip);
      kinds.set(id, `other-${Math.min(others.indexOf(tip), OTHERS_MAX - 1)}`);
    }
  }
  return kinds;
}

/** A picture of all `peers` around the node `name`, in the colours of `kinds`. */
export function peersGraph(name, peers, kinds) {
  const rings = ringsOf(peers);
  const [width, height] = [WIDTH + 2 * RING_X * (rings.length - 1), HEIGHT + 2 * RING_Y * (rings.length - 1)];
  const center = { x: width / 2, y: height / 2 - 6 };
  const chars = peers.length > RING_PEERS ? CROWD_NAME_CHARS_MAX : NAME_CHARS_MAX;
  const places = rings.flatMap((ring, number) =>
    ring.map((peer, at) => {
      // One or two stand at the sides, where there is more room; every other ring is turned by half a step.
      const start = peers.length < 3 ? 0 : -Math.PI / 2;
      const angle = start + ((at + (number % 2) / 2) / ring.length) * 2 * Math.PI;
      const [across, up] = [126 + number * RING_X, 74 + number * RING_Y];
      return { peer, x: center.x + across * Math.cos(angle), y: center.y + up * Math.sin(angle) };
    }),
  );
  const label = peers.length ? `connected to ${peers.map(peerName).join(', ')}` : 'connected to nobody';
  return svg(
    'svg',
    { class: 'graph', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${name}, ${label}` },
    places.map(({ x, y, peer }) => tie(center, x, y, peer)),
    places.map(({ x, y, peer }) => knot(x, y, cut(peerName(peer), chars), kinds.get(peer.peer_id), 11)),
    knot(center.x, center.y, cut(name, NAME_CHARS_MAX), 'self', 17),
  );
}

/** The peers of each ring, the innermost first. */
function ringsOf(peers) {
  const rings = [];
  for (let [from, room] = [0, RING_PEERS]; from < peers.length; room += RING_MORE) {
    rings.push(peers.slice(from, from + room));
    from += room;
  }
  return rings.length ? rings : [[]];
}

function tie(center, x, y, peer) {
  const bend = peer.direction === 'inbound' ? 14 : -14;
  const [middleX, middleY] = [(center.x + x) / 2, (center.y + y) / 2 + bend];
  return svg('path', { class: 'tie', d: `M${center.x} ${center.y}Q${middleX} ${middleY} ${x} ${y}` });
}

function knot(x, y, name, kind, r) {
  return svg(
    'g',
    { class: `peer ${kind}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    svg('circle', { r }),
    svg('text', { y: r + 14, 'text-anchor': 'middle' }, name),
  );
}

function cut(text, most) {
  const characters = [...text];
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : text;
}
