// A receipt on one sheet of paper: in words, and as a QR code.

import { request, whole } from '../app/api.js';
import { el, foreign } from '../app/dom.js';
import { bytes, count, short, time } from '../app/format.js';
import { button, coins, facts } from '../app/pieces.js';
import { qrPicture } from '../picture/qr.js';
import { addressText, amountText } from '../protocol/address.js';
import { unhex } from '../protocol/bytes.js';
import { verifyReceipt } from '../protocol/receipt.js';

/** So that all of it fits on the sheet. */
const SHOWN_CHARS_MAX = 400;
const SHOWN_LINES_MAX = 8;

/** The view of the transaction with this id. It is shown as the receipt proves it, whatever else the node says. */
export async function print([name]) {
  const path = `/transactions/${encodeURIComponent(name)}/receipt?form=witnessed`;
  const text = (await (await whole(await request(path))).text()).replace(/\s/g, '');
  const proven = verifyReceipt(text);
  const element = el(
    'div',
    {},
    el(
      'p',
      { class: 'buttons screen-only' },
      button('Print', () => globalThis.print(), { kind: 'main' }),
      el('a', { class: 'button', href: `#/transaction/${proven.id}` }, 'Back to the transaction'),
    ),
    sheet(text, proven),
  );
  return { title: `Receipt ${short(proven.id)}`, element };
}

function sheet(text, proven) {
  return el(
    'article',
    { class: 'card sheet' },
    el('h1', {}, 'Receipt ', el('small', {}, 'of the ledger ', el('code', {}, proven.network))),
    el('div', { class: 'sheet-says' }, proven.record ? recorded(proven.record) : transferred(proven.action.transfer)),
    facts([
      ['Signed by', el('code', {}, proven.sender)],
      ['Transaction', el('code', {}, proven.id)],
      ['In block', el('span', {}, count(proven.height), ' ', el('code', {}, proven.block))],
      ['Time', times(proven)],
      ['Genesis', el('code', {}, proven.genesis)],
    ]),
    el(
      'section',
      { class: 'sheet-tip', 'aria-label': 'The block to publish' },
      el('p', {}, `By itself, this sheet proves the signature. It proves the place and the time, too, if block ${count(proven.tip_height)} is known to be on the chain:`),
      el('p', { class: 'sheet-id' }, el('code', {}, proven.tip.match(/.{8}/g).join(' '))),
      el(
        'p',
        {},
        'Publish this id elsewhere, where others keep it and nobody changes it: in a newspaper, a mail to a notary, another ledger. Readers: compare it with the id that was published. The one on this sheet witnesses nothing.',
      ),
    ),
    el(
      'figure',
      { class: 'sheet-code' },
      qrPicture(text, 'QR code of the receipt'),
      el(
        'figcaption',
        {},
        'Scan it with verify.html, which needs no network: every quipu node has it at /verify.html, and ',
        el('code', {}, 'quipu verify-page'),
        ' makes it.',
      ),
    ),
  );
}

function times({ earliest, latest }) {
  const from = ['not before ', time(Number(earliest))];
  return el('span', {}, latest ? [...from, ', not after ', time(Number(latest))] : from);
}

function transferred({ to, amount }) {
  return el('p', {}, coins(amountText(BigInt(amount))), ' to ', el('code', {}, addressText(unhex(to))));
}

function recorded({ tags, content, content_hash: hash }) {
  const { text, json, file, bytes: raw } = content;
  const [said, isCut] = shortened(file ? file.name : (json ?? text ?? raw));
  return [
    el('p', { class: 'says' }, foreign(said), file ? ` (file, ${bytes(file.size)})` : null),
    isCut ? el('p', { class: 'hint' }, 'Shortened here. The code has all of it.') : null,
    tags.length ? el('p', {}, tags.map((tag) => el('span', { class: 'tag' }, foreign(tag)))) : null,
    el('p', { class: 'hint' }, 'SHA-256 ', el('code', {}, hash)),
  ];
}

/** The beginning, and whether that is not all. */
function shortened(text) {
  const start = text.split('\n').slice(0, SHOWN_LINES_MAX).join('\n').slice(0, SHOWN_CHARS_MAX);
  const isCut = start.length < text.length;
  return [isCut ? `${start.toWellFormed()}…` : text, isCut];
}
