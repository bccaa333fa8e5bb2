// Bytes, hex digits and numbers. Nothing here knows the protocol.

/** Bytes as lower-case hex digits. */
export function hex(bytes) {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Hex digits as bytes. Throws on anything else. */
export function unhex(text) {
  if (text.length % 2 || !/^[0-9a-f]*$/i.test(text)) throw new Error('these are no hex digits');
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** All of them, one after the other. */
export function concat(...parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** UTF-8. */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/** The number that these bytes are, least significant first. */
export function littleEndian(bytes) {
  return bytes.length ? BigInt(`0x${hex(Uint8Array.from(bytes).reverse())}`) : 0n;
}

/** The number that these bytes are, most significant first. */
export function bigEndian(bytes) {
  return bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n;
}

/** A number in this many bytes, least significant first. Throws if it does not fit. */
export function toLittleEndian(number, width) {
  const value = BigInt(number);
  if (value < 0n || value >> BigInt(8 * width)) throw new Error(`${value} does not fit ${width} bytes`);
  return unhex(value.toString(16).padStart(2 * width, '0')).reverse();
}
