// The one encoding of every value: section 1 of the specification. Integers have fixed widths and are little endian.
//
// Types are data, so that this reads like the specification's tables. Values are those of `vectors/encodings.json`: wide
// numbers as decimal strings, bytes as hex digits, targets as numbers, an enum as an object with its variant as only key.

import { concat, hex, littleEndian, toLittleEndian, unhex } from './bytes.js';

/** Bytes that are no encoding of a value (rule R1). */
export class NotEncoded extends Error {}

const WIDTHS = { u32: 4, u64: 8, u128: 16 };
const array = (length) => ({ array: length });
const struct = (...fields) => ({ fields });
const oneOf = (...variants) => ({ variants });
const list = (of, shortest) => ({ of, shortest });
const DATA = { data: true };

const HASH = array(32);
const ADDRESS = array(20);
const KEY = oneOf(['ed25519', array(32)]);
const SIGNATURE = oneOf(['ed25519', array(64)]);
const ACTION = oneOf(['transfer', struct(['to', ADDRESS], ['amount', 'u64'])], ['record', struct(['data', DATA])]);
const TRANSACTION_FIELDS = [
  ['sender', KEY],
  ['nonce', 'u64'],
  ['fee', 'u64'],
  ['action', ACTION],
];

/** A transaction without its signature. */
export const TRANSACTION = struct(...TRANSACTION_FIELDS);
/** The same with it. */
export const SIGNED_TRANSACTION = struct(...TRANSACTION_FIELDS, ['signature', SIGNATURE]);
/** The 96 bytes whose hash is a block's id. */
export const HEADER = struct(
  ['version', 'u32'],
  ['height', 'u64'],
  ['parent', HASH],
  ['root', HASH],
  ['timestamp', 'u64'],
  ['target', 'u32'],
  ['nonce', 'u64'],
);
/** The miner's reward. */
export const REWARD = struct(['to', ADDRESS], ['amount', 'u64']);
/** What a block says of the blocks below it and of its contracts. */
export const CONTEXT = struct(['history', HASH], ['outcome', HASH]);
/** A header, its context and its body. */
export const BLOCK = struct(
  ['header', HEADER],
  ['context', CONTEXT],
  ['reward', REWARD],
  ['transactions', list(SIGNED_TRANSACTION, 132)],
);
/** A public key with its tag. */
export const PUBLIC_KEY = KEY;

/** Of a header. */
export const HEADER_BYTES = 96;
/** Of a signed transaction. */
export const TRANSACTION_BYTES_MAX = 4228;

/** The bytes of a value. */
export function encode(type, value) {
  if (typeof type === 'string') return toLittleEndian(value, WIDTHS[type]);
  if (type.array) return exactly(unhex(value), type.array);
  if (type.data) return concat(toLittleEndian(value.length / 2, 8), unhex(value));
  if (type.fields) return concat(...type.fields.map(([name, field]) => encode(field, value[name])));
  if (type.of) return concat(toLittleEndian(value.length, 8), ...value.map((element) => encode(type.of, element)));
  const [name] = Object.keys(value);
  const tag = type.variants.findIndex(([variant]) => variant === name);
  return concat(toLittleEndian(tag, 4), encode(type.variants[tag][1], value[name]));
}

function exactly(bytes, length) {
  if (bytes.length !== length) throw new Error(`these are ${bytes.length} bytes, not ${length}`);
  return bytes;
}

/** The value that these bytes are, all of them. Throws `NotEncoded`. */
export function decode(type, bytes, most = bytes.length) {
  if (bytes.length > most) throw new NotEncoded(`more than ${most} bytes`);
  const reader = { bytes, at: 0 };
  const value = read(type, reader);
  if (reader.at !== bytes.length) throw new NotEncoded('bytes are left over');
  return value;
}

/** A header; its numbers but version and target are decimal strings. */
export function decodeHeader(bytes) {
  return decode(HEADER, bytes);
}

function read(type, reader) {
  if (typeof type === 'string') {
    const number = littleEndian(take(reader, WIDTHS[type]));
    return type === 'u32' ? Number(number) : number.toString();
  }
  if (type.array) return hex(take(reader, type.array));
  if (type.data) return hex(take(reader, readCount(reader, 1)));
  if (type.fields) return Object.fromEntries(type.fields.map(([name, field]) => [name, read(field, reader)]));
  if (type.of) return Array.from({ length: readCount(reader, type.shortest) }, () => read(type.of, reader));
  const tag = Number(littleEndian(take(reader, 4)));
  if (tag >= type.variants.length) throw new NotEncoded(`no variant has the tag ${tag}`);
  const [name, fields] = type.variants[tag];
  return { [name]: read(fields, reader) };
}

/** A count is compared with what is left before anything is made of it. */
function readCount(reader, shortest) {
  const count = littleEndian(take(reader, 8));
  if (count * BigInt(shortest) > BigInt(reader.bytes.length - reader.at)) throw new NotEncoded('a count is too large');
  return Number(count);
}

function take(reader, length) {
  const end = reader.at + length;
  if (end > reader.bytes.length) throw new NotEncoded('bytes are missing');
  const taken = reader.bytes.subarray(reader.at, end);
  reader.at = end;
  return taken;
}
