// What the page sets going, and what it says when the node does not answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEADLINE_MILLIS, picture, says, tipIs, world } from './harness.mjs';

const OPTIONS = { timeout: 4 * DEADLINE_MILLIS };

const { start, visit } = world();

test('the page mines a block, mines while something waits, and stops', OPTIONS, async () => {
  const node = await start();
  const { page, faults } = await visit(node, 'lessons/block');
  const press = (name) => page.getByRole('button', { name }).click();
  await says(page, '.mining .hint', 'only its first block');
  await press('Mine a block');
  await says(page, '#verdict', 'No rule complains');
  assert.equal((await node.run('status')).height, 1);

  await page.goto(`${node.url}/#/`);
  await tipIs(page, 1);
  await says(page, '.mining .hint', 'Mined block 1');
  await press('Mine while something waits');
  await says(page, '.mining .hint', 'as soon as something waits');
  await node.run('record hello');
  await page.locator('.block.best[data-height="2"] .knot.record').waitFor();
  await press('Stop mining');
  await says(page, '.mining .hint', 'does not mine now');
  assert.equal((await node.run('status')).mining.mode, 'off');

  const { id } = await node.run('record this one waits');
  await page.goto(`${node.url}/#/transaction/${id}`);
  await says(page, '#state', 'waits to be mined');
  await press('Mine a block');
  await says(page, '#state', '1 confirmation');

  // Whoever asked for the blocks, they can be stopped here.
  await page.goto(`${node.url}/#/`);
  const wanted = 1_000_000;
  const mined = node.run(`mine ${wanted}`);
  await says(page, '.mining .hint', 'of 1,000,000');
  await press('Stop mining');
  assert.ok((await mined).blocks.length < wanted);
  await says(page, '.mining .hint', 'does not mine now');
  assert.deepEqual(faults, []);
});

test('why a node does not mine is said', OPTIONS, async () => {
  const node = await start({ more: ['--http-read-only'] });
  const { page } = await visit(node);
  await page.getByRole('button', { name: 'Mine a block' }).click();
  await says(page, '.mining .problem', '--http-read-only');
});

test('a node that hangs is told of, and a view that waited for it comes when it goes on', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 2');
  const { page } = await visit(node);
  await tipIs(page, 2);
  await node.freeze();
  await page.evaluate(() => (location.hash = '#/peers'));
  await says(page, 'h1', 'The node is gone');
  await says(page, '#connection', 'does not answer');
  await picture(page, 'node-hangs');
  node.thaw();
  await says(page, 'h1', 'Peers');
  await page.waitForFunction(() => document.getElementById('connection').textContent === '');
});
