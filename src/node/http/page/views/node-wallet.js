// The node's own wallets as signers, for a browser on its machine: the node signs, so no file has to be found.

import { get, json, request } from '../app/api.js';
import { el, fill, foreign } from '../app/dom.js';
import { accountLink, button, coins, copyable, facts, problem, section } from '../app/parts.js';

/** Elsewhere the wallets are somebody else's. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The node's wallets, the one in use first; none for a browser on another machine. */
export async function nodeWallets() {
  if (!LOOPBACK.test(location.hostname)) return [];
  const all = await get('/wallets').catch(() => []);
  return all.filter(({ address }) => address).sort((one, other) => Number(other.current) - Number(one.current));
}

/** The files of the node's wallets, as `{ name, file }`; none for anybody but its own user. */
export async function walletFiles() {
  if (!LOOPBACK.test(location.hostname)) return [];
  return get('/wallets/files', { quiet: true }).catch(() => []);
}

/** Where the files are, each with a button that copies its path into a file dialog. */
export function walletPaths(files) {
  if (files.length === 0) return null;
  const rows = files.map(({ name, file }) => [foreign(name), copyable(file, `path of ${name}`)]);
  return el('div', { class: 'paths' }, el('p', { class: 'hint' }, 'The wallets of this node are here:'), facts(rows));
}

/** What stands in the choice of signers. */
export function walletLabel({ name, current, locked }) {
  return `${name}${current ? ', this node’s wallet' : ''}${locked ? ' (locked)' : ''}`;
}

/** What there is to say about the chosen one. */
export function walletHint({ name, locked }) {
  if (!locked) return el('p', { class: 'hint' }, 'The node signs with its own key. Nothing has to be opened here.');
  const command = el('code', {}, `wallet unlock ${name}`);
  return el('p', { class: 'hint' }, 'This wallet is locked: ', command, ' at the node’s prompt, or choose another.');
}

/**
 * The review of what the node will sign. `rows` tell what it is, `ask` is the request for it, as `{ path, body }`; `sent`
 * hears the id.
 */
export async function nodeReview({ wallet, rows, fee, ask, sent }) {
  const [account, network] = await Promise.all([get(`/accounts/${wallet.address}`), get('/network')]);
  const trouble = el('div');
  const act = async (event) => {
    event.target.disabled = true;
    try {
      const { path, body } = ask;
      sent((await json(await request(path, { method: 'POST', body }))).id);
    } catch (error) {
      event.target.disabled = false;
      fill(trouble, problem(error));
    }
  };
  const shown = facts([
    ...rows,
    ['Signed by', el('span', {}, 'the node, with its wallet ', foreign(wallet.name), ': ', accountLink(wallet.address, true))],
    ['It can spend', coins(account.spendable)],
    ['Fee', fee ? coins(fee) : 'the least that is taken now'],
    ['Network', network.name],
  ]);
  const sign = el('p', { class: 'buttons' }, button('Sign and send', act, { kind: 'main' }));
  return section('This will be signed', shown, sign, trouble);
}
