// Verifies receipts beside the page: one with a million headers takes a while, and the page must not stand still.

import { Refuted, verifyReceipt } from './receipt.js';

addEventListener('message', ({ data }) => {
  try {
    postMessage({ proven: verifyReceipt(data) });
  } catch (error) {
    const known = error instanceof Refuted;
    postMessage({ reason: known ? error.reason : 'form', unreadable: known ? error.unreadable : true });
  }
});
