// The verifier without a node: this and what it imports make one file, which opens from a disk and asks nobody anything.

import { el, fill } from '../app/dom.js';
import { button, field } from '../app/pieces.js';
import { RECEIPT_BYTES_MAX, Refuted, verifyReceipt } from '../protocol/receipt.js';
import { fileDrop } from '../views/drop.js';
import { reasonText, refutation } from '../views/reasons.js';
import { cameraReader } from './camera.js';
import { isImpostor } from './networks.js';
import { isPicture, readPicture } from './picture.js';
import { published, publishedProblem } from './published.js';
import { placeCard, signedCards, verdict } from './verdict.js';

const outcome = el('div', { 'aria-live': 'polite', class: 'outcome' });
const witness = el('input', {
  class: 'published',
  autocomplete: 'off',
  autocapitalize: 'off',
  spellcheck: 'false',
  placeholder: '64 hex digits',
});
const complaint = el('p', { class: 'hint', role: 'status' });
/** Draws what depends on the published id once more, if a receipt was proven. */
let drawStanding = () => {};

fill(
  document.getElementById('main'),
  el('h1', {}, 'Verify a receipt'),
  el(
    'p',
    {},
    'A receipt proves who signed what, and how much work confirms it. It is checked in this file: no node is asked, and nothing leaves this device.',
  ),
  el('section', { class: 'card' }, receiptDrop(), cameraReader(judge), pasteArea()),
  el(
    'section',
    { class: 'card' },
    field(
      'Published block id (optional)',
      witness,
      'One that you know from elsewhere: a newspaper, a mail, a colleague’s node. Do not take it from the receipt.',
    ),
    complaint,
  ),
  outcome,
);

witness.addEventListener('input', () => {
  fill(complaint, publishedProblem(witness.value));
  drawStanding();
});

function receiptDrop() {
  const take = async (file, say) => {
    if (isPicture(file)) {
      say('Looking for a QR code …');
      await nextFrame();
      const text = await readPicture(file);
      say('');
      return judge(text);
    }
    if (file.size > RECEIPT_BYTES_MAX) throw new Error(reasonText('too_long'));
    return judge(await file.text());
  };
  return fileDrop('Drop a receipt, or a picture of its QR code', take, { accept: '.json,application/json,image/*' });
}

function pasteArea() {
  const area = el('textarea', { spellcheck: 'false', autocomplete: 'off' });
  return el(
    'details',
    { class: 'paste' },
    el('summary', {}, 'Paste a receipt’s text'),
    field('Text of the receipt', area),
    button('Verify', () => judge(area.value), { kind: 'main' }),
  );
}

/** Verifies a text, and says what it proves. */
async function judge(text) {
  drawStanding = () => {};
  fill(outcome, el('p', {}, 'Verifying …'));
  await nextFrame();
  try {
    const proven = verifyReceipt(text);
    if (isImpostor(proven)) throw new Refuted('not_built_in');
    show(proven);
  } catch (error) {
    // A foreign text that fails in another way is no proof either.
    fill(outcome, refutation(error instanceof Refuted ? error : { reason: 'form', unreadable: true }));
  }
  outcome.scrollIntoView({ block: 'start' });
}

function show(proven) {
  const [first, last] = [el('div'), el('div')];
  drawStanding = () => {
    const known = published(witness.value);
    fill(first, verdict(proven, known));
    fill(last, placeCard(proven, known));
  };
  drawStanding();
  fill(outcome, first, signedCards(proven), last);
}

/** Done when the browser has drawn what it was told. */
function nextFrame() {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}
