// The page's JavaScript against the specification's vectors. Run with `node --test tests/browser`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { indented } from '../../src/node/http/page/app/format.js';
import { CONFUSING, harmless } from '../../src/node/http/page/app/harmless.js';
import {
  addressOf,
  addressText,
  amountText,
  parseAddress,
  parseAmount,
} from '../../src/node/http/page/protocol/address.js';
import { hex, unhex, utf8 } from '../../src/node/http/page/protocol/bytes.js';
import * as encoding from '../../src/node/http/page/protocol/encode.js';
import { historyLeaf } from '../../src/node/http/page/protocol/history.js';
import { AMOUNTS, makeNetwork, openingAccounts, parametersOf } from '../../src/node/http/page/protocol/network.js';
import { Refuted, hasBlock, verifyReceipt } from '../../src/node/http/page/protocol/receipt.js';
import { readRecord, writeRecord } from '../../src/node/http/page/protocol/record.js';
import * as rules from '../../src/node/http/page/protocol/rules.js';
import { Sha256, leaf, merkleRoot, sha256, tagged } from '../../src/node/http/page/protocol/sha256.js';
import { compress, expand, targetAfter, targetText, work } from '../../src/node/http/page/protocol/target.js';
import {
  brokenForm,
  decodeSigned,
  isSigned,
  senderOf,
  signingBytes,
  transactionId,
} from '../../src/node/http/page/protocol/transaction.js';

const load = (name) =>
  JSON.parse(readFileSync(new URL(`../../protocol/vectors/${name}.json`, import.meta.url), 'utf8'));

/** Bytes from hex digits, or from a list of parts. */
export function plain(data) {
  const parts = typeof data === 'string' ? [data] : data;
  return unhex(parts.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join(''));
}

const TYPES = {
  header: encoding.HEADER,
  context: encoding.CONTEXT,
  reward: encoding.REWARD,
  signed_transaction: encoding.SIGNED_TRANSACTION,
  block: encoding.BLOCK,
};

/** The networks that the vectors name. */
const networks = new Map(
  load('networks').cases.map((given) => {
    // Amounts are units there, but in the opening balances.
    const amounts = Object.fromEntries(AMOUNTS.map((name) => [name, BigInt(given[name])]));
    return [given.name, makeNetwork({ ...parametersOf({ ...given, subsidy: '0', fee_min: '0' }), ...amounts })];
  }),
);

/** Targets are numbers here and text in the vectors. */
const numbered = (value) => JSON.parse(JSON.stringify(value), (key, part) => (key === 'target' ? Number(part) : part));

test('values have their one encoding', () => {
  const cases = load('encodings').accepted.filter(({ type }) => TYPES[type]);
  assert.ok(cases.length >= 4);
  for (const { type, value, bytes } of cases) {
    assert.equal(hex(encoding.encode(TYPES[type], numbered(value))), hex(plain(bytes)), type);
    assert.deepEqual(encoding.decode(TYPES[type], plain(bytes)), numbered(value), type);
  }
});

test('other bytes are refused', () => {
  const cases = load('encodings').refused.filter(({ type }) => TYPES[type]);
  assert.ok(cases.length >= 4);
  for (const { type, bytes, name } of cases) {
    assert.throws(() => encoding.decode(TYPES[type], plain(bytes), 6291520), encoding.NotEncoded, name);
  }
});

test('hashes, ids and roots are those of the specification', () => {
  const { tagged: cases, block_ids: ids } = load('hashes');
  for (const { tag, message, hash } of cases) assert.equal(hex(tagged(tag, unhex(message))), hash);
  for (const { header, id } of ids) assert.equal(hex(sha256(unhex(header))), id);
  for (const one of load('merkle').cases) {
    const leaves = one.leaves.map((data) => leaf(plain(data)));
    assert.equal(hex(merkleRoot(leaves)), one.root);
  }
});

test('a hash of pieces is the hash of the whole, as the platform has it', async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 70000]) {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 255);
    const wanted = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
    const split = Math.floor(length / 3);
    assert.equal(hex(new Sha256().update(bytes.subarray(0, split)).update(bytes.subarray(split)).digest()), wanted);
  }
});

test('targets, work and retargeting', () => {
  const cases = load('targets');
  for (const { compact, bound, work: wanted } of cases.compact) {
    assert.equal(expand(Number(compact)), BigInt(`0x${bound}`));
    assert.equal(work(Number(compact)).toString(), wanted);
  }
  for (const compact of cases.refused) assert.equal(expand(Number(compact)), null, String(compact));
  for (const { bound, compact } of cases.compress) {
    assert.equal(targetText(compress(BigInt(`0x${bound}`))), compact);
  }
  for (const one of cases.retarget) {
    const parameters = {
      target_spacing: BigInt(one.spacing),
      half_life: BigInt(one.half_life),
      grace: BigInt(one.grace),
      easiest_target: Number(one.easiest),
    };
    const next = targetAfter(parameters, Number(one.parent_target), BigInt(one.before), BigInt(one.since));
    assert.equal(targetText(next), one.target, one.name);
  }
});

test('records say what the specification says', () => {
  const { read } = load('records');
  assert.ok(read.length > 20);
  for (const { name, data, says } of read) assert.deepEqual(readRecord(plain(data)), says, name);
});

test('records are written as the specification writes them', () => {
  const { read, refused } = load('records');
  for (const { name, data, says, written } of read) {
    assert.equal(hex(writeRecord(says.tags, says.content)), hex(plain(written ?? data)), name);
  }
  for (const { name, tags, content, reason } of refused) {
    assert.throws(
      () => writeRecord(tags, content),
      (error) => error.code === reason,
      name,
    );
  }
});

test('a text is found by a file that holds it', () => {
  assert.equal(readRecord(utf8('hello')).content_hash, hex(sha256(utf8('hello'))));
});

test('networks have their encoding and their genesis block', () => {
  for (const given of load('networks').cases) {
    const network = networks.get(given.name);
    assert.equal(hex(network.encoding), given.encoding, given.name);
    assert.equal(network.genesis_id, given.genesis_id, given.name);
  }
});

test('addresses and amounts are read and written as people know them', () => {
  const addresses = load('addresses');
  for (const { public_key: key, address } of addresses.of_keys) assert.equal(addressOf(key), address);
  for (const { text, bytes } of addresses.accepted) assert.equal(hex(parseAddress(text)), bytes, text);
  for (const text of addresses.refused) assert.throws(() => parseAddress(text), text);
  assert.equal(addressText(parseAddress(addresses.accepted[0].text)), addresses.accepted[0].text);
  const amounts = load('amounts');
  for (const { text, units } of amounts.shown) {
    assert.equal(amountText(BigInt(units)), text);
    assert.equal(parseAmount(text).toString(), units);
  }
  for (const { text, units } of amounts.accepted) assert.equal(parseAmount(text).toString(), units, text);
  for (const text of amounts.refused) assert.throws(() => parseAmount(text), text);
});

/** The first rule that bytes break as a transaction on their own, or null. */
function brokenRule(network, bytes) {
  let signed;
  try {
    signed = decodeSigned(bytes);
  } catch {
    return 'R1';
  }
  return brokenForm(network, signed) ?? (isSigned(network, signed) ? null : 'R10');
}

test('transactions are accepted and refused by the rules of the specification', () => {
  for (const { name, network: called, bytes, accept, reject } of load('transactions').cases) {
    const network = networks.get(called);
    const data = plain(bytes);
    assert.equal(brokenRule(network, data), reject ?? null, name);
    if (!accept) continue;
    const signed = decodeSigned(data);
    assert.equal(transactionId(network.genesis_id, signed), accept.id, name);
    assert.equal(hex(leaf(data)), accept.leaf, name);
    assert.equal(senderOf(signed), accept.sender, name);
    assert.equal(hex(encoding.encode(encoding.SIGNED_TRANSACTION, signed)), hex(data), name);
    assert.equal(hex(sha256(signingBytes(network.genesis_id, signed))), accept.id, name);
  }
});

test('receipts prove what the specification says, or nothing for its reason', () => {
  const { cases } = load('receipts');
  assert.ok(cases.length > 40);
  for (const { name, receipt, accept, reject } of cases) {
    if (accept) {
      const proven = verifyReceipt(receipt);
      const { action, shown, ...facts } = proven;
      assert.ok(action.record || action.transfer);
      assert.deepEqual(facts, accept, name);
      assert.deepEqual([shown[0], shown.at(-1)], [accept.block, accept.tip], name);
      assert.deepEqual(
        [accept.block, accept.tip, accept.id].map((id) => hasBlock(proven, id)),
        [true, true, false],
        name,
      );
    } else {
      const isReason = (error) =>
        error instanceof Refuted && error.reason === reject.reason && error.unreadable === reject.unreadable;
      assert.throws(() => verifyReceipt(receipt), isReason, `${name}: ${JSON.stringify(reject)}`);
    }
  }
});

/** What becomes of blocks that are offered in order to a node that has genesis alone. */
function replay(network, now, blocks) {
  const header = { ...network.genesis, interval: network.target_spacing };
  const leaves = [historyLeaf(network.genesis_id, 0n)];
  const genesis = { header, work: 0n, accounts: openingAccounts(network), leaves };
  const nodes = new Map([[network.genesis_id, genesis]]);
  let tip = network.genesis_id;
  for (const [at, bytes] of blocks.entries()) {
    try {
      const block = rules.decodeBlock(bytes);
      const id = rules.blockId(block.header);
      if (nodes.has(id)) continue;
      rules.checkHeader(network, block.header);
      const parent = nodes.get(block.header.parent);
      rules.checkPlace(network, block.header, parent.header, now);
      rules.checkBody(network, block);
      rules.checkContext(block, parent.leaves);
      const leaves = [...parent.leaves, historyLeaf(id, work(block.header.target))];
      const accounts = rules.connect(network, block, parent.accounts);
      const interval = BigInt(block.header.timestamp) - BigInt(parent.header.timestamp);
      nodes.set(id, { header: { ...block.header, interval }, work: parent.work + work(block.header.target), accounts, leaves });
      if (nodes.get(id).work > nodes.get(tip).work) tip = id;
    } catch (error) {
      if (!(error instanceof rules.Broken)) throw error;
      return { reject: { block: at, rule: error.rule } };
    }
  }
  const best = nodes.get(tip);
  const accounts = [...best.accounts].map(([address, { balance, nonce }]) => ({
    address,
    balance: `${balance}`,
    nonce: `${nonce}`,
  }));
  return { accept: { tip, height: best.header.height, work: best.work.toString(), accounts } };
}

test('chains are accepted, and blocks refused, by the rules of the specification', () => {
  const byAddress = (one, other) => (one.address.toLowerCase() < other.address.toLowerCase() ? -1 : 1);
  for (const { name, network, now, blocks, accept, reject } of load('chains').cases) {
    const found = replay(networks.get(network), BigInt(now), blocks.map(plain));
    if (reject) {
      assert.deepEqual(found, { reject: { block: reject.block, rule: reject.rule } }, name);
    } else {
      found.accept.accounts.sort(byAddress);
      assert.deepEqual(found.accept, accept, name);
    }
  }
});

test('JSON is laid out with its tokens as they were written', () => {
  const text = '{"n":12345678901234567890123,"t":1.10, "2":[],"1":[-0e1,"a\\"{,:b"],"o":{}}';
  const shown = indented(text);
  assert.equal(shown.replace(/\s/g, ''), text.replace(/\s/g, ''));
  assert.equal(shown.split('\n').length, 10);
  assert.deepEqual(JSON.parse(shown), JSON.parse(text));
  assert.equal(indented('{"a":'), '{"a":');
});

test('confusing characters are those of Unicode, and the page shows none', () => {
  // The platform's own tables, of whatever version: this part of them does not change.
  const properties = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/u;
  const listed = (code) => CONFUSING.some(([first, last]) => first <= code && code <= last);
  for (let code = 0; code <= 0x10ffff; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const text = String.fromCodePoint(code);
    assert.equal(listed(code), properties.test(text), code.toString(16));
    assert.equal(harmless(text), listed(code) && !'\n\t'.includes(text) ? '\ufffd' : text);
  }
});
