// The way of a transaction from a wish to the chain: choose a wallet, review, sign, send.
//
// Keys and passwords stay on this page. It sends the encoded transaction and its signature, nothing else. Where
// the browser can't sign, the bytes are handed out, and the signature is taken in.

import { get, post } from '../app/api.js';
import { el, fill } from '../app/dom.js';
import { counted, short } from '../app/format.js';
import { accountLink, button, coins, facts, field, problem, save, section, transactionLink } from '../app/parts.js';
import { addressOf, amountText, parseAmount } from '../protocol/address.js';
import { hex } from '../protocol/bytes.js';
import { TRANSACTION, encode } from '../protocol/encode.js';
import { signingBytes, transactionId } from '../protocol/transaction.js';
import { isEncrypted, openWallet, signingProblem } from '../protocol/wallet.js';
import { miningControls } from './mining.js';
import { nodeReview, nodeWallets, walletFiles, walletHint, walletLabel, walletPaths } from './node-wallet.js';

/** Longer files are no wallets. */
const WALLET_BYTES_MAX = 64 << 10;

/**
 * The second half of a form. `makeAction()` gives the action that the first half describes, or throws; `describe(action)`
 * gives rows about it; `askNode({ wallet, fee })` gives the request that has a wallet of the node sign it, as `{ path,
 * body }`. `review` takes the form's submission; what comes of it is in `outcome`.
 */
export async function signing({ makeAction, describe, askNode, signal }) {
  const [trouble, own, files] = await Promise.all([signingProblem(), nodeWallets(), walletFiles()]);
  const fee = el('input', { inputmode: 'decimal', autocomplete: 'off', placeholder: '0' });
  const wallet = signerChoice(own, trouble ? outsideKey(trouble) : walletFields(files));
  const outcome = el('div', { role: 'status' });
  const review = async (event) => {
    event.preventDefault();
    fill(outcome, 'One moment …');
    try {
      const action = makeAction();
      const key = await wallet.open();
      if (key.wallet) {
        const [rows, paid] = [describe(action), fee.value.trim()];
        const sent = (id) => fill(outcome, sentCard(id, signal));
        const ask = askNode({ wallet: key.wallet.name, fee: paid || undefined });
        fill(outcome, await nodeReview({ wallet: key.wallet, rows, fee: paid, ask, sent }));
        outcome.querySelector('button')?.focus();
        return;
      }
      const prepared = await prepare(key.publicKey, fee.value.trim(), action);
      fill(outcome, reviewCard(prepared, describe(action), key, { outcome, signal }));
      outcome.querySelector('button')?.focus();
    } catch (error) {
      fill(outcome, problem(error));
    }
  };
  const form = section(
    'Sign',
    wallet.element,
    field('Fee', fee, 'Coins for the miner; more is mined first'),
    el('p', { class: 'buttons' }, el('button', { class: 'main' }, 'Show what will be signed')),
  );
  return { form, outcome, review };
}

/** One of the node's wallets, if there are any, or what `other` asks for. */
function signerChoice(own, other) {
  if (!own.length) return other;
  const options = own.map((wallet, at) => el('option', { value: at }, walletLabel(wallet)));
  const select = el('select', {}, options, el('option', { value: 'file' }, 'A wallet’s file or a key of yours'));
  const first = own.findIndex(({ locked }) => !locked);
  select.value = first < 0 ? 'file' : String(first);
  const chosen = () => own[Number(select.value)];
  const place = el('div', { class: 'signer' });
  const draw = () => fill(place, chosen() ? walletHint(chosen()) : other.element);
  select.addEventListener('change', draw);
  draw();
  const open = async () => {
    const wallet = chosen();
    if (!wallet) return other.open();
    if (wallet.locked) throw new Error(`${wallet.name} is locked: unlock it at the node’s prompt, or choose another`);
    return { wallet };
  };
  return { element: el('div', {}, field('Sign with', select), place), open };
}

function walletFields(files) {
  const file = el('input', { type: 'file', accept: '.pem,.key' });
  const password = el('input', { type: 'password', autocomplete: 'off' });
  const element = el(
    'div',
    {},
    el('p', { class: 'hint' }, 'The file is opened on this page. Neither the key nor the password is sent anywhere.'),
    field(
      'Wallet’s file',
      file,
      'A PEM file with an Ed25519 key, such as the node’s wallets/default.pem, or one of OpenSSL’s',
    ),
    walletPaths(files),
    field('Password', password, 'Leave it empty if the file has none'),
  );
  const open = async () => {
    const [chosen] = file.files;
    if (!chosen) throw new Error('choose the wallet’s file first');
    if (chosen.size > WALLET_BYTES_MAX) throw new Error('this is too long for a wallet’s file: choose another');
    const text = await chosen.text();
    if (isEncrypted(text) && !password.value) throw new Error('this wallet has a password: type it');
    const key = await openWallet(text, password.value);
    password.value = '';
    return key;
  };
  return { element, open };
}

/** For browsers that can't sign: the public key, so that the bytes can be made. */
function outsideKey(trouble) {
  const input = el('input', { autocomplete: 'off', spellcheck: 'false', placeholder: '64 hex digits' });
  const element = el(
    'div',
    {},
    el('p', { class: 'badge warn' }, 'Sign elsewhere'),
    el(
      'p',
      {},
      `${trouble} You can still do it in two steps: take the bytes from here, sign them with your key, bring the signature back.`,
    ),
    field('Public key', input, ['As ', el('code', {}, 'quipu wallet show'), ' says it']),
  );
  const open = async () => {
    const publicKey = input.value.trim().toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(publicKey)) throw new Error('a public key is 64 hex digits');
    return { publicKey, sign: null };
  };
  return { element, open };
}

/** The transaction, its bytes and its id; the node gives the next nonce. */
async function prepare(publicKey, feeText, action) {
  const address = addressOf(publicKey);
  const [account, network] = await Promise.all([get(`/accounts/${address}`), get('/network')]);
  const fee = parseAmount(feeText || String(network.fee_min));
  const nonce = (BigInt(account.nonce) + BigInt(account.pending)).toString();
  const transaction = { sender: { ed25519: publicKey }, nonce, fee: fee.toString(), action };
  return {
    transaction,
    address,
    account,
    network,
    bytes: signingBytes(network.genesis, transaction),
    id: transactionId(network.genesis, transaction),
  };
}

function reviewCard(prepared, rows, key, { outcome, signal }) {
  const { transaction, address, account, network, bytes, id } = prepared;
  const send = async (signature) => {
    try {
      const sent = await post('/transactions', { transaction: hex(encode(TRANSACTION, transaction)), signature });
      fill(outcome, sentCard(sent.id, signal));
    } catch (error) {
      outcome.append(problem(error));
    }
  };
  const table = facts([
    ...rows,
    ['Signed by', accountLink(address, true)],
    ['It can spend', coins(account.spendable)],
    ['Fee', coins(amountText(BigInt(transaction.fee)))],
    ['Nonce', transaction.nonce],
    ['Network', el('span', {}, network.name, ' ', el('code', {}, short(network.genesis)))],
    ['Id', el('code', {}, id)],
    [`${counted(bytes.length, 'byte')} to sign`, el('code', { class: 'bytes' }, hex(bytes))],
  ]);
  const step = key.sign ? signHere(key, bytes, send) : signElsewhere(bytes, id, send);
  return section('This will be signed', table, step);
}

function signHere(key, bytes, send) {
  const act = async (event) => {
    event.target.disabled = true;
    await send(await key.sign(bytes));
  };
  return el('p', { class: 'buttons' }, button('Sign and send', act, { kind: 'main' }));
}

function signElsewhere(bytes, id, send) {
  const name = `sign-${short(id)}.bin`;
  const signature = el('input', { autocomplete: 'off', spellcheck: 'false', placeholder: '128 hex digits' });
  const command = `openssl pkeyutl -sign -rawin -inkey WALLET.pem -in ${name} | xxd -p -c 64`;
  return el(
    'div',
    {},
    el(
      'ol',
      {},
      el(
        'li',
        {},
        button('Save the bytes', () => save(name, bytes, 'application/octet-stream')),
        ' as ',
        el('code', {}, name),
      ),
      el(
        'li',
        {},
        'Sign them where the wallet is: ',
        el('code', {}, `quipu wallet sign WALLET ${name}`),
        ', or without quipu: ',
        el('code', {}, command),
      ),
    ),
    field('Signature', signature, 'What that command prints'),
    el(
      'p',
      { class: 'buttons' },
      button('Send', () => send(signature.value.trim().toLowerCase()), { kind: 'main' }),
    ),
  );
}

function sentCard(id, signal) {
  return el(
    'section',
    { class: 'card' },
    el(
      'p',
      { class: 'good-news' },
      'The node has it: it is on its disk and goes to its peers. It counts when it is in a block.',
    ),
    el('p', {}, 'Follow ', transactionLink(id), '; its receipt is there once it is mined.'),
    miningControls(signal),
  );
}
