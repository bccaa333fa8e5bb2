// SHA-512 (FIPS 180-4), for the challenge in a signature. Short rather than quick: it sees one message at a time.

const MASK = (1n << 64n) - 1n;
const PRIMES = firstPrimes(80);
const K = PRIMES.map((prime) => root(prime, 3));
const START = PRIMES.slice(0, 8).map((prime) => root(prime, 2));

/** The 64 bytes of the hash of some bytes. */
export function sha512(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 17) / 128) * 128);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const state = [...START];
  for (let at = 0; at < padded.length; at += 128) compress(state, view, at);
  const out = new DataView(new ArrayBuffer(64));
  state.forEach((word, at) => out.setBigUint64(8 * at, word));
  return new Uint8Array(out.buffer);
}

function compress(state, view, at) {
  const words = Array.from({ length: 16 }, (_, t) => view.getBigUint64(at + 8 * t));
  for (let t = 16; t < 80; t += 1) {
    const [w, x] = [words[t - 15], words[t - 2]];
    const s0 = rotate(w, 1n) ^ rotate(w, 8n) ^ (w >> 7n);
    const s1 = rotate(x, 19n) ^ rotate(x, 61n) ^ (x >> 6n);
    words.push((words[t - 16] + s0 + words[t - 7] + s1) & MASK);
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 80; t += 1) {
    const s1 = rotate(e, 14n) ^ rotate(e, 18n) ^ rotate(e, 41n);
    const one = h + s1 + ((e & f) ^ (~e & MASK & g)) + K[t] + words[t];
    const s0 = rotate(a, 28n) ^ rotate(a, 34n) ^ rotate(a, 39n);
    const two = s0 + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) & MASK, c, b, a, (one + two) & MASK];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => {
    state[i] = (state[i] + word) & MASK;
  });
}

function rotate(word, by) {
  return ((word >> by) | (word << (64n - by))) & MASK;
}

function firstPrimes(count) {
  const primes = [];
  for (let n = 2; primes.length < count; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
  return primes;
}

/** 64 bits after the point of a prime's root. */
function root(prime, power) {
  const value = BigInt(prime) << BigInt(64 * power);
  let [low, high] = [0n, 1n << 70n];
  while (low + 1n < high) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(power) <= value) low = middle;
    else high = middle;
  }
  return low & MASK;
}
