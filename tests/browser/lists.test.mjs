// Lists of what there is: blocks, what waits, what a search finds; times and copies of what they show.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEADLINE_MILLIS, says, tipIs, world } from './harness.mjs';

const OPTIONS = { timeout: 4 * DEADLINE_MILLIS };

const { start, visit } = world();

test('the search box finds whatever has a name', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 2');
  const { id: record } = await node.run('record {"celsius": 4.5}');
  await node.run('mine 1');
  await node.run('record pallet 7 arrived');
  await node.run('record pallet 8 has Arrived');
  const { address: me } = await node.run('status');
  const { blocks } = await node.run('chain');
  const { page, faults } = await visit(node);
  await tipIs(page, 3);
  // After the page was opened: its user is at the prompt, too.
  await node.run('alias bob 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed');
  await node.run('alias cafecafe 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed');
  const cases = [
    ['2', `#/block/2`],
    [blocks[1].id, `#/block/${blocks[1].id}`],
    [record, `#/transaction/${record}`],
    [record.slice(0, 12), `#/transaction/${record}`],
    ['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed', '#/account/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
    ['bob', '#/account/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
    ['1', '#/block/1'],
    ['cafecafe', '#/account/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
    ['BOB', '#/account/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
    ['0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed', '#/account/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
    [me.slice(0, 10).toLowerCase(), `#/account/${me}`],
    ['Celsius', `#/transaction/${record}`],
    ['arrived', '#/search?q=arrived'],
  ];
  for (const [text, place] of cases) {
    await page.getByRole('searchbox').fill(text);
    await page.getByRole('searchbox').press('Enter');
    // Until the view is there: when it comes, it takes the focus.
    await page.locator(`#main[data-place="${place}"] h1`).waitFor();
  }
  assert.equal(await page.locator('#main tbody tr').count(), 2);
  await page.locator('#main').focus();
  await page.keyboard.press('/');
  await page.waitForFunction(() => document.activeElement.type === 'search');
  await page.getByRole('searchbox').fill('nobody-knows');
  await page.keyboard.press('Enter');
  await says(page, '#search-answer', 'Nothing found for');
  // What is not there is an answer, but the browser tells of it.
  assert.deepEqual(
    faults.filter((fault) => !fault.includes('404')),
    [],
  );
});

test('all blocks can be reached, a page at a time or by their height', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 45');
  const { page, faults } = await visit(node);
  await tipIs(page, 45);
  await page.getByRole('link', { name: 'Older blocks' }).click();
  // The view before has a table of the newest blocks as well.
  await says(page, 'h1', 'Blocks');
  const heights = () => page.locator('#main tbody tr td:first-child').allTextContents();
  const begins = (height) => page.locator(`#main tbody tr:first-child td:first-child`).filter({ hasText: new RegExp(`^${height}$`) }).waitFor();
  const range = (from, count) => Array.from({ length: count }, (_, at) => String(from - at));
  await begins('45');
  assert.deepEqual(await heights(), range(45, 20));
  await node.run('mine 1');
  await begins('46');
  await page.getByRole('link', { name: 'Older' }).click();
  await begins('26');
  assert.deepEqual(await heights(), range(26, 20));
  await page.getByRole('link', { name: 'Older' }).click();
  await begins('6');
  assert.deepEqual(await heights(), range(6, 7));
  assert.equal(await page.getByRole('link', { name: 'Older' }).count(), 0);
  await page.getByRole('link', { name: 'Newer' }).click();
  await begins('26');
  await page.getByLabel('Blocks from height').fill('3');
  await page.getByRole('button', { name: 'Go' }).click();
  await begins('3');
  await page.getByLabel('Blocks from height').fill('99');
  await page.getByRole('button', { name: 'Go' }).click();
  await says(page, '.problem', 'there is no block 99 yet');
  assert.deepEqual(
    faults.filter((fault) => !fault.includes('404')),
    [],
  );
});

test('what waits is listed with its fee until it is mined', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 2');
  await node.run('record cheap');
  await node.run('record dear --fee 0.75');
  const { page, faults } = await visit(node);
  await page.locator('.figures a').filter({ hasText: '2' }).click();
  await says(page, '#main tbody tr', '0.75 coins');
  assert.equal(await page.locator('#main tbody tr').count(), 2);
  await page.getByRole('button', { name: 'Mine a block' }).click();
  await says(page, '#main .faint', 'Nothing waits');
  assert.deepEqual(faults, []);
});

test('times have a zone and an age, and ids, keys and receipts are copied', OPTIONS, async () => {
  const node = await start();
  const { id } = await node.run('record hello');
  await node.run('mine 1');
  const permissions = ['clipboard-read', 'clipboard-write'];
  const { page, faults } = await visit(node, `transaction/${id}`, { permissions, timezoneId: 'Asia/Kathmandu' });
  await says(page, '.facts time', 'GMT+5:45');
  await says(page, '.facts time.ago', /ago|now/);
  const copied = async (name) => {
    await page.getByRole('button', { name, exact: true }).click();
    await page.getByRole('button', { name: name.replace(/Copy.*receipt$|Copy/, 'Copied'), exact: true }).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  assert.equal(await copied('Copy the id'), id);
  assert.match(await copied('Copy the public key'), /^[0-9a-f]{64}$/);
  assert.match(await copied('Copy the signature'), /^[0-9a-f]{128}$/);
  assert.equal(JSON.parse(await copied('Copy the receipt')).network.name, 'dev');
  // As on a page that is not secure, at another machine's address.
  await page.reload();
  await page.evaluate(() => Object.defineProperty(globalThis, 'isSecureContext', { value: false }));
  assert.equal(await copied('Copy the id'), id);
  assert.deepEqual(faults, []);
});
