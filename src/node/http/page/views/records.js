// Records on the chain: by tag, sender, time, or by a file's fingerprint.

import { get, query as queryText } from '../app/api.js';
import { el, fill, foreign, refill } from '../app/dom.js';
import { ago, bytes, count } from '../app/format.js';
import { hashFile } from '../app/file.js';
import { calmly, live } from '../app/live.js';
import { accountLink, blockLink, button, field, problem, transactionLink } from '../app/parts.js';
import { fileDrop } from './drop.js';
import { tagLink } from './record.js';

const PAGE_ROWS = 20;
const FILTERS = ['tag', 'from', 'since', 'sha256'];

/** The view. Its address holds the filters, so that a search can be kept and passed on. */
export async function records(_, { query, signal }) {
  const wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? '']));
  const list = el('div');
  const more = el('p', { class: 'buttons' });
  let pages = 0;
  let all = [];
  const fetchPage = async (before) => {
    const page = await get(`/records${queryText({ ...wanted, limit: PAGE_ROWS, before })}`);
    pages = before ? pages + 1 : 1;
    all = before ? [...all, ...page.records] : page.records;
    refill(list, [all, [...live.aliases]], () => (all.length ? all.map(card) : nothing(wanted, query.get('name'))));
    const older = () => fetchPage(page.next).catch((error) => fill(more, problem(error)));
    refill(more, page.next, () => (page.next ? button('Older', older) : []));
  };
  await fetchPage('').catch((error) => fill(list, problem(error)));
  live.on(
    'tip',
    calmly(() => (pages <= 1 ? fetchPage('') : null)),
    signal,
  );
  const element = el('div', {}, el('h1', {}, 'Records'), filterForm(wanted), fileSearch(), list, more);
  return { title: 'Records', element };
}

function filterForm(wanted) {
  const inputs = {
    tag: el('input', { value: wanted.tag, placeholder: 'lot-17', autocomplete: 'off' }),
    from: el('input', { value: wanted.from, placeholder: '0x…', autocomplete: 'off', spellcheck: 'false' }),
    since: el('input', { value: wanted.since, placeholder: '2026-11-21, or 7d', autocomplete: 'off' }),
    sha256: el('input', {
      value: wanted.sha256,
      placeholder: '64 hex digits',
      autocomplete: 'off',
      spellcheck: 'false',
    }),
  };
  const submit = (event) => {
    event.preventDefault();
    const values = Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]);
    location.hash = `#/records${queryText(Object.fromEntries(values))}`;
  };
  return el(
    'form',
    { class: 'card', on: { submit }, 'aria-label': 'Search records' },
    el(
      'div',
      { class: 'row' },
      field('Tag', inputs.tag),
      field('Signed by', inputs.from),
      field('Since', inputs.since),
      field('SHA-256', inputs.sha256),
    ),
    el(
      'p',
      { class: 'buttons' },
      el('button', { class: 'main' }, 'Search'),
      el('a', { href: '#/records' }, 'All records'),
    ),
  );
}

function fileSearch() {
  return fileDrop('Drop a file to see whether it was recorded', async (file, say) => {
    const sha256 = await hashFile(file, (percent) => say(`Hashing: ${percent} %`));
    location.hash = `#/records${queryText({ sha256, name: file.name })}`;
  });
}

function nothing(wanted, name) {
  if (!wanted.sha256) return el('p', { class: 'faint' }, 'No record is like that.');
  const what = name ? ['“', foreign(name), '”'] : 'What has this fingerprint';
  return el(
    'p',
    { class: 'problem', role: 'alert' },
    what,
    ' was not recorded on this chain: neither it nor a text like it.',
  );
}

function card(record) {
  return el(
    'article',
    { class: 'card record' },
    said(record),
    record.tags.length ? el('p', {}, record.tags.map(tagLink)) : null,
    el(
      'p',
      { class: 'faint meta' },
      accountLink(record.sender),
      ' in block ',
      blockLink(record.block, count(record.height)),
      ', ',
      ago(record.timestamp),
      ', ',
      transactionLink(record.id),
    ),
  );
}

function said({ text, file, json, hex }) {
  if (file)
    return el(
      'p',
      { class: 'says' },
      el('strong', {}, foreign(file.name)),
      ` ${bytes(file.size)} `,
      el('code', {}, file.sha256),
    );
  if (text !== null) return el('p', { class: 'says' }, foreign(text));
  if (hex !== null) return el('p', {}, el('code', { class: 'bytes' }, hex));
  return el('pre', { class: 'says' }, foreign(json));
}
