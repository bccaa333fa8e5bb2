// Parts of the page that need no browser: the tree's layout, the reader of events, wallets' files.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';

import { whole } from '../../src/node/http/page/app/api.js';
import { EventParser } from '../../src/node/http/page/app/events.js';
import { short, span } from '../../src/node/http/page/app/format.js';
import { readJson } from '../../src/node/http/page/protocol/json.js';
import { WalletError, isEncrypted, openWallet } from '../../src/node/http/page/protocol/wallet.js';
import { chainsOf } from '../../src/node/http/page/picture/graph.js';
import { layOut } from '../../src/node/http/page/picture/layout.js';
import { folder, openssl } from './harness.mjs';

/** `a-b-c; b-x` is a tree; those of the first branch are the best chain. Gives `name@column.lane`. */
function laidOut(tree, columns = 20) {
  const headers = new Map();
  for (const [at, branch] of tree.split('; ').entries()) {
    const names = branch.split('-');
    for (const [i, id] of names.entries()) {
      const parent = names[i - 1] ?? '';
      const height = parent ? headers.get(parent).height + 1 : 0;
      if (!headers.has(id)) headers.set(id, { id, parent, height, best_chain: at === 0, condemned: false });
    }
  }
  const { places, hidden } = layOut([...headers.values()], columns);
  const text = places.map(({ header, column, lane }) => `${header.id}@${column}.${lane}`).join(' ');
  return hidden ? `${text} +${hidden}` : text;
}

test('every module loads', async () => {
  const modules = ['app/router.js', 'app/search.js', 'protocol/rules.js'];
  for (const name of modules) await import(`../../src/node/http/page/${name}`);
});

test('the best chain is straight and branches stand beside it', () => {
  const cases = [
    ['g-a-b', 'g@0.0 a@1.0 b@2.0'],
    ['g-a-b; g-x', 'g@0.0 a@1.0 x@1.1 b@2.0'],
    ['g-a-b-c; g-x-y-z', 'g@0.0 a@1.0 x@1.1 b@2.0 y@2.1 c@3.0 z@3.1'],
    ['g-a-b-c; g-x-y; x-u', 'g@0.0 a@1.0 x@1.1 b@2.0 u@2.2 y@2.1 c@3.0'],
    ['g-a-b; g-p; g-q; g-r; g-s; g-t', 'g@0.0 a@1.0 p@1.1 q@1.2 r@1.3 s@1.4 b@2.0 +1'],
  ];
  for (const [tree, wanted] of cases) {
    const sorted = (text) => text.split(' ').sort().join(' ');
    const loose = laidOut(tree);
    // Which of two branches of one block goes on straight is the ids' affair.
    if (tree.includes('x-u')) assert.match(sorted(loose), /u@2\.[12] .*y@2\.[12]/);
    else assert.equal(sorted(loose), sorted(wanted), tree);
  }
  assert.equal(laidOut('g-a-b-c-d', 2), 'c@0.0 d@1.0');
});

test('peers are told apart by the chain that they follow, not by the age of their report', () => {
  const headers = [
    { id: 'a', height: 7, best_chain: true },
    { id: 'b', height: 8, best_chain: true },
    { id: 'x', height: 8, best_chain: false },
  ];
  const cases = [
    ['level', 8, 'b'],
    ['level', 7, 'a'],
    ['level', 3, 'long ago'],
    ['unknown', null, null],
    ['other-0', 8, 'x'],
    ['other-1', 9, 'y'],
    ['other-1', 9, 'y'],
    ['other-2', 9, 'z'],
    ['other-2', 9, 'one more'],
  ];
  const peers = cases.map(([, height, tip], at) => ({ peer_id: String(at), height, tip }));
  assert.deepEqual([...chainsOf(peers, headers).values()], cases.map(([kind]) => kind));
});

test('events are read whole, however they are cut', () => {
  const stream =
    ': nothing\n\nevent: tip\nid: 1-2\ndata: {"height":\ndata: 7}\n\nevent: hello\r\ndata: {}\r\n\r\ndata: x\n\n';
  const wanted = [
    { kind: 'tip', id: '1-2', data: '{"height":\n7}' },
    { kind: 'hello', id: '1-2', data: '{}' },
    { kind: 'message', id: '1-2', data: 'x' },
  ];
  for (const size of [1, 3, 7, stream.length]) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < stream.length; at += size) events.push(...parser.push(stream.slice(at, at + size)));
    assert.deepEqual(events, wanted, `pieces of ${size}`);
  }
});

test('an answer that stops in the middle is a node that hangs, and a slow one is not', async () => {
  let answer;
  const server = createServer((_, response) => answer(response)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const read = async (how, millis) => {
    answer = how;
    return (await whole(await fetch(`http://127.0.0.1:${server.address().port}/`), millis)).text();
  };
  try {
    const slow = (response) => {
      let left = 10;
      const more = () => (left-- ? response.write('.', () => setTimeout(more, 100)) : response.end());
      more();
    };
    assert.equal(await read(slow, 900), '..........');
    assert.equal(await read((response) => response.writeHead(204).end(), 900), '');
    await assert.rejects(read((response) => response.write('half'), 200), { code: 'unreachable', message: /for 0\.2 s/ });
    const cut = (response) => response.write('half', () => response.destroy());
    await assert.rejects(read(cut, 60_000), { code: 'unreachable', message: /see whether it still runs/ });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('values are written for people', () => {
  assert.equal(short(`${'0'.repeat(6)}abcdef12${'3'.repeat(50)}`), 'abcdef12');
  assert.equal(short('0'.repeat(64)), '00000000');
  assert.deepEqual([400, 12_000, 300_000].map(span), ['0.4 s', '12 s', '5 min']);
});

test('JSON keeps its numbers, and says what is wrong with it', () => {
  assert.deepEqual(readJson(' {"a": [18446744073709551615, -1, 1.5, "\\u00e9", true, null, {}]} '), {
    a: [18446744073709551615n, -1, 1.5, 'é', true, null, {}],
  });
  for (const text of ['', '{', '[1,]', '{"a":1,"a":2}', '01', '1 2', "'a'", '"\n"', '['.repeat(100), 'nul']) {
    assert.throws(() => readJson(text), SyntaxError, text);
  }
});

test('wallets open that OpenSSL wrote, and no others', async () => {
  const place = folder();
  const file = (name) => join(place, name);
  openssl('genpkey', '-algorithm', 'ed25519', '-out', file('plain.pem'));
  const text = (name) => readFileSync(file(name), 'utf8');
  const der = openssl('pkey', '-in', file('plain.pem'), '-pubout', '-outform', 'DER');
  const wanted = der.subarray(-32).toString('hex');
  const forms = {
    'aes256.pem': ['-v2', 'aes-256-cbc'],
    'sha512.pem': ['-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA512', '-iter', '1000'],
    'sha1.pem': ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA1'],
  };
  assert.equal((await openWallet(text('plain.pem'), '')).publicKey, wanted);
  for (const [name, how] of Object.entries(forms)) {
    openssl('pkcs8', '-topk8', '-in', file('plain.pem'), '-out', file(name), '-passout', 'pass:knots 1', ...how);
    assert.ok(isEncrypted(text(name)), name);
    assert.equal((await openWallet(text(name), 'knots 1')).publicKey, wanted, name);
    await assert.rejects(openWallet(text(name), 'knots 2'), /the password is wrong/, name);
  }
  openssl('pkcs8', '-topk8', '-in', file('plain.pem'), '-out', file('scrypt.pem'), '-passout', 'pass:x', '-scrypt');
  await assert.rejects(openWallet(text('scrypt.pem'), 'x'), /scrypt/);
  openssl('genpkey', '-algorithm', 'x25519', '-out', file('other.pem'));
  await assert.rejects(openWallet(text('other.pem'), ''), /not an Ed25519 key/);
  const damaged = text('aes256.pem')
    .split('\n')
    .filter((_, at) => at !== 1)
    .join('\n');
  for (const wrong of ['', 'hello', damaged, text('plain.pem').replace('MC4', 'MC5')]) {
    await assert.rejects(openWallet(wrong, 'x'), WalletError);
  }
});
