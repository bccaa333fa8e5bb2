// All that a text may mean: blocks, transactions, accounts, tags, and records that say it.

import { get, query as queryText } from '../app/api.js';
import { el, foreign } from '../app/dom.js';
import { count, counted, short } from '../app/format.js';
import { nameOf, table } from '../app/parts.js';
import { placeOfHit } from '../app/search.js';

/** The view. `?q=` is the text. */
export async function search(_, { query }) {
  const text = query.get('q') ?? '';
  const { hits, complete, records_read: read } = await get(`/search${queryText({ q: text })}`);
  const element = el(
    'div',
    {},
    el('p', { class: 'kicker' }, 'Search'),
    el('h1', {}, '“', foreign(text), '”'),
    el('section', { class: 'card' }, hits.length ? hitsTable(hits) : el('p', { class: 'faint' }, 'Nothing found.')),
    complete ? null : el('p', { class: 'faint' }, `There may be more: the newest ${counted(read, 'record')} were read.`),
  );
  return { title: `Search for ${text}`, element };
}

function hitsTable(hits) {
  const rows = hits.map((hit) => [
    el('span', { class: `kind ${hit.kind}` }, hit.kind),
    el('a', { href: placeOfHit(hit), class: hit.kind === 'tag' ? 'tag' : 'id', title: hit.id }, shown(hit)),
    hit.text ? el('span', { class: 'says' }, foreign(hit.text)) : accountName(hit),
    hit.height === null ? (hit.kind === 'record' ? 'waits' : '') : count(hit.height),
  ]);
  return table('What was found, the most exact first', ['Kind', 'Id', 'Says', 'Block'], rows);
}

function shown({ kind, id }) {
  if (kind === 'tag') return foreign(id);
  return kind === 'account' ? id : short(id);
}

function accountName({ kind, id }) {
  const name = kind === 'account' ? nameOf(id) : null;
  return name ? foreign(name) : '';
}
