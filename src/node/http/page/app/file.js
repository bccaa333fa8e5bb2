// Fingerprints of files, made here: the file never leaves the page, and never has to fit into memory.

import { hex } from '../protocol/bytes.js';
import { Sha256 } from '../protocol/sha256.js';

const PIECE_BYTES = 1 << 20;

/** The SHA-256 of a file in hex. `progress` hears of each percent. */
export async function hashFile(file, progress = () => {}) {
  // For files that fit into memory the browser's own is several times as fast; it is missing on pages that are not
  // secure.
  if (globalThis.crypto?.subtle && file.size <= 64 * PIECE_BYTES) {
    return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer())));
  }
  const hash = new Sha256();
  for (let at = 0; at < file.size; at += PIECE_BYTES) {
    hash.update(new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer()));
    progress(Math.floor((100 * Math.min(file.size, at + PIECE_BYTES)) / file.size));
  }
  return hex(hash.digest());
}
