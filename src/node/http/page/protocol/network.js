// A network's parameters and its genesis block: section 10 of the specification.

import { addressText, parseAddress, parseAmount } from './address.js';
import { concat, hex, toLittleEndian, utf8 } from './bytes.js';
import { CONTEXT, HEADER, REWARD, SIGNED_TRANSACTION, encode } from './encode.js';
import { historyRoot } from './history.js';
import { leaf, merkleRoot, node, sha256, tagged } from './sha256.js';
import { expand } from './target.js';

/** The numbers among the parameters in their order, with the bytes of each. The name comes before them, lists after. */
const NUMBERS = [
  ['genesis_time', 8],
  ['target_spacing', 8],
  ['half_life', 8],
  ['grace', 8],
  ['easiest_target', 4],
  ['future_time_max', 8],
  ['subsidy', 8],
  ['fee_min', 8],
  ['block_bytes_max', 4],
];
const BLOCK_BYTES_LEAST = 16_384n;
const BLOCK_BYTES_MOST = 4_194_304n;

const OPENING_BALANCES_MOST = 1024;
const CHAIN_ID_MOST = 4_503_599_627_370_476n;
const WEI_PER_UNIT = 10_000_000_000n;

/** The names of all parameters, in their order. */
export const PARAMETERS = ['name', ...NUMBERS.map(([name]) => name), 'opening_balances', 'contracts'];
/** Those that are amounts, and those of contracts in their order. */
export const AMOUNTS = ['subsidy', 'fee_min'];
export const LIMITS = ['block_gas', 'transaction_gas', 'chain_id'];

/** Parameters from JSON, whose numbers may be BigInt: as the functions below take them. */
export function parametersOf(given) {
  const value = (name) => {
    if (name === 'name') return given.name;
    if (name === 'opening_balances') {
      return given[name].map(({ address, amount }) => ({ address, amount: parseAmount(amount) }));
    }
    if (name === 'contracts') return given[name] && mapped(LIMITS, (limit) => BigInt(given[name][limit]));
    return AMOUNTS.includes(name) ? parseAmount(String(given[name])) : BigInt(given[name]);
  };
  return mapped(PARAMETERS, value);
}

function mapped(names, value) {
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

/** The outcome of a block without contracts (R21). */
export const NO_OUTCOME = '00'.repeat(32);

/** The root that a block's header must commit to, in hex: of its context and its body. */
export function rootOf({ context, reward, transactions }) {
  const leaves = [encode(REWARD, reward), ...transactions.map((signed) => encode(SIGNED_TRANSACTION, signed))];
  return hex(node(leaf(encode(CONTEXT, context)), merkleRoot(leaves.map(leaf))));
}

/** Whether these make a network. Numbers are BigInt, amounts in units. */
export function isNetwork(parameters) {
  const { name, easiest_target: easiest, target_spacing: spacing, block_bytes_max: most, contracts } = parameters;
  const isTarget = expand(Number(easiest)) !== null;
  const isBlock = most >= BLOCK_BYTES_LEAST && most <= BLOCK_BYTES_MOST;
  const isLimited =
    contracts === null ||
    (contracts.transaction_gas > 0n &&
      contracts.transaction_gas <= contracts.block_gas &&
      contracts.chain_id <= CHAIN_ID_MOST);
  return /^[a-z0-9-]{1,32}$/.test(name) && isTarget && spacing > 0n && isBlock && isLimited && isOpening(parameters);
}

function isOpening({ opening_balances: openings }) {
  const owners = openings.map(({ address }) => hex(parseAddress(address)));
  const isInOrder = owners.every((owner, at) => at === 0 || owners[at - 1] < owner);
  return openings.length <= OPENING_BALANCES_MOST && isInOrder && openings.every(({ amount }) => amount > 0n);
}

/** The accounts before the first block, as `connect` of `rules.js` takes them. */
export function openingAccounts({ opening_balances: openings }) {
  const account = ({ address, amount }) => [
    addressText(parseAddress(address)),
    { balance: WEI_PER_UNIT * amount, nonce: 0n },
  ];
  return new Map(openings.map(account));
}

/** The network with these parameters, its genesis block and that block's id (hex). */
export function makeNetwork(parameters) {
  const name = utf8(parameters.name);
  const numbers = NUMBERS.map(([field, width]) => toLittleEndian(parameters[field], width));
  const openings = parameters.opening_balances.map(({ address, amount }) =>
    concat(parseAddress(address), toLittleEndian(amount, 8)),
  );
  const contracts = parameters.contracts ? LIMITS.map((limit) => toLittleEndian(parameters.contracts[limit], 8)) : [];
  const encoding = concat(
    ...[toLittleEndian(name.length, 8), name, ...numbers],
    ...[toLittleEndian(openings.length, 8), ...openings],
    ...[toLittleEndian(parameters.contracts ? 1 : 0, 8), ...contracts],
  );
  const block = {
    context: { history: hex(historyRoot([])), outcome: NO_OUTCOME },
    reward: { to: '00'.repeat(20), amount: '0' },
    transactions: [],
  };
  const genesis = {
    version: 2,
    height: '0',
    parent: hex(tagged('quipu network 2', encoding)),
    root: rootOf(block),
    timestamp: parameters.genesis_time.toString(),
    target: Number(parameters.easiest_target),
    nonce: '0',
  };
  const id = hex(sha256(encode(HEADER, genesis)));
  return { ...parameters, easiest_target: Number(parameters.easiest_target), encoding, genesis, genesis_id: id };
}
