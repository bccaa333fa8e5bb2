// Verifies Ed25519 signatures by the rules of ZIP 215: section 3 of the specification, to the letter.
//
// A browser's own Ed25519 judges some odd signatures differently, and a receipt must not be good for one reader and bad
// for the next. Signing is not here: that is the browser's, which keeps the key from the page. All data is public, so
// nothing has to take the same time.

import { concat, littleEndian } from './bytes.js';
import { sha512 } from './sha512.js';

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, P - 2n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
const NEUTRAL = { x: 0n, y: 1n, z: 1n, t: 0n };
const BASE = basePoint();

/** Whether this key signed this message. */
export function verifies(key, message, signature) {
  const [commitment, answer] = [signature.slice(0, 32), littleEndian(signature.slice(32))];
  const [a, r] = [decodePoint(key), decodePoint(commitment)];
  if (!a || !r || answer >= L) return false;
  const challenge = littleEndian(sha512(concat(commitment, key, message))) % L;
  const left = multiply(8n * answer, BASE);
  const right = multiply(8n, add(r, multiply(challenge, a)));
  return mod(left.x * right.z - right.x * left.z) === 0n && mod(left.y * right.z - right.y * left.z) === 0n;
}

/** A point of the curve, or null; y may be written as more than P, and x = 0 with its sign. */
function decodePoint(bytes) {
  const number = littleEndian(bytes);
  const y = mod(number & ((1n << 255n) - 1n));
  const square = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x - square) !== 0n) x = mod(x * ROOT_OF_MINUS_ONE);
  if (mod(x * x - square) !== 0n) return null;
  if ((x & 1n) !== number >> 255n) x = mod(-x);
  return { x, y, z: 1n, t: mod(x * y) };
}

function basePoint() {
  const y = mod(4n * power(5n, P - 2n));
  const bytes = Uint8Array.from({ length: 32 }, (_, at) => Number((y >> BigInt(8 * at)) & 255n));
  return decodePoint(bytes);
}

/** In extended coordinates (Hisil and others, 2008): complete, so it doubles too. */
function add(one, other) {
  const a = mod((one.y - one.x) * (other.y - other.x));
  const b = mod((one.y + one.x) * (other.y + other.x));
  const c = mod(2n * D * one.t * other.t);
  const d = mod(2n * one.z * other.z);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(scalar, point) {
  let [result, doubled] = [NEUTRAL, point];
  for (let left = scalar; left > 0n; left >>= 1n) {
    if (left & 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

function power(base, exponent) {
  let [result, square] = [1n, mod(base)];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(number) {
  const rest = number % P;
  return rest < 0n ? rest + P : rest;
}
