// The connected peers, and a way to reach more.

import { get, json, post, request } from '../app/api.js';
import { el, fill, foreign, refill } from '../app/dom.js';
import { count, shortPeer } from '../app/format.js';
import { calmly, live } from '../app/live.js';
import { button, field, problem, section, table } from '../app/parts.js';
import { chainsOf, graphLegend, peerName, peersGraph } from '../picture/graph.js';

/** Heights among which the peers’ tips are looked for. */
const HEADERS = 120;

/** The view. */
export async function peers(_, { signal }) {
  const graph = el('div');
  const rows = el('div');
  const refresh = async () => {
    const [list, headers] = await Promise.all([get('/peers'), get(`/headers?limit=${HEADERS}`)]);
    const { name } = live.status ?? (await get('/status'));
    const kinds = chainsOf(list, headers);
    refill(graph, [name, list, [...kinds]], () => [peersGraph(name, list, kinds), graphLegend()]);
    refill(rows, list, () => (list.length ? peersTable(list) : nobody()));
  };
  await refresh();
  live.on('peers status', calmly(refresh), signal);
  const element = el(
    'div',
    {},
    el('h1', {}, 'Peers'),
    el('div', { class: 'two' }, section('Connected', rows), section('Map', graph)),
    section('Connect', connectForm()),
    section('Sync now', resolveForm()),
  );
  return { title: 'Peers', element };
}

function nobody() {
  const text = 'Nobody is connected. Another node on this network is found by itself.';
  return el('p', { class: 'faint' }, text);
}

function peersTable(list) {
  const cells = list.map((peer) => [
    foreign(peerName(peer)),
    el('code', { title: peer.peer_id }, shortPeer(peer.peer_id)),
    peer.height === null ? '—' : count(peer.height),
    peer.ping_ms === null ? '—' : `${peer.ping_ms} ms`,
    peer.direction === 'inbound' ? 'in' : 'out',
    el('code', {}, peer.address),
    foreign(peer.agent),
  ]);
  return table('Connected peers', ['Name', 'Id', 'Height', 'Ping', 'Direction', 'Address', 'Software'], cells);
}

function connectForm() {
  const input = el('input', {
    placeholder: '/ip4/192.168.1.5/tcp/7787',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
  });
  const answer = el('div', { role: 'status' });
  const submit = async (event) => {
    event.preventDefault();
    fill(answer, 'Calling …');
    try {
      const peer = await post('/peers', { address: input.value.trim() }, { patient: true });
      fill(answer, el('p', { class: 'good-news' }, 'Connected to ', foreign(peerName(peer)), '.'));
    } catch (error) {
      fill(answer, problem(error));
    }
  };
  return el(
    'form',
    { on: { submit } },
    field('Address', input, 'A libp2p multiaddress, as the other node shows it when it starts'),
    el('p', { class: 'buttons' }, el('button', { class: 'main' }, 'Connect')),
    answer,
  );
}

function resolveForm() {
  const answer = el('div', { role: 'status' });
  const act = async () => {
    fill(answer, 'Asking …');
    try {
      const { replaced, answered, asked, tip } = await json(await request('/resolve', { method: 'POST', patient: true }));
      const words = replaced
        ? `Our chain was replaced; it now ends at ${count(tip.height)}.`
        : 'Our chain is the best one.';
      fill(answer, el('p', { class: 'good-news' }, `${answered} of ${asked} answered. ${words}`));
    } catch (error) {
      fill(answer, problem(error));
    }
  };
  return [
    el('p', {}, 'Nodes announce new blocks to each other automatically. This button asks every peer for its chain now.'),
    el('p', { class: 'buttons' }, button('Ask every peer', act)),
    answer,
  ];
}
