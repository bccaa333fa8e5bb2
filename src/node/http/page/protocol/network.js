// A network's parameters and its genesis block: section 10 of the specification.

import { concat, hex, toLittleEndian, utf8 } from './bytes.js';
import { HEADER, REWARD, encode } from './encode.js';
import { leaf, sha256, tagged } from './sha256.js';
import { expand } from './target.js';

/** The parameters in their order, with the bytes of each; the name comes before them. */
const NUMBERS = [
  ['genesis_time', 8],
  ['target_spacing', 8],
  ['half_life', 8],
  ['easiest_target', 4],
  ['future_time_max', 8],
  ['subsidy', 8],
  ['fee_min', 8],
  ['block_bytes_max', 4],
];
const BLOCK_BYTES_LEAST = 16_384n;
const BLOCK_BYTES_MOST = 4_194_304n;

/** The names of all parameters, in their order. */
export const PARAMETERS = ['name', ...NUMBERS.map(([name]) => name)];

/** Whether these make a network. Numbers are BigInt, amounts in units. */
export function isNetwork(parameters) {
  const { name, easiest_target: easiest, target_spacing: spacing, block_bytes_max: most } = parameters;
  const isTarget = expand(Number(easiest)) !== null;
  return (
    /^[a-z0-9-]{1,32}$/.test(name) && isTarget && spacing > 0n && most >= BLOCK_BYTES_LEAST && most <= BLOCK_BYTES_MOST
  );
}

/** The network with these parameters, its genesis block and that block's id (hex). */
export function makeNetwork(parameters) {
  const name = utf8(parameters.name);
  const numbers = NUMBERS.map(([field, width]) => toLittleEndian(parameters[field], width));
  const encoding = concat(toLittleEndian(name.length, 8), name, ...numbers);
  const reward = encode(REWARD, { to: '00'.repeat(20), amount: '0' });
  const genesis = {
    version: 1,
    height: '0',
    parent: hex(tagged('quipu network 1', encoding)),
    body_root: hex(leaf(reward)),
    timestamp: parameters.genesis_time.toString(),
    target: Number(parameters.easiest_target),
    nonce: '0',
  };
  const id = hex(sha256(encode(HEADER, genesis)));
  return { ...parameters, easiest_target: Number(parameters.easiest_target), encoding, genesis, genesis_id: id };
}
