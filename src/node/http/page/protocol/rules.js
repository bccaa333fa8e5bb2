// The rules of blocks: section 11 of the specification. For lessons: which rule complains of this block, and why?
//
// The checks of a node, in its order, on one block and its parent. Values are those of `encode.js`.

import { addressText } from './address.js';
import { bigEndian, hex, unhex } from './bytes.js';
import { BLOCK, HEADER, decode, encode } from './encode.js';
import { historyRoot } from './history.js';
import { NO_OUTCOME, rootOf } from './network.js';
import { sha256 } from './sha256.js';
import { expand, targetAfter } from './target.js';
import { brokenForm, isSigned, senderOf } from './transaction.js';

const LIMIT = 1n << 64n;
const BALANCE_LIMIT = 1n << 128n;
const WEI_PER_UNIT = 10_000_000_000n;
/** No encoded block is longer, in bytes. */
const BLOCK_BYTES_MAX = 4_194_304;

/** Each rule in a line. */
export const RULES = {
  R1: 'Encoding: the bytes are the one encoding of a block',
  R2: 'Length: a block is not longer than the network allows',
  R3: 'Length of a record: at most 4,096 bytes of data',
  R4: 'Version: it is 2',
  R5: 'Form of the target: it is a target, and not easier than the easiest',
  R6: 'Work: the id, as a number, is not above the target',
  R7: 'Root: the header commits to just this context and body',
  R8: 'Least fee: a transaction pays at least that',
  R9: 'Something is transferred: not nothing',
  R10: 'Signature: it is the sender’s, over just these bytes',
  R11: 'Height: the parent’s plus one',
  R12: 'Time does not go back: not before the parent’s',
  R13: 'Target: the one that follows from the parent’s and the times between the blocks',
  R14: 'Time is not far ahead of the clock',
  R15: 'Nonce: how many transactions the sender has made before',
  R16: 'Balance: the sender has the fee and the amount',
  R17: 'Reward: the subsidy and all fees, neither more nor less',
  R18: 'No overflow: no amount is above 2^64 - 1',
  R19: 'Genesis: a block at height 0 is the network’s first one',
  R20: 'History: the context commits to all blocks below',
  R21: 'Outcome: no contract did anything',
};

/** A rule is broken; `rule` is its name. */
export class Broken extends Error {
  constructor(rule) {
    super(`${rule}. ${RULES[rule]}`);
    this.rule = rule;
  }
}

function demand(condition, rule) {
  if (!condition) throw new Broken(rule);
}

/** The id of a header, in hex. */
export function blockId(header) {
  return hex(sha256(encode(HEADER, header)));
}

/** The block that these bytes are (R1). */
export function decodeBlock(bytes) {
  try {
    return decode(BLOCK, bytes, BLOCK_BYTES_MAX);
  } catch {
    throw new Broken('R1');
  }
}

/** Rules that need the header alone. `network` is made by `makeNetwork`. */
export function checkHeader(network, header) {
  const id = blockId(header);
  if (BigInt(header.height) === 0n) {
    demand(id === network.genesis_id, 'R19');
    return id;
  }
  demand(header.version === 2, 'R4');
  const bound = expand(header.target);
  demand(bound !== null && bound <= expand(network.easiest_target), 'R5');
  demand(bigEndian(unhex(id)) <= bound, 'R6');
  return id;
}

/**
 * Rules on a header, the one below it, and the clock (BigInt, Unix milliseconds). `interval` is the time from the parent's
 * own parent to the parent (BigInt; the spacing if that is genesis).
 */
export function checkPlace(network, header, { interval, ...parent }, now) {
  const [timestamp, before] = [BigInt(header.timestamp), BigInt(parent.timestamp)];
  demand(BigInt(header.height) === BigInt(parent.height) + 1n, 'R11');
  demand(timestamp >= before, 'R12');
  demand(header.target === targetAfter(network, parent.target, interval, timestamp - before), 'R13');
  demand(timestamp <= now + network.future_time_max, 'R14');
}

/** Rules on the body alone. */
export function checkBody(network, block) {
  demand(rootOf(block) === block.header.root, 'R7');
  demand(encode(BLOCK, block).length <= Number(network.block_bytes_max), 'R2');
  for (const signed of block.transactions) {
    const rule = brokenForm(network, signed);
    demand(rule === null, rule);
  }
  for (const signed of block.transactions) demand(isSigned(network, signed), 'R10');
}

/** Rules on the context: `below` are the leaves of all blocks from genesis to the parent, see `history.js`. */
export function checkContext({ context }, below) {
  demand(context.history === hex(historyRoot(below)), 'R20');
  demand(context.outcome === NO_OUTCOME, 'R21');
}

/**
 * Rules on accounts: a map from addresses to `{ balance, nonce }` (BigInt, in wei) as of the parent. Gives the map after the
 * block; the old one stays. Without a map, nonces and balances are believed.
 */
export function connect(network, block, known) {
  const accounts = new Map(known);
  const of = (address) => accounts.get(address) ?? { balance: 0n, nonce: 0n };
  const credit = (address, amount) => {
    const balance = of(address).balance + WEI_PER_UNIT * amount;
    if (known && amount) accounts.set(address, { ...of(address), balance: fits(balance, BALANCE_LIMIT) });
  };
  let reward = network.subsidy;
  for (const signed of block.transactions) {
    const [sender, fee, { transfer }] = [senderOf(signed), BigInt(signed.fee), signed.action];
    if (known) spend(accounts, of(sender), sender, signed);
    if (transfer) credit(addressText(unhex(transfer.to)), BigInt(transfer.amount));
    reward = fits(reward + fee);
  }
  demand(BigInt(block.reward.amount) === reward, 'R17');
  credit(addressText(unhex(block.reward.to)), reward);
  return accounts;
}

function spend(accounts, { balance, nonce }, sender, { nonce: said, fee, action }) {
  demand(BigInt(said) === nonce, 'R15');
  const spent = WEI_PER_UNIT * fits(BigInt(fee) + BigInt(action.transfer?.amount ?? 0));
  demand(balance >= spent, 'R16');
  accounts.set(sender, { balance: balance - spent, nonce: fits(nonce + 1n) });
}

function fits(number, limit = LIMIT) {
  demand(number < limit, 'R18');
  return number;
}

/** The first rule that a block breaks, as `Broken`, or null. The accounts may be unknown. */
export function complaint(network, block, parent, now, accounts) {
  try {
    checkHeader(network, block.header);
    checkPlace(network, block.header, parent, now);
    checkBody(network, block);
    connect(network, block, accounts);
    return null;
  } catch (error) {
    if (error instanceof Broken) return error;
    throw error;
  }
}
