// SHA-256 (FIPS 180-4), tagged hashes (BIP-340), and the Merkle tree hash of RFC 6962.
//
// The browser's own is asynchronous and missing on pages that are not secure (a node's LAN address); a receipt has to be
// verified there too, and a lesson hashes many short things. It only ever sees public data.

import { concat, utf8 } from './bytes.js';

const BLOCK = 64;
/** The fractional parts of the cube roots of the first 64 primes. */
const K = roots(64, 3);
/** Those of the square roots of the first eight. */
const START = roots(8, 2);

/** 32 bits after the point of a root of each prime, in integers alone. */
function roots(count, power) {
  const found = [];
  for (let n = 2; found.length < count; n += 1) {
    if (!isPrime(n)) continue;
    found.push(Number(integerRoot(BigInt(n) << BigInt(32 * power), power) & 0xffffffffn) | 0);
  }
  return Int32Array.from(found);
}

function isPrime(n) {
  for (let d = 2; d * d <= n; d += 1) if (n % d === 0) return false;
  return true;
}

function integerRoot(value, power) {
  let [low, high] = [0n, 1n << 40n];
  while (low + 1n < high) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(power) <= value) low = middle;
    else high = middle;
  }
  return low;
}

/** A hash that takes its input in pieces. */
export class Sha256 {
  #state = Int32Array.from(START);
  #words = new Int32Array(64);
  #block = new Uint8Array(BLOCK);
  #filled = 0;
  #length = 0;

  /** Takes more input. */
  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const taken = Math.min(BLOCK - this.#filled, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === BLOCK) this.#compress();
    }
    return this;
  }

  /** The 32 bytes. Takes no more input. */
  digest() {
    const bits = BigInt(this.#length) * 8n;
    const zeros = (2 * BLOCK - 9 - this.#filled) % BLOCK;
    const tail = new Uint8Array(1 + zeros + 8);
    tail[0] = 0x80;
    new DataView(tail.buffer).setBigUint64(1 + zeros, bits);
    this.update(tail);
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, at) => out.setInt32(4 * at, word));
    return new Uint8Array(out.buffer);
  }

  #compress() {
    const words = this.#words;
    const view = new DataView(this.#block.buffer);
    for (let t = 0; t < 16; t += 1) words[t] = view.getInt32(4 * t);
    for (let t = 16; t < 64; t += 1) {
      const [w, x] = [words[t - 15], words[t - 2]];
      const s0 = ((w >>> 7) | (w << 25)) ^ ((w >>> 18) | (w << 14)) ^ (w >>> 3);
      const s1 = ((x >>> 17) | (x << 15)) ^ ((x >>> 19) | (x << 13)) ^ (x >>> 10);
      words[t] = (words[t - 16] + s0 + words[t - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + words[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => {
      this.#state[at] += word;
    });
    this.#filled = 0;
  }
}

/** The hash of some bytes. */
export function sha256(bytes) {
  return new Sha256().update(bytes).digest();
}

/** A tagged hash: what it is for is part of it. */
export function tagged(tag, bytes) {
  const prefix = sha256(utf8(tag));
  return sha256(concat(prefix, prefix, bytes));
}

/** A leaf of a Merkle tree. */
export function leaf(bytes) {
  return sha256(concat(Uint8Array.of(0), bytes));
}

/** A node of a Merkle tree. */
export function node(left, right) {
  return sha256(concat(Uint8Array.of(1), left, right));
}

/** The root over leaves. */
export function merkleRoot(leaves) {
  if (leaves.length === 0) return sha256(new Uint8Array());
  if (leaves.length === 1) return leaves[0];
  let split = 1;
  while (2 * split < leaves.length) split *= 2;
  return node(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}
