// Send coins.

import { TUTORIAL_SEND } from '../app/api.js';
import { el } from '../app/dom.js';
import { live } from '../app/live.js';
import { accountLink, coins, field, section } from '../app/parts.js';
import { addressText, amountText, parseAddress, parseAmount } from '../protocol/address.js';
import { hex, unhex } from '../protocol/bytes.js';
import { signing } from './signing.js';

/** The view. `?to=` fills in the receiver. */
export async function send(_, { query, signal }) {
  const to = el('input', {
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: '0x…',
    value: query.get('to') ?? '',
  });
  const amount = el('input', { inputmode: 'decimal', autocomplete: 'off', placeholder: '2.5' });
  const makeAction = () => {
    const units = parseAmount(amount.value.trim());
    if (units === 0n) throw new Error('the amount must be more than 0');
    return { transfer: { to: hex(parseAddress(addressNamed(to.value.trim()))), amount: units.toString() } };
  };
  const describe = ({ transfer }) => [
    ['Send', coins(amountText(BigInt(transfer.amount)))],
    ['To', accountLink(addressText(unhex(transfer.to)), true)],
  ];
  // The route of tutorials sends coins of the node's wallets.
  const askNode = ({ wallet, fee }) => {
    const recipient = addressNamed(to.value.trim());
    const body = JSON.stringify({ sender: wallet, recipient, amount: amount.value.trim(), fee });
    return { path: TUTORIAL_SEND, body };
  };
  const signer = await signing({ makeAction, describe, askNode, signal });
  const element = el(
    'form',
    { on: { submit: signer.review } },
    el('h1', {}, 'Send coins'),
    el(
      'div',
      { class: 'halves' },
      section(
        'What',
        field('To', to, 'An address, or a name that this node knows it by'),
        field('Amount', amount, 'Coins, with up to 8 decimals'),
      ),
      signer.form,
    ),
    signer.outcome,
  );
  return { title: 'Send coins', element };
}

/** The address that a name stands for at this node; the text itself if it is none. */
function addressNamed(text) {
  for (const [address, name] of live.aliases) if (name === text.normalize('NFC')) return address;
  return text;
}
