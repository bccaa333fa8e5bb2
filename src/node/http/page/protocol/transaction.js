// Transactions: their bytes, their ids, and the rules they keep on their own. Section 8 of the specification.

import { addressOf } from './address.js';
import { concat, hex, unhex, utf8 } from './bytes.js';
import { verifies } from './ed25519.js';
import { SIGNED_TRANSACTION, TRANSACTION, TRANSACTION_BYTES_MAX, decode, encode } from './encode.js';
import { RECORD_BYTES_MAX } from './record.js';
import { sha256 } from './sha256.js';

// The length of the namespace as a varint, and the namespace.
const FRAME = '\x13quipu transaction 2';

/** The bytes to sign: the framed namespace, the network, the transaction without its signature. `genesis` is an id in hex. */
export function signingBytes(genesis, transaction) {
  return concat(utf8(FRAME), unhex(genesis), encode(TRANSACTION, transaction));
}

/** The id, in hex. */
export function transactionId(genesis, transaction) {
  return hex(sha256(signingBytes(genesis, transaction)));
}

/** The sender. */
export function senderOf(transaction) {
  return addressOf(transaction.sender.ed25519);
}

/** The signed transaction that these bytes are. Throws `NotEncoded` (R1). */
export function decodeSigned(bytes) {
  return decode(SIGNED_TRANSACTION, bytes, TRANSACTION_BYTES_MAX);
}

/** The rule on its form that it breaks (`R8`, `R9`, `R3`), or null. */
export function brokenForm(network, { fee, action }) {
  if (BigInt(fee) < network.fee_min) return 'R8';
  if (action.transfer && BigInt(action.transfer.amount) === 0n) return 'R9';
  if (action.record && action.record.data.length > 2 * RECORD_BYTES_MAX) return 'R3';
  return null;
}

/** Whether its signature is its sender's, on this network (R10). */
export function isSigned(network, signed) {
  const message = signingBytes(network.genesis_id, signed);
  return verifies(unhex(signed.sender.ed25519), message, unhex(signed.signature.ed25519));
}
