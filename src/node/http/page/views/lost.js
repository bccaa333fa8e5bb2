// Transactions of the node's own wallets that can no longer be mined, and the button that has their content signed again.

import { find, post } from '../app/api.js';
import { el, fill, foreign } from '../app/dom.js';
import { counted, short } from '../app/format.js';
import { live } from '../app/live.js';
import { button, copyable, facts, problem, section, transactionLink } from '../app/parts.js';
import { rowSummary } from './transaction.js';

/** The lost transactions, the newest first. */
export async function lostTransactions() {
  return (await find('/lost')) ?? [];
}

/** Those that were not sent again, in a line with a link; nothing if there is none. */
export function lostLine(lost) {
  const open = lost.filter(({ again }) => !again);
  if (open.length === 0) return [];
  const text = `${counted(open.length, 'transaction')} of yours ${open.length === 1 ? 'is' : 'are'} lost and will never be mined. `;
  return [el('span', {}, text), el('a', { href: '#/waiting' }, 'See which, and send again')];
}

/** A section with all of them; nothing if there is none. `changed` hears of each that was sent again. */
export function lostSection(lost, changed) {
  if (lost.length === 0) return null;
  return section(
    'Lost',
    el('p', {}, 'This node had taken these, and they can no longer be mined. The same content can be signed once more.'),
    lost.map((row) => lostRow(row, changed)),
  );
}

/** One of them: the reason, and the button or what it was sent again as. */
export function lostRow(row, changed) {
  const answer = el('div', { role: 'status' });
  const send = async (event) => {
    event.target.disabled = true;
    try {
      const { id } = await post(`/lost/${row.id}/again`, {}, { patient: true });
      fill(answer, 'Sent again as ', transactionLink(id), '.');
      changed(id);
      live.dispatchEvent(new Event('again'));
    } catch (error) {
      event.target.disabled = false;
      fill(answer, problem(error));
    }
  };
  const next = row.again
    ? el('p', {}, 'Sent again as ', transactionLink(row.again), '.')
    : el('p', { class: 'buttons' }, button('Sign it again', send, { kind: 'main', 'aria-label': `Sign ${short(row.id)} again` }));
  return el(
    'div',
    { class: 'lost-one' },
    facts([
      ['Id', copyable(row.id, 'id')],
      ['What', rowSummary(row)],
      ['Why', foreign(row.reason)],
    ]),
    next,
    answer,
  );
}
