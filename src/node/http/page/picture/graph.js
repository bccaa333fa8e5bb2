// This node and its peers as a graph: one cord to each, its length of no meaning.

import { el, svg } from '../app/dom.js';
import { shortPeer } from '../app/format.js';

const WIDTH = 360;
const HEIGHT = 230;
/** More are counted, not drawn. */
const PEERS_MAX = 12;
const NAME_CHARS_MAX = 14;

/** A peer's name: its owner's, or the end of its id. Both are text from elsewhere. */
export function peerName(peer) {
  return peer.name || shortPeer(peer.peer_id);
}

/** The meaning of the colours. */
export function graphLegend() {
  const items = [
    ['level', 'has our height, or more'],
    ['behind', 'is below'],
  ];
  const one = ([kind, text]) => el('li', {}, el('span', { class: `swatch ${kind}`, 'aria-hidden': 'true' }), text);
  return el('ul', { class: 'legend' }, items.map(one));
}

/** A picture of `peers` around the node `name` at `height`. */
export function peersGraph(name, height, peers) {
  const shown = peers.slice(0, PEERS_MAX);
  const places = shown.map((peer, at) => {
    // One or two stand at the sides, where there is more room.
    const start = shown.length < 3 ? 0 : -Math.PI / 2;
    const angle = start + (at / shown.length) * 2 * Math.PI;
    return { peer, x: WIDTH / 2 + 126 * Math.cos(angle), y: HEIGHT / 2 - 6 + 74 * Math.sin(angle) };
  });
  const label = shown.length ? `connected to ${shown.map(peerName).join(', ')}` : 'connected to nobody';
  return svg(
    'svg',
    { class: 'graph', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${name}, ${label}` },
    places.map(({ x, y, peer }) => tie(x, y, peer)),
    places.map(({ x, y, peer }) => knot(x, y, cut(peerName(peer)), at(peer, height), 11)),
    knot(WIDTH / 2, HEIGHT / 2 - 6, cut(name), 'self', 17),
    peers.length > shown.length
      ? svg('text', { class: 'faint', x: 8, y: 16 }, `+${peers.length - shown.length}`)
      : null,
  );
}

function at(peer, height) {
  return peer.height === null ? 'unknown' : peer.height >= height ? 'level' : 'behind';
}

function tie(x, y, peer) {
  const [x0, y0] = [WIDTH / 2, HEIGHT / 2 - 6];
  const bend = peer.direction === 'inbound' ? 14 : -14;
  return svg('path', { class: 'tie', d: `M${x0} ${y0}Q${(x0 + x) / 2} ${(y0 + y) / 2 + bend} ${x} ${y}` });
}

function knot(x, y, name, kind, r) {
  return svg(
    'g',
    { class: `peer ${kind}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    svg('circle', { r }),
    svg('text', { y: r + 14, 'text-anchor': 'middle' }, name),
  );
}

function cut(text) {
  const characters = [...text];
  return characters.length > NAME_CHARS_MAX ? `${characters.slice(0, NAME_CHARS_MAX - 1).join('')}…` : text;
}
