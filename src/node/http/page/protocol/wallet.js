// Opens a wallet's file: an Ed25519 key in PKCS#8 PEM form, plain or encrypted by PBES2, as quipu and OpenSSL write it.
//
// All of it happens here, with WebCrypto: PBKDF2, AES-CBC, Ed25519 (RFC 8018, 5958, 8410). The key that signs can't be
// read out again, and decrypted bytes are overwritten. The cost that a file claims is bounded before anything is
// computed.

import { hex } from './bytes.js';

const FILE_CHARS_MAX = 64 << 10;
/** As in the node: more would be an attack on the reader of the file. */
const ITERATIONS_MAX = 10_000_000;
const ED25519 = '1.3.101.112';
const PBES2 = '1.2.840.113549.1.5.13';
const PBKDF2 = '1.2.840.113549.1.5.12';
const SCRYPT = '1.3.6.1.4.1.11591.4.11';
const HASHES = new Map([
  ['1.2.840.113549.2.7', 'SHA-1'],
  ['1.2.840.113549.2.9', 'SHA-256'],
  ['1.2.840.113549.2.10', 'SHA-384'],
  ['1.2.840.113549.2.11', 'SHA-512'],
]);
/** AES in CBC mode: the bits of its key. */
const CIPHERS = new Map([
  ['2.16.840.1.101.3.4.1.2', 128],
  ['2.16.840.1.101.3.4.1.42', 256],
]);
/** The bytes before the 32 bytes of a key in PKCS#8, version 1. */
const PRIVATE_PREFIX = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const TAGS = { integer: 2, octets: 4, oid: 6, sequence: 0x30 };

/** The reason why a wallet's file does not open. The message says what to do. */
export class WalletError extends Error {}

/** The reason why this browser can't sign, or null if it can. */
export async function signingProblem() {
  if (!globalThis.crypto?.subtle) {
    return 'Browsers sign only on pages that they call secure: on the node’s own machine, open http://127.0.0.1 or localhost. This page came from another address.';
  }
  try {
    await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
    return null;
  } catch {
    return 'This browser has no Ed25519: use a newer one.';
  }
}

/** Whether the text of a file needs a password. Throws `WalletError` if it is no wallet. */
export function isEncrypted(text) {
  return privateBlock(text).label === 'ENCRYPTED PRIVATE KEY';
}

/** The key in a file: its public half (hex), and `sign(bytes)`, which gives the signature (hex). */
export async function openWallet(text, password) {
  const { label, der } = privateBlock(text);
  const plain = label === 'PRIVATE KEY' ? der : await decrypt(der, password);
  const seed = seedOf(plain);
  const standard = Uint8Array.from([...PRIVATE_PREFIX, ...seed]);
  try {
    const readable = await crypto.subtle.importKey('pkcs8', standard, 'Ed25519', true, ['sign']);
    const { x } = await crypto.subtle.exportKey('jwk', readable);
    const key = await crypto.subtle.importKey('pkcs8', standard, 'Ed25519', false, ['sign']);
    return {
      publicKey: hex(fromBase64(x.replaceAll('-', '+').replaceAll('_', '/'))),
      sign: async (bytes) => hex(new Uint8Array(await crypto.subtle.sign('Ed25519', key, bytes))),
    };
  } finally {
    for (const secret of [plain, seed, standard]) secret.fill(0);
  }
}

/** The first private key of a PEM text, decoded. */
function privateBlock(text) {
  if (text.length > FILE_CHARS_MAX) throw new WalletError('this is too long for a wallet’s file: choose another');
  const found = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----([\sA-Za-z0-9+/=]*)-----END \1-----/.exec(text);
  if (!found)
    throw new WalletError(
      'this is no wallet: choose a PEM file with a private key, such as wallets/default.pem of the data folder',
    );
  const [, label, body] = found;
  if (label !== 'PRIVATE KEY' && label !== 'ENCRYPTED PRIVATE KEY') {
    throw new WalletError(`this is another kind of key (${label.toLowerCase()}): choose an Ed25519 key in PKCS#8 form`);
  }
  try {
    return { label, der: fromBase64(body.replace(/\s/g, '')) };
  } catch {
    throw damaged();
  }
}

function damaged() {
  return new WalletError('this file is damaged: use a copy of it, or the recovery phrase with `quipu wallet import`');
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

async function decrypt(der, password) {
  const { derivation, cipher, ciphertext } = readEncrypted(der);
  const secret = new TextEncoder().encode(password);
  try {
    const base = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveKey']);
    const key = await crypto.subtle.deriveKey(
      { name: 'PBKDF2', ...derivation },
      base,
      { name: 'AES-CBC', length: cipher.bits },
      false,
      ['decrypt'],
    );
    const plain = await crypto.subtle.decrypt({ name: 'AES-CBC', iv: cipher.iv }, key, ciphertext);
    return new Uint8Array(plain);
  } catch {
    throw new WalletError('the password is wrong (or the file was changed): type it again');
  } finally {
    secret.fill(0);
  }
}

/** EncryptedPrivateKeyInfo with PBES2. */
function readEncrypted(der) {
  const [info] = elements(der);
  const [algorithm, encrypted] = elements(part(info, TAGS.sequence));
  const [scheme, parameters] = elements(part(algorithm, TAGS.sequence));
  const old =
    'its encryption is outdated: rewrite it with `openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256`';
  if (oid(scheme) !== PBES2) throw new WalletError(old);
  const [kdf, cipher] = elements(part(parameters, TAGS.sequence));
  const [kdfName, kdfParameters] = elements(part(kdf, TAGS.sequence));
  if (oid(kdfName) === SCRYPT) {
    throw new WalletError(
      'its password goes through scrypt, which browsers do not have: take it in with `quipu wallet import`, which writes PBKDF2',
    );
  }
  if (oid(kdfName) !== PBKDF2) throw new WalletError(old);
  const [cipherName, iv] = elements(part(cipher, TAGS.sequence));
  const bits = CIPHERS.get(oid(cipherName));
  if (!bits) throw new WalletError(`its cipher is not AES-256-CBC: ${old}`);
  return {
    derivation: readDerivation(part(kdfParameters, TAGS.sequence), old),
    cipher: { bits, iv: part(iv, TAGS.octets) },
    ciphertext: part(encrypted, TAGS.octets),
  };
}

/** PBKDF2-params: salt, iterations, maybe the key's length, maybe the hash (SHA-1 if nothing is said). */
function readDerivation(content, old) {
  const [salt, rounds, ...more] = elements(content);
  const iterations = part(rounds, TAGS.integer).reduce((sum, byte) => sum * 256 + byte, 0);
  if (iterations < 1 || iterations > ITERATIONS_MAX)
    throw new WalletError('opening it would take too long: its file claims too many iterations');
  const prf = more.find(({ tag }) => tag === TAGS.sequence);
  const hash = prf ? HASHES.get(oid(elements(prf.content)[0])) : 'SHA-1';
  if (!hash) throw new WalletError(old);
  return { salt: part(salt, TAGS.octets), iterations, hash };
}

/** The 32 bytes of the key in PrivateKeyInfo, version 1 or 2. */
function seedOf(der) {
  const [info] = elements(der);
  const [version, algorithm, key] = elements(part(info, TAGS.sequence));
  if (!['0', '1'].includes(part(version, TAGS.integer).join())) throw damaged();
  const kind = oid(elements(part(algorithm, TAGS.sequence))[0]);
  if (kind !== ED25519) throw new WalletError('this is not an Ed25519 key: choose another file');
  const seed = part(elements(part(key, TAGS.octets))[0], TAGS.octets);
  if (seed.length !== 32) throw damaged();
  return seed.slice();
}

/** The elements of some DER (X.690), each with its tag and content. */
function elements(der) {
  const found = [];
  for (let at = 0; at < der.length;) {
    const tag = der[at];
    let length = der[at + 1];
    at += 2;
    if (length >= 0x80) {
      const width = length & 0x7f;
      if (width < 1 || width > 3) throw damaged();
      length = der.subarray(at, at + width).reduce((sum, byte) => sum * 256 + byte, 0);
      at += width;
    }
    if (!(at + length <= der.length)) throw damaged();
    found.push({ tag, content: der.subarray(at, at + length) });
    at += length;
  }
  return found;
}

function part(element, tag) {
  if (element?.tag !== tag) throw damaged();
  return element.content;
}

/** An object identifier with its dots. */
function oid(element) {
  const [first, ...rest] = part(element, TAGS.oid);
  const numbers = [Math.min(Math.floor(first / 40), 2)];
  numbers.push(first - 40 * numbers[0]);
  let number = 0;
  for (const byte of rest) {
    number = number * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      numbers.push(number);
      number = 0;
    }
  }
  return numbers.join('.');
}
