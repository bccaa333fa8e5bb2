// A round with the types that openapi-typescript makes of the node's description: mine, record, find, receipt, verify.
// What the description says is checked by the compiler, what the node answers as it runs.
//
//   node round.js URL TOKEN QUIPU

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

type Problem = components['schemas']['Problem'];

const [url, token, quipu] = process.argv.slice(2);
assert(url && token && quipu);
// Lists have other forms than JSON, too.
type Media = 'application/json' | 'application/problem+json';
const api = createClient<paths, Media>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

/** The answer to a request that must succeed. */
function good<T>({ data, error }: { data?: T; error?: Problem }): T {
  assert(data !== undefined, `${error?.code}: ${error?.detail}`);
  return data;
}

/** Takes what the compiler takes for a number. Is it one? */
function count(value: number): number {
  assert.equal(typeof value, 'number');
  return value;
}

/** The same of a text. */
function text(value: string | null | undefined): string {
  assert(typeof value === 'string');
  return value;
}

const status = good(await api.GET('/api/v1/status'));
assert.equal(text(status.network), 'dev');
const modes: Record<components['schemas']['MiningMode'], string> = { off: '', on: '', pending: '' };
assert(status.mining.mode in modes);

const mined = good(await api.POST('/api/v1/mining/blocks', { body: { count: 2 } }));
assert.equal(mined.blocks.length, 2);
const first = mined.blocks[0];
assert(first && count(first.height) === count(status.height) + 1);

const recorded = good(await api.POST('/api/v1/records', { body: { text: 'from TypeScript', tags: ['typescript'] } }));
// The description has two forms: one record, or several.
assert('id' in recorded);
const waiting = good(await api.GET('/api/v1/transactions', { params: { query: { limit: 5 } } }));
assert.deepEqual(waiting.transactions.map(({ id, type }) => [text(id), type]), [[recorded.id, 'record']]);
good(await api.POST('/api/v1/mining/blocks', { body: { count: 1 } }));

const found = good(await api.GET('/api/v1/records', { params: { query: { tag: 'typescript' } } }));
assert.deepEqual(found.records.map(({ id, text: words }) => [id, text(words)]), [[recorded.id, 'from TypeScript']]);
const path = { id: recorded.id };
const one = good(await api.GET('/api/v1/transactions/{id}', { params: { path } }));
assert(one.state === 'in_block' && count(one.confirmations) === 1);

const receipt = good(await api.GET('/api/v1/transactions/{id}/receipt', { params: { path } }));
assert.equal(text(receipt.genesis), status.genesis);
assert.equal(count(receipt.network.block_bytes_max), 1 << 20);
assert.equal(receipt.form, 'full');
// Blanks aside, this is the text that the node has sent.
writeFileSync('receipt.json', JSON.stringify(receipt));
execFileSync(quipu, ['verify', 'receipt.json'], { stdio: ['ignore', 'inherit', 'inherit'] });

const { error } = await api.GET('/api/v1/transactions/{id}', { params: { path: { id: '0'.repeat(64) } } });
assert(error && text(error.code) === 'not_found' && count(error.status) === 404);
console.log(`clients: TypeScript mined, recorded and verified ${recorded.id}`);
