// Verifies receipts beside the page: one with tens of thousands of headers takes a while, and the page must not stand still.

import { Refuted, hasBlock, verifyReceipt } from './receipt.js';

addEventListener('message', ({ data: { text, witness } }) => {
  try {
    const proven = verifyReceipt(text);
    // Where no work is shown, those who know another block than the last one learn nothing of the blocks above it.
    const counts = proven.form !== 'witnessed' || witness === proven.tip;
    postMessage({ proven, isWitnessed: witness ? counts && hasBlock(proven, witness) : null });
  } catch (error) {
    const known = error instanceof Refuted;
    postMessage({ reason: known ? error.reason : 'form', unreadable: known ? error.unreadable : true });
  }
});
