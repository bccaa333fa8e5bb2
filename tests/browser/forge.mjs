// A receipt of a network that calls itself like another one: all that its proof shows is right. Anybody can make one.

import { generateKeyPairSync, sign } from 'node:crypto';

import { bigEndian, concat, hex, toLittleEndian, unhex } from '../../src/node/http/page/protocol/bytes.js';
import { CONTEXT, HEADER, REWARD, SIGNED_TRANSACTION, encode } from '../../src/node/http/page/protocol/encode.js';
import { historyLeaf, historyRoot } from '../../src/node/http/page/protocol/history.js';
import { NO_OUTCOME, makeNetwork, parametersOf, rootOf } from '../../src/node/http/page/protocol/network.js';
import { leaf, sha256 } from '../../src/node/http/page/protocol/sha256.js';
import { expand } from '../../src/node/http/page/protocol/target.js';
import { signingBytes } from '../../src/node/http/page/protocol/transaction.js';

const SPACING = 1000;

/** The receipt of a transfer in block 1, on a chain of that network's name and another genesis block. */
export function forgedReceipt(name) {
  const given = {
    name,
    genesis_time: 1793491200001,
    target_spacing: 10000,
    half_life: 0,
    grace: 60000,
    easiest_target: 0x2100ffff,
    future_time_max: 60000,
    subsidy: '1',
    fee_min: '0',
    block_bytes_max: 1048576,
    opening_balances: [],
    contracts: null,
  };
  const network = makeNetwork(parametersOf(given));
  const signed = signedTransfer(network);
  const context = { history: hex(historyRoot([historyLeaf(network.genesis_id, 0n)])), outcome: NO_OUTCOME };
  const reward = { to: '11'.repeat(20), amount: '100000000' };
  const { genesis } = network;
  const block = mined({
    version: 2,
    height: '1',
    parent: network.genesis_id,
    root: rootOf({ context, reward, transactions: [signed] }),
    timestamp: String(BigInt(genesis.timestamp) + BigInt(SPACING)),
    target: genesis.target,
    nonce: '0',
  });
  const inclusion = [varint(1), varint(2), leaf(encode(REWARD, reward))];
  const first = encode(HEADER, genesis).subarray(12);
  const next = [unhex(block.root), varint(SPACING), toLittleEndian(block.target, 4), toLittleEndian(block.nonce, 8)];
  const proof = concat(...inclusion, varint(1), varint(1), leaf(encode(CONTEXT, context)), first, ...next);
  const base64 = (bytes) => Buffer.from(bytes).toString('base64');
  return JSON.stringify({
    quipu_receipt: 2,
    network: given,
    genesis: network.genesis_id,
    transaction: base64(encode(SIGNED_TRANSACTION, signed)),
    form: 'full',
    proof: base64(proof),
    tip: idOf(block),
  });
}

function signedTransfer(network) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex');
  const action = { transfer: { to: '22'.repeat(20), amount: '150000000' } };
  const transaction = { sender: { ed25519: key }, nonce: '0', fee: '0', action };
  const signature = sign(null, signingBytes(network.genesis_id, transaction), privateKey).toString('hex');
  return { ...transaction, signature: { ed25519: signature } };
}

/** A header with a nonce that makes it fit its target. */
function mined(header) {
  for (let nonce = 0n; ; nonce += 1n) {
    const tried = { ...header, nonce: nonce.toString() };
    if (bigEndian(unhex(idOf(tried))) <= expand(header.target)) return tried;
  }
}

function idOf(header) {
  return hex(sha256(encode(HEADER, header)));
}

/** LEB128. */
function varint(number) {
  const bytes = [];
  let rest = number;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.of(...bytes, rest);
}
