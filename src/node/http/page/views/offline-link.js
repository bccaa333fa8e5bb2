// Where to get the verifier that needs no node.

import { el } from '../app/dom.js';

/** A sentence with a link to the file. */
export function offlineLink() {
  return el(
    'p',
    { class: 'hint' },
    'For readers without a node: ',
    el('a', { href: '/verify.html', download: 'verify.html' }, 'verify.html'),
    ', one file that does this without a network, and scans the codes of printed receipts.',
  );
}
