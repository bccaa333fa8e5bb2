// Keccak-256 with the original padding: the checksum in an address's letters (EIP-55) and nothing else. Slow and short.

const RATE = 136;
const MASK = (1n << 64n) - 1n;
const CONSTANTS = roundConstants();

/** The hash of some bytes. */
export function keccak256(bytes) {
  const padded = new Uint8Array((Math.floor(bytes.length / RATE) + 1) * RATE);
  padded.set(bytes);
  padded[bytes.length] |= 0x01;
  padded[padded.length - 1] |= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = Array.from({ length: 25 }, () => 0n);
  for (let at = 0; at < padded.length; at += RATE) {
    for (let i = 0; i < RATE / 8; i += 1) lanes[i] ^= view.getBigUint64(at + 8 * i, true);
    permute(lanes);
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i += 1) out.setBigUint64(8 * i, lanes[i], true);
  return new Uint8Array(out.buffer);
}

/** Lane (x, y) is at x + 5 y. */
function permute(lanes) {
  for (const constant of CONSTANTS) {
    const parity = [0, 1, 2, 3, 4].map((x) => [0, 5, 10, 15, 20].reduce((all, y) => all ^ lanes[x + y], 0n));
    for (let x = 0; x < 5; x += 1) {
      const mixed = parity[(x + 4) % 5] ^ rotate(parity[(x + 1) % 5], 1);
      for (let y = 0; y < 25; y += 5) lanes[x + y] ^= mixed;
    }
    let [x, y, current] = [1, 0, lanes[1]];
    for (let t = 0; t < 24; t += 1) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const at = x + 5 * y;
      [current, lanes[at]] = [lanes[at], rotate(current, (((t + 1) * (t + 2)) / 2) % 64)];
    }
    for (let row = 0; row < 25; row += 5) {
      const old = lanes.slice(row, row + 5);
      for (let i = 0; i < 5; i += 1) lanes[row + i] = old[i] ^ (~old[(i + 1) % 5] & MASK & old[(i + 2) % 5]);
    }
    lanes[0] ^= constant;
  }
}

function rotate(lane, by) {
  return ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & MASK;
}

function roundConstants() {
  let register = 1;
  return Array.from({ length: 24 }, () => {
    let constant = 0n;
    for (let j = 0; j < 7; j += 1) {
      constant |= BigInt(register & 1) << BigInt(2 ** j - 1);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
    return constant;
  });
}
