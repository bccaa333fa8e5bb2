// Base64 by RFC 4648, section 4, where each text stands for its own bytes: with padding, and unused bits are zero.

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const PADDING = '=';
/** The six bits of each character code. */
const BITS = new Int8Array(128).fill(-1);
for (let at = 0; at < ALPHABET.length; at += 1) BITS[ALPHABET.charCodeAt(at)] = at;

/** The bytes of a text. Throws on anything else than their one encoding. */
export function fromBase64(text) {
  const padding = text.endsWith(PADDING) ? (text.endsWith(PADDING + PADDING) ? 2 : 1) : 0;
  const digits = text.length - padding;
  if (text.length % 4) throw new Error('this is no Base64');
  const bytes = new Uint8Array((3 * text.length) / 4 - padding);
  let [held, bits, filled] = [0, 0, 0];
  for (let at = 0; at < digits; at += 1) {
    const six = BITS[text.charCodeAt(at)] ?? -1;
    if (six < 0) throw new Error('this is no Base64');
    held = ((held << 6) | six) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[filled] = held >> bits;
      filled += 1;
    }
  }
  if (held & ((1 << bits) - 1)) throw new Error('unused bits are not zero');
  return bytes;
}
