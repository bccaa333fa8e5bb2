// The text of a receipt: JSON that is written in one way alone. Section 17 of the specification.

import { addressText, amountText, parseAddress, parseAmount } from './address.js';
import { fromBase64 } from './base64.js';
import { TRANSACTION_BYTES_MAX } from './encode.js';
import { readJson } from './json.js';
import { AMOUNTS, LIMITS, PARAMETERS } from './network.js';
import { readProof } from './proof.js';

/** In bytes. */
export const RECEIPT_BYTES_MAX = 8_388_608;
const VERSION = 2n;
const FORMS = ['full', 'sampled', 'witnessed'];
const FIELDS = ['quipu_receipt', 'network', 'genesis', 'transaction', 'form', 'proof', 'tip'];
const STRING_OR_SPACE = /("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+/g;
const NARROW = ['easiest_target', 'block_bytes_max'];

/** A receipt that proves nothing. `reason` is a word of the specification; `unreadable` if the text is no receipt. */
export class Refuted extends Error {
  constructor(reason, unreadable = false) {
    super(reason);
    this.reason = reason;
    this.unreadable = unreadable;
  }
}

/** The fields, if the text is a receipt: with bytes for Base64, and with the parts of the proof. Throws `Refuted`. */
export function readReceipt(text) {
  if (new Blob([text]).size > RECEIPT_BYTES_MAX) throw new Refuted('too_long', true);
  const value = readable(() => readJson(text));
  form(isObject(value));
  const version = value.quipu_receipt;
  form(isWhole(version, 64));
  if (version !== VERSION) throw new Refuted('version', true);
  form(hasExactly(value, FIELDS) && isObject(value.network) && hasExactly(value.network, PARAMETERS));
  readParameters(value.network);
  form(isId(value.genesis) && isId(value.tip) && FORMS.includes(value.form));
  const [transaction, bytes] = [value.transaction, value.proof].map((base64) => readable(() => fromBase64(base64)));
  form(transaction.length <= TRANSACTION_BYTES_MAX);
  const proof = readable(() => readProof(value.form, bytes));
  const isCanonical = text.replace(STRING_OR_SPACE, '$1') === written(value);
  if (!isCanonical) throw new Refuted('not_canonical', true);
  return { ...value, transaction, proof };
}

function form(condition) {
  if (!condition) throw new Refuted('form', true);
}

/** What a part is read as. */
function readable(read) {
  try {
    return read();
  } catch {
    throw new Refuted('form', true);
  }
}

function readParameters(network) {
  for (const name of PARAMETERS) {
    if (name === 'name') form(isText(network.name));
    else if (name === 'opening_balances') form(Array.isArray(network[name]) && network[name].every(isOpening));
    else if (name === 'contracts') form(network[name] === null || isContracts(network[name]));
    else if (AMOUNTS.includes(name)) form(isAmount(network[name]));
    else form(isWhole(network[name], NARROW.includes(name) ? 32 : 64));
  }
}

/** The one text for these fields, without white space. */
function written(value) {
  const { network } = value;
  const parameter = (name) => {
    if (name === 'name') return JSON.stringify(network.name);
    if (name === 'opening_balances') return `[${network[name].map(opening).join(',')}]`;
    if (name === 'contracts' && network[name] === null) return 'null';
    if (name === 'contracts') return `{${LIMITS.map((limit) => `"${limit}":${network[name][limit]}`).join(',')}}`;
    return AMOUNTS.includes(name) ? `"${amountText(parseAmount(network[name]))}"` : network[name].toString();
  };
  const opening = ({ address, amount }) =>
    `{"address":"${addressText(parseAddress(address))}","amount":"${amountText(parseAmount(amount))}"}`;
  const parameters = PARAMETERS.map((name) => `"${name}":${parameter(name)}`).join(',');
  return (
    `{"quipu_receipt":${VERSION},"network":{${parameters}},"genesis":"${value.genesis.toLowerCase()}",` +
    `"transaction":"${value.transaction}","form":"${value.form}","proof":"${value.proof}",` +
    `"tip":"${value.tip.toLowerCase()}"}`
  );
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

/** Half a character, which an escape can make, is no text. */
function isText(value) {
  return typeof value === 'string' && !/\p{Surrogate}/u.test(value);
}

function isId(value) {
  return typeof value === 'string' && /^[0-9a-fA-F]{64}$/.test(value);
}

function isAmount(value) {
  try {
    parseAmount(value);
    return typeof value === 'string';
  } catch {
    return false;
  }
}
