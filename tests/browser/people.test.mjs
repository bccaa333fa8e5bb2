// What a person looks for on the page: lost transactions, the wallets' files, who of the peers is where, on a phone, too.

import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { DEADLINE_MILLIS, folder, picture, says, world } from './harness.mjs';

const OPTIONS = { timeout: 4 * DEADLINE_MILLIS };
const PEERS = 6;
/** More than the page knows headers, so that a peer's first report is older than all of them. */
const MANY = 130;

const { start, visit } = world();

test('a lost record is told of on every view, and is signed again by a button, once', OPTIONS, async () => {
  const first = await start();
  await first.run('mine 2');
  await first.run('quit');
  await first.ended;
  const copy = join(folder(), 'copy');
  cpSync(first.data, copy, { recursive: true });
  // With its key, the copy would be the same peer.
  rmSync(join(copy, 'node.key'));
  const node = await start({ data: first.data });
  await node.run('record first');
  await node.run('mine 1');

  const old = await start({ data: copy });
  const { page, faults } = await visit(old, 'records');
  const { id } = await old.run('record important');
  await old.connect(node);
  await says(page, '#lost-transactions', '1 transaction of yours is lost');
  await page.getByRole('link', { name: 'See which' }).click();
  await says(page, 'main', 'its account has used that nonce for another transaction');
  await picture(page, 'lost');
  await page.goto(`${old.url}/#/transaction/${id}`);
  await says(page, '#state', 'not on the chain, and not waiting');
  await page.getByRole('button', { name: /^Sign .* again$/ }).click();
  await says(page, 'main', 'Sent again as');
  await page.getByRole('button', { name: /^Sign .* again$/ }).waitFor({ state: 'detached' });
  await page.locator('#lost-transactions:empty').waitFor({ state: 'attached' });
  const [waits, ...more] = await old.run('pending');
  assert.deepEqual([waits.data, more.length], ['important', 0]);
  await page.reload();
  await says(page, 'main', 'Sent again as');
  assert.deepEqual(
    faults.filter((fault) => !fault.includes('404')),
    [],
  );
});

test('the wallets’ files are named for the node’s own user', OPTIONS, async () => {
  const node = await start();
  const { page, faults } = await visit(node, 'send');
  await page.getByLabel('Sign with').selectOption('file');
  const path = join(node.data, 'wallets', 'default.pem');
  await says(page, '.paths', path);
  await page.getByTitle('Copy the path of default').click();
  await says(page, '.paths', 'Copied');
  assert.deepEqual(faults, []);

  const readers = await start({ more: ['--http-read-only'] });
  const elsewhere = await visit(readers, 'send');
  await elsewhere.page.getByLabel('Sign with').selectOption('file');
  await elsewhere.page.getByLabel('Wallet’s file').waitFor();
  assert.equal(await elsewhere.page.locator('.paths').count(), 0);
});

test('the picture has all peers, coloured by their chains, and calls none of them below', OPTIONS, async () => {
  const node = await start({ name: 'teacher' });
  const peers = [];
  for (let at = 0; at < PEERS; at += 1) peers.push(await start({ name: `lab-${at}` }));
  await node.run('mine 1');
  for (const peer of peers) await peer.connect(node);
  const { page } = await visit(node, 'peers');
  const level = page.locator('.graph .peer.level');
  const all = () => page.waitForFunction((wanted) => document.querySelectorAll('.graph .peer.level').length === wanted, PEERS);
  await all();
  // Blocks come so fast that the last reports of the peers are old.
  await node.run(`mine ${MANY}`);
  await all();
  const names = await level.locator('text').allTextContents();
  assert.deepEqual(names.sort(), peers.map((_, at) => `lab-${at}`));
  const strokes = await level.locator('circle').evaluateAll((circles) => circles.map((one) => getComputedStyle(one).stroke));
  const [colour] = strokes;
  assert.ok(strokes.every((stroke) => stroke === colour), strokes.join());
  assert.doesNotMatch(await page.locator('main').innerText(), /below|behind/i);
  await picture(page, 'peers-several');
});

test('on a phone a row of a table is a card with its headings', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 3');
  await node.run('record pallet 17 has arrived at gate 4');
  const { page } = await visit(node, 'waiting', { viewport: { width: 360, height: 740 } });
  for (const view of ['waiting', 'blocks', '']) {
    await page.goto(`${node.url}/#/${view}`);
    await page.locator(`#main[data-place="#/${view}"] td`).first().waitFor();
    const seen = await page.locator('td').evaluateAll((cells) =>
      cells.map((cell) => ({ right: cell.getBoundingClientRect().right, says: getComputedStyle(cell, '::before').content })),
    );
    assert.ok(seen.every(({ right }) => right <= 360), `${view}: cut off at the right edge`);
    assert.ok(seen.some(({ says: heading }) => /Height|Id/.test(heading)), `${view}: no headings`);
    // What reads the page aloud still hears a table.
    assert.ok((await page.getByRole('cell').count()) > 0, view);
  }
});
