// Receipts: section 17 of the specification. A text in, what it proves out; or the reason why it proves nothing.

import { addressOf, addressText, amountText, parseAddress, parseAmount } from './address.js';
import { bigEndian, hex, unhex } from './bytes.js';
import { decodeHeader } from './encode.js';
import { readJson } from './json.js';
import { AMOUNTS, LIMITS, PARAMETERS, isNetwork, makeNetwork, parametersOf } from './network.js';
import { readRecord } from './record.js';
import { leaf, node, sha256 } from './sha256.js';
import { expand, targetAfter, work } from './target.js';
import { brokenForm, decodeSigned, isSigned, transactionId } from './transaction.js';

/** In bytes. */
export const RECEIPT_BYTES_MAX = 268_435_456;
const STEPS_MAX = 32;
const HEADERS_MAX = 1_048_576;
const TRANSACTION_DIGITS_MAX = 2 * 4228;
const FIELDS = ['quipu_receipt', 'network', 'genesis', 'transaction', 'path', 'headers', 'tip'];
const NARROW = ['easiest_target', 'block_bytes_max'];

/** A receipt that proves nothing. `reason` is a word of the specification; `unreadable` if the text is no receipt. */
export class Refuted extends Error {
  constructor(reason, unreadable = false) {
    super(reason);
    this.reason = reason;
    this.unreadable = unreadable;
  }
}

/** The proof in a receipt. Throws `Refuted`. */
export function verifyReceipt(text) {
  const receipt = read(text);
  const network = networkOf(receipt);
  const signed = transactionOf(receipt, network);
  const headers = headersOf(receipt, network, leaf(unhex(receipt.transaction)));
  return proven(receipt, network, signed, headers);
}

/** Whether a receipt that holds has this block (hex): the transaction's own, or one on top of it. */
export function hasBlock(text, id) {
  const { headers } = JSON.parse(text);
  return headers.slice(1).some((header) => hex(sha256(unhex(header))) === id);
}

function demand(condition, reason) {
  if (!condition) throw new Refuted(reason);
}

function form(condition) {
  if (!condition) throw new Refuted('form', true);
}

/** The fields, if the text is a receipt and written as the one text for them. */
function read(text) {
  if (new Blob([text]).size > RECEIPT_BYTES_MAX) throw new Refuted('too_long', true);
  let value;
  try {
    value = readJson(text);
  } catch {
    form(false);
  }
  form(isObject(value));
  const version = value.quipu_receipt;
  form(isWhole(version, 64));
  if (version !== 1n) throw new Refuted('version', true);
  form(hasExactly(value, FIELDS) && isObject(value.network) && hasExactly(value.network, PARAMETERS));
  readParameters(value.network);
  const { path, headers } = value;
  form([value.genesis, value.tip].every((id) => isHex(id, 64)));
  form(isHex(value.transaction) && value.transaction.length <= TRANSACTION_DIGITS_MAX);
  form(Array.isArray(path) && path.length <= STEPS_MAX && path.every(isStep));
  form(Array.isArray(headers) && headers.length >= 2 && headers.length <= HEADERS_MAX);
  form(headers.every((header) => isHex(header, 192)));
  const isCanonical = text.replace(/[ \t\r\n]/g, '') === written(value);
  if (!isCanonical) throw new Refuted('not_canonical', true);
  return value;
}

function readParameters(network) {
  for (const name of PARAMETERS) {
    if (name === 'name') form(typeof network.name === 'string');
    else if (name === 'opening_balances') form(Array.isArray(network[name]) && network[name].every(isOpening));
    else if (name === 'contracts') form(network[name] === null || isContracts(network[name]));
    else if (AMOUNTS.includes(name)) form(isAmount(network[name]));
    else form(isWhole(network[name], NARROW.includes(name) ? 32 : 64));
  }
}

/** The one text for these fields, without white space. */
function written(value) {
  const { network, path, headers } = value;
  const parameter = (name) => {
    if (name === 'name') return JSON.stringify(network.name);
    if (name === 'opening_balances') return `[${network[name].map(opening).join(',')}]`;
    if (name === 'contracts' && network[name] === null) return 'null';
    if (name === 'contracts') return `{${LIMITS.map((limit) => `"${limit}":${network[name][limit]}`).join(',')}}`;
    return AMOUNTS.includes(name) ? `"${amountText(parseAmount(network[name]))}"` : network[name].toString();
  };
  const opening = ({ address, amount }) =>
    `{"address":"${addressText(parseAddress(address))}","amount":"${amountText(parseAmount(amount))}"}`;
  const digits = (text) => `"${text.toLowerCase()}"`;
  const parameters = PARAMETERS.map((name) => `"${name}":${parameter(name)}`).join(',');
  const steps = path.map((step) => Object.entries(step).map(([side, sibling]) => `{"${side}":${digits(sibling)}}`));
  return (
    `{"quipu_receipt":1,"network":{${parameters}},"genesis":${digits(value.genesis)},` +
    `"transaction":${digits(value.transaction)},"path":[${steps.join(',')}],` +
    `"headers":[${headers.map(digits).join(',')}],"tip":${digits(value.tip)}}`
  );
}

function networkOf({ network: given, genesis }) {
  const parameters = parametersOf(given);
  demand(isNetwork(parameters), 'parameters');
  const network = makeNetwork(parameters);
  demand(network.genesis_id === genesis, 'genesis');
  return network;
}

function transactionOf({ transaction }, network) {
  let signed;
  try {
    signed = decodeSigned(unhex(transaction));
  } catch {
    throw new Refuted('transaction');
  }
  demand(brokenForm(network, signed) === null, 'transaction_rule');
  demand(isSigned(network, signed), 'signature');
  return signed;
}

/** The headers, each with its id, after all rules on them. */
function headersOf({ path, headers, tip }, network, start) {
  const root = path.reduce((hash, step) => {
    const [[side, sibling]] = Object.entries(step);
    return side === 'left' ? node(unhex(sibling), hash) : node(hash, unhex(sibling));
  }, start);
  const decoded = headers.map((digits) => withId(unhex(digits)));
  demand(hex(root) === decoded[1].root, 'path');
  decoded.forEach((header, at) => checkHeader(network, header, decoded[at - 1]));
  demand(decoded.at(-1).id === tip.toLowerCase(), 'tip');
  return decoded;
}

function withId(bytes) {
  return { ...decodeHeader(bytes), id: hex(sha256(bytes)) };
}

/**
 * The rules on one header; those with the one before it first. `before` is missing for the first. The time between both
 * goes into the header: the next target depends on it. That of the first is not known, if it is not genesis.
 */
function checkHeader(network, header, before) {
  const [height, timestamp] = [BigInt(header.height), BigInt(header.timestamp)];
  header.interval = height === 0n ? network.target_spacing : null;
  if (before) {
    demand(header.parent === before.id, 'link');
    demand(height === BigInt(before.height) + 1n, 'height');
    demand(timestamp >= BigInt(before.timestamp), 'time');
    header.interval = timestamp - BigInt(before.timestamp);
    const due = () => targetAfter(network, before.target, before.interval, header.interval);
    demand(before.interval === null || header.target === due(), 'target');
  }
  if (height === 0n) {
    demand(header.id === network.genesis_id, 'not_genesis');
    return;
  }
  demand(header.version === 2, 'header_version');
  const bound = expand(header.target);
  demand(bound !== null && bound <= expand(network.easiest_target), 'target');
  demand(bigEndian(unhex(header.id)) <= bound, 'work');
}

function proven(receipt, network, signed, [parent, block, ...later]) {
  const tip = later.at(-1) ?? block;
  const { record } = signed.action;
  const earliest = BigInt(block.timestamp) - network.future_time_max;
  return {
    network: network.name,
    genesis: receipt.genesis,
    id: transactionId(network.genesis_id, signed),
    sender: addressOf(signed.sender.ed25519),
    record: record ? readRecord(unhex(record.data)) : null,
    height: block.height,
    block: block.id,
    timestamp: block.timestamp,
    parent_timestamp: parent.timestamp,
    earliest: (earliest < 0n ? 0n : earliest).toString(),
    latest: later[0]?.timestamp ?? null,
    confirmations: (1 + later.length).toString(),
    work: [block, ...later].reduce((sum, header) => sum + work(header.target), 0n).toString(),
    tip: tip.id,
    tip_height: tip.height,
    tip_timestamp: tip.timestamp,
    action: signed.action,
  };
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasExactly(value, names) {
  const keys = Object.keys(value);
  return keys.length === names.length && names.every((name) => Object.hasOwn(value, name));
}

function isOpening(value) {
  const isText = isObject(value) && hasExactly(value, ['address', 'amount']) && typeof value.address === 'string';
  return isText && isAddress(value.address) && isAmount(value.amount);
}

function isContracts(value) {
  return isObject(value) && hasExactly(value, LIMITS) && LIMITS.every((limit) => isWhole(value[limit], 64));
}

function isAddress(text) {
  try {
    return parseAddress(text) !== null;
  } catch {
    return false;
  }
}

function isWhole(value, bits) {
  return typeof value === 'bigint' && value >= 0n && value < 1n << BigInt(bits);
}

function isHex(value, length) {
  return (
    typeof value === 'string' &&
    /^[0-9a-fA-F]*$/.test(value) &&
    value.length % 2 === 0 &&
    (length === undefined || value.length === length)
  );
}

function isStep(step) {
  return (
    isObject(step) && (hasExactly(step, ['left']) || hasExactly(step, ['right'])) && isHex(Object.values(step)[0], 64)
  );
}

function isAmount(value) {
  try {
    parseAmount(value);
    return typeof value === 'string';
  } catch {
    return false;
  }
}
