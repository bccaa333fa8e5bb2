// Addresses and amounts as people write them: sections 3 and 4 of the specification.

import { hex, unhex, utf8 } from './bytes.js';
import { PUBLIC_KEY, encode } from './encode.js';
import { keccak256 } from './keccak.js';
import { sha256 } from './sha256.js';

/** Units in a coin. */
const COIN = 100_000_000n;
const LIMIT = 1n << 64n;

/** The account of a public key (hex): its text. */
export function addressOf(publicKey) {
  return addressText(sha256(encode(PUBLIC_KEY, { ed25519: publicKey })).slice(0, 20));
}

/** 20 bytes as `0x…`, whose letters' case is a checksum. */
export function addressText(bytes) {
  const digits = hex(bytes);
  const cases = hex(keccak256(utf8(digits)));
  return `0x${[...digits].map((digit, at) => (parseInt(cases[at], 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`;
}

/** The 20 bytes that a text names. Throws if it names none. */
export function parseAddress(text) {
  const digits = text.slice(2);
  if (!text.startsWith('0x') || !/^[0-9a-f]{40}$/i.test(digits)) {
    throw new Error('an address is 0x and 40 hex digits');
  }
  const bytes = unhex(digits);
  const isUniform = digits === digits.toLowerCase() || digits === digits.toUpperCase();
  if (!isUniform && addressText(bytes) !== text) throw new Error('a letter of this address is wrong: copy it again');
  return bytes;
}

/** Units as coins. */
export function amountText(units) {
  const [whole, fraction] = [units / COIN, units % COIN];
  return `${whole}.${fraction.toString().padStart(8, '0')}`.replace(/\.?0+$/, '');
}

/** Coins as units. Throws if the text is no amount. */
export function parseAmount(text) {
  const found = /^([0-9]*)(?:\.([0-9]*))?$/.exec(text);
  const [whole, fraction] = [found?.[1] ?? '', (found?.[2] ?? '').replace(/0+$/, '')];
  if (!found || !(found[1] || found[2])) throw new Error('an amount is a number of coins, such as 2.5');
  if (fraction.length > 8) throw new Error('an amount has at most 8 decimals');
  const units = BigInt(whole + fraction.padEnd(8, '0'));
  if (units >= LIMIT) throw new Error('there are fewer coins than that');
  return units;
}
