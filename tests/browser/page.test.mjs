// The page in a browser, on real nodes: what a person sees and does.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { DEADLINE_MILLIS, folder, noOverflow, noSeriousFault, openssl, picture, says, tipIs, world } from './harness.mjs';

/** No time of the test runner's own: everything that waits has its deadline. */
const OPTIONS = { timeout: 4 * DEADLINE_MILLIS };
/** A record that would like to be markup. */
const MARKUP = '<img src=x onerror="document.title=1"> & <b>bold</b>';
/** What receipts of each form prove. */
const RECEIPTS = new URL('../../protocol/vectors/receipts.json', import.meta.url);
const PASSWORD = 'eight knots on a string';

const { start, visit } = world();

test('a block arrives without a reload, and what waited hangs from it', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 2');
  const { page, faults } = await visit(node);
  await tipIs(page, 2);
  await page.evaluate(() => (window.isTheSamePage = true));
  await node.run('record hello');
  await page.locator('.heap .knot.record').waitFor();
  await node.run('mine 1');
  await tipIs(page, 3);
  await page.locator('.block.best[data-height="3"] .knot.record').waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.heap .knot').length === 0);
  assert.equal(await page.evaluate(() => window.isTheSamePage), true);
  assert.deepEqual(faults, []);
});

test('a reorganisation is drawn as what it is', OPTIONS, async () => {
  const [left, right] = [await start({ name: 'left' }), await start({ name: 'right' })];
  await left.run('mine 2');
  await right.run('mine 4');
  const { page, faults } = await visit(left);
  await tipIs(page, 2);
  const lost = await page.locator('.block.best[data-height="2"]').getAttribute('data-id');
  const straight = await page.locator('.block.best[data-height="2"] .bead').boundingBox();
  await left.connect(right);
  await tipIs(page, 4);
  await says(page, '.news', '2 blocks left the best chain');
  const beside = page.locator(`.block.beside[data-id="${lost}"]`);
  await beside.waitFor();
  // It moves to its place beside the cord.
  await page.waitForFunction(
    (y) => document.querySelector('.block.beside .bead').getBoundingClientRect().y !== y,
    straight.y,
  );
  assert.equal(await page.locator('.block.beside').count(), 2);
  await picture(page, 'reorganisation');
  await beside.locator('a').press('Enter');
  await says(page, '.badge', 'on a side branch');
  assert.deepEqual(faults, []);
});

/** A wallet that OpenSSL made, and the node's address of it. */
function wallet(place) {
  const file = join(place, 'wallet.pem');
  openssl('genpkey', '-algorithm', 'ed25519', '-aes256', '-pass', `pass:${PASSWORD}`, '-out', file);
  return file;
}

async function fillWallet(page, file) {
  await page.getByLabel('Sign with').selectOption('file');
  await page.getByLabel('Wallet’s file').setInputFiles(file);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Show what will be signed' }).click();
}

test('a record is put with a wallet of OpenSSL, found again, and its receipt verified', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 1');
  const { page, faults } = await visit(node, 'put');
  const sent = [];
  page.on('request', (request) =>
    sent.push(`${request.url()} ${request.postData() ?? ''} ${JSON.stringify(request.headers())}`),
  );
  const place = folder();
  const file = wallet(place);
  const seed = openssl('pkey', '-in', file, '-passin', `pass:${PASSWORD}`, '-outform', 'DER')
    .subarray(-32)
    .toString('hex');

  await page.getByLabel('Text', { exact: true }).fill(MARKUP);
  await page.getByLabel('Tags').fill('lot-17, arrived');
  await page.getByLabel('Sign with').selectOption('file');
  await page.getByLabel('Wallet’s file').setInputFiles(file);
  await page.getByLabel('Password').fill('not it');
  await page.getByRole('button', { name: 'Show what will be signed' }).click();
  await says(page, '.problem', 'the password is wrong');
  await fillWallet(page, file);
  await says(page, 'section', 'This will be signed');
  assert.equal(await page.locator('#main img').count(), 0);
  await picture(page, 'signing');
  await page.getByRole('button', { name: 'Sign and send' }).click();
  await says(page, '.good-news', 'The node has it');
  assert.ok(sent.some((request) => request.includes('"signature"')));
  for (const secret of [PASSWORD, seed, readFileSync(file, 'utf8').split('\n')[2]]) {
    assert.ok(!sent.some((request) => request.includes(secret)), 'a secret has left the page');
  }

  await page.locator('#main a.id').first().click();
  await says(page, '#state', 'waits to be mined');
  await node.run('mine 1');
  await says(page, '#state', '1 confirmation');
  await says(page, '.says', MARKUP);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download the receipt' }).click(),
  ]);
  const receipt = join(place, 'receipt.json');
  await download.saveAs(receipt);

  // By tag in the search box, and by a file that holds just that text.
  await page.getByRole('searchbox').fill('lot-17');
  await page.keyboard.press('Enter');
  await says(page, '.record .says', MARKUP);
  const recorded = join(place, 'recorded.txt');
  writeFileSync(recorded, MARKUP);
  await page.locator('#search-file').setInputFiles(recorded);
  await page.waitForURL(/sha256=/);
  await says(page, '.record .says', MARKUP);

  await page.goto(`${node.url}/#/verify`);
  await page.locator('#main input[type=file]').setInputFiles(receipt);
  await says(page, '.good-news', 'The receipt holds');
  await page.getByLabel('Witness (optional)').fill('0'.repeat(64));
  await page.locator('#main input[type=file]').first().setInputFiles(receipt);
  await says(page, '.problem', 'The published block is not in the receipt');
  await page.getByLabel('Witness (optional)').fill((await node.run('status')).tip);
  await page.locator('#main input[type=file]').first().setInputFiles(receipt);
  await says(page, '.good-news', 'The published block is in the receipt');
  await says(page, '.badge', 'on the best chain');
  await page.locator('#main .drop input').last().setInputFiles(recorded);
  await says(page, '.good-news', 'is what was recorded');
  await picture(page, 'verified');
  const forged = join(place, 'forged.json');
  writeFileSync(forged, readFileSync(receipt, 'utf8').replace('"transaction": "AAAAA', '"transaction": "AQAAA'));
  await page.locator('#main input[type=file]').first().setInputFiles(forged);
  await says(page, 'section', 'Refuted');
  assert.deepEqual(faults, []);
});

test('a receipt without work holds for readers alone who know its tip', OPTIONS, async () => {
  const { page, faults } = await visit(await start(), 'verify');
  const { receipt, accept } = JSON.parse(readFileSync(RECEIPTS, 'utf8')).cases.find(
    (one) => one.accept?.form === 'witnessed' && one.accept.confirmations !== '1',
  );
  const file = join(folder(), 'receipt.json');
  writeFileSync(file, receipt);
  const drop = () => page.locator('#main input[type=file]').first().setInputFiles(file);
  await drop();
  await says(page, 'strong', 'The receipt proves the signature.');
  await says(page, '#main code', accept.tip);
  assert.equal(await page.getByText('The receipt holds').count(), 0);
  await page.getByLabel('Witness (optional)').fill('0'.repeat(64));
  await drop();
  await says(page, '.problem', 'it witnesses nothing');
  assert.equal(await page.getByText('The receipt holds').count(), 0);
  // Those who know the transaction's own block know nothing of the blocks above it.
  await page.getByLabel('Witness (optional)').fill(accept.block);
  await drop();
  await says(page, '.problem', 'it witnesses nothing');
  await page.getByLabel('Witness (optional)').fill(accept.tip);
  await drop();
  await says(page, '.good-news', 'The receipt holds');
  await says(page, '#main', 'the word of whoever published the id');
  assert.deepEqual(faults, []);
});

test('a file is recorded by its fingerprint, and found by it', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 1');
  const { page, faults } = await visit(node, 'put');
  const place = folder();
  const [delivery, other] = [join(place, 'delivery.pdf'), join(place, 'other.pdf')];
  writeFileSync(delivery, 'two hundred boxes');
  writeFileSync(other, 'two hundred and one boxes');
  await page.getByLabel('A file’s fingerprint').check();
  await page.locator('#main .drop input').setInputFiles(delivery);
  await says(page, '#main .says', 'delivery.pdf');
  await fillWallet(page, wallet(place));
  await page.getByRole('button', { name: 'Sign and send' }).click();
  await says(page, '.good-news', 'The node has it');
  await node.run('mine 1');
  await page.goto(`${node.url}/#/records`);
  await says(page, '.record .says', 'delivery.pdf');
  await page.locator('#main .drop input').setInputFiles(other);
  await says(page, '.problem', '“other.pdf” was not recorded');
  await page.locator('#main .drop input').setInputFiles(delivery);
  await says(page, '.record .says', 'delivery.pdf');
  await page.goto(`${node.url}/#/put`);
  await page.getByLabel('JSON', { exact: true }).check();
  await page.getByLabel('JSON value').fill('{"a":');
  await says(page, '.hint', 'no JSON');
  await page.getByLabel('JSON value').fill('{"a": 1}');
  await says(page, '.hint', `${'{"quipu":1,"json":{"a": 1}}'.length} of 4096 bytes`);
  assert.deepEqual(faults, []);
});

test('text of strangers cannot hide, reorder or leave its place', OPTIONS, async () => {
  const node = await start();
  const [tag, said] = ['\u202etag\u200b', 'a\u2066b\u3164c'];
  await node.run(`record ${said} --tag ${tag}`);
  await node.run('mine 1');
  const { page, faults } = await visit(node, 'records');
  await says(page, '.record .says bdi', 'a\ufffdb\ufffdc');
  assert.equal(await page.locator('.record a.tag bdi').textContent(), '\ufffdtag\ufffd');
  await page.locator('.record a.tag').click();
  await page.waitForFunction(() => location.hash.includes('tag='));
  await says(page, '.record .says bdi', 'a\ufffdb\ufffdc');
  assert.deepEqual(faults, []);
});

test('recorded JSON is shown as it was recorded', OPTIONS, async () => {
  const node = await start();
  const recorded = '{"n":9007199254740993, "t":19.90,"b":0,"a":[1e2]}';
  const { id } = await node.run(`record --json ${recorded}`);
  await node.run('mine 1');
  const { page, faults } = await visit(node, 'records');
  const shows = async () => assert.equal(await page.locator('pre.says').first().textContent(), recorded);
  await shows();
  await page.goto(`${node.url}/#/transaction/${id}`);
  await page.locator('#state').waitFor();
  await shows();
  assert.deepEqual(faults, []);
});

test('the API is tried from its own description', OPTIONS, async () => {
  const node = await start();
  const { page, faults } = await visit(node, 'api');
  const operation = page.locator('.operation').filter({ hasText: '/api/v1/mining/blocks' }).filter({ hasText: 'POST' });
  await operation.locator('summary').click();
  await operation.getByRole('button', { name: 'Try it' }).click();
  await operation.locator('pre').filter({ hasText: '"height": 1' }).waitFor();
  await operation.locator('pre').filter({ hasText: 'curl -X POST' }).waitFor();
  assert.equal((await node.run('status')).height, 1);
  assert.deepEqual(faults, []);
});

test('coins are sent, and too many are refused in the node’s words', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 1');
  await node.run('alias bob 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed');
  const { page, faults } = await visit(node, 'send');
  const file = wallet(folder());
  await page.getByLabel('To', { exact: true }).fill('bob');
  await page.getByLabel('Amount').fill('0.25');
  await fillWallet(page, file);
  await says(page, 'section', 'This will be signed');
  const address = await page.locator('#main dd a.id').first().getAttribute('title');
  await page.getByRole('button', { name: 'Sign and send' }).click();
  await says(page, '.problem', 'not enough coins');
  // The browser itself tells of each refused request.
  assert.equal(faults.filter((fault) => !fault.includes('422')).length, 0, faults.join('\n'));
  await node.run(`tx ${address} 0.5`);
  await node.run('mine 1');
  await fillWallet(page, file);
  await page.getByRole('button', { name: 'Sign and send' }).click();
  await says(page, '.good-news', 'The node has it');
  await node.run('mine 1');
  assert.equal((await node.run('balance bob')).balance, '0.25');
});

test('the node signs with its own wallet', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 1');
  await node.run('alias bob 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed');
  const { page, faults } = await visit(node, 'send');
  const sign = async () => {
    await page.getByRole('button', { name: 'Show what will be signed' }).click();
    await page.getByRole('button', { name: 'Sign and send' }).click();
    await says(page, '.good-news', 'The node has it');
  };
  await page.getByLabel('To', { exact: true }).fill('bob');
  await page.getByLabel('Amount').fill('0.25');
  await sign();
  await page.getByRole('button', { name: 'Mine a block' }).click();
  await says(page, '.mining .hint', 'Mined block 2');
  assert.equal((await node.run('balance bob')).balance, '0.25');

  const recorded = '{"n":9007199254740993, "t":19.90}';
  await page.goto(`${node.url}/#/put`);
  await page.getByLabel('JSON', { exact: true }).check();
  await page.getByLabel('JSON value').fill(recorded);
  await page.getByLabel('Tags').fill('lot-17');
  await picture(page, 'node-signs');
  await sign();
  await node.run('mine 1');
  const { records } = await node.run('records --tag lot-17');
  assert.deepEqual(records.map(({ json }) => json), [recorded]);
  assert.deepEqual(faults, []);
});

test('where the browser cannot sign, OpenSSL does', OPTIONS, async () => {
  const node = await start();
  const script = () => Object.defineProperty(crypto, 'subtle', { value: undefined });
  const { page, faults } = await visit(node, 'put', { script });
  const place = folder();
  const key = join(place, 'key.pem');
  openssl('genpkey', '-algorithm', 'ed25519', '-out', key);
  const publicKey = openssl('pkey', '-in', key, '-pubout', '-outform', 'DER').subarray(-32).toString('hex');
  await page.getByLabel('Sign with').selectOption('file');
  await says(page, '.badge', 'Sign elsewhere');
  await page.getByLabel('Text', { exact: true }).fill('signed elsewhere');
  await page.getByLabel('Public key').fill(publicKey);
  await page.getByRole('button', { name: 'Show what will be signed' }).click();
  await says(page, 'section', 'This will be signed');
  await picture(page, 'sign-elsewhere');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the bytes' }).click(),
  ]);
  const bytes = join(place, 'sign.bin');
  await download.saveAs(bytes);
  const signature = openssl('pkeyutl', '-sign', '-rawin', '-inkey', key, '-in', bytes).toString('hex');
  await page.getByLabel('Signature').fill(signature);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await says(page, '.good-news', 'The node has it');
  assert.deepEqual(faults, []);
});

test('a node that is gone is told of, and comes back by itself', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 3');
  const { page } = await visit(node);
  await tipIs(page, 3);
  await node.kill();
  await says(page, '#connection', 'does not answer');
  await picture(page, 'connection-lost');
  const http = new URL(node.url).host;
  const again = await start({ data: node.data, http });
  await page.waitForFunction(() => document.getElementById('connection').textContent === '');
  await again.run('mine 1');
  await tipIs(page, 4);
});

test('a node that is not on this machine asks for its token once', OPTIONS, async () => {
  const node = await start({ http: '0.0.0.0:0' });
  await node.run('mine 1');
  const token = readFileSync(join(node.data, 'http-token'), 'utf8').trim();
  const { page } = await visit(node);
  await page.getByRole('textbox', { name: 'Token' }).fill('wrong');
  await page.getByRole('button', { name: 'Go on' }).click();
  await says(page, '#token-complaint', 'not this node’s');
  await picture(page, 'token');
  await page.getByRole('textbox', { name: 'Token' }).fill(token);
  await page.getByRole('button', { name: 'Go on' }).click();
  await tipIs(page, 1);
  await node.run('mine 1');
  await tipIs(page, 2);
  await page.reload();
  await tipIs(page, 2);
});

test('the address with the token opens the page, and the bar is clean afterwards', OPTIONS, async () => {
  const node = await start({ http: '0.0.0.0:0' });
  await node.run('mine 1');
  const token = readFileSync(join(node.data, 'http-token'), 'utf8').trim();
  const { page: asked, context } = await visit(node);
  await says(asked, '#token', 'Token needed');
  const fresh = await context.newPage();
  for (const page of [fresh, asked]) {
    await page.goto(`${node.url}/#token=${token}`);
    await tipIs(page, 1);
    assert.equal(new URL(page.url()).hash, '');
    assert.equal(await page.locator('#token').isVisible(), false);
    await page.reload();
    await tipIs(page, 1);
  }
});

test('a block is broken in the sandbox until another rule complains', OPTIONS, async () => {
  const node = await start();
  await node.run('mine 2');
  const { page, faults } = await visit(node, 'lessons/block');
  const press = (name) => page.getByRole('button', { name }).click();
  await says(page, '#verdict', 'No rule complains');
  await press('Pay the miner a coin more');
  await says(page, '#verdict', 'R7 complains');
  await press('Make the root fit the body');
  await press('Mine it here');
  await says(page, '#verdict', 'R17 complains');
  await press('Start over');
  await says(page, '#verdict', 'No rule complains');
  const rules = [
    ['Invent a version', 'R4'],
    ['Choose another target', 'R5|R13'],
    ['Skip a height', 'R11'],
    ['Postdate it by a day', 'R14'],
    ['Backdate it by an hour', 'R12'],
  ];
  for (const [name, rule] of rules) {
    await press('Start over');
    await press(name);
    await press('Mine it here');
    await says(page, '#verdict', new RegExp(`(${rule}) complains`));
  }
  await page.goto(`${node.url}/#/lessons/chain`);
  await press('Change a digit in the past');
  // Block 1 is changed, and block 2, the newest, names it as it was.
  assert.equal(await page.locator('.link-card.broken').count(), 2);
  await node.run('mine 3');
  await page.reload();
  await press('Change a digit in the past');
  await says(page, '.link-card.above', 'stands on a broken block');
  assert.equal(await page.locator('.link-card.above').count(), 2);
  await picture(page, 'lesson-chain-broken');
  await press('Cover it up');
  await page.locator('.link-card.above').first().waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.querySelectorAll('.link-card.broken').length === 0);
  await page.goto(`${node.url}/#/lessons/fork`);
  for (const name of ['Ana finds', 'Bo finds', 'Bo finds']) await press(name);
  await says(page, '#fork-news', 'Reorganisation');
  assert.deepEqual(faults, []);
});

/** Every view, on a chain that holds something. */
async function everyView(node) {
  const { blocks } = await node.run('chain');
  const full = blocks.find((block) => block.transactions.length > 2);
  const record = full.transactions.find((row) => row.type === 'record');
  return {
    now: '',
    block: `block/${full.id}`,
    transaction: `transaction/${record.id}`,
    reward: `transaction/${full.transactions[0].id}`,
    account: `account/${record.sender}`,
    blocks: 'blocks',
    'blocks-old': 'blocks?from=3',
    waiting: 'waiting',
    search: 'search?q=this',
    records: 'records',
    'records-none': `records?sha256=${'0'.repeat(64)}&name=a.pdf`,
    peers: 'peers',
    put: 'put',
    send: 'send',
    verify: 'verify',
    lessons: 'lessons',
    'lesson-hash': 'lessons/hash',
    'lesson-block': 'lessons/block',
    'lesson-chain': 'lessons/chain',
    'lesson-fork': 'lessons/fork',
    api: 'api',
    'not-found': 'block/999999',
    'nothing-here': 'nowhere',
  };
}

/** A little world: payments, records of each kind, a peer, a fork. */
async function liveWorld() {
  const [node, peer] = [await start({ name: 'lab-1' }), await start({ name: 'lab-2' })];
  await node.run('mine 1');
  await peer.run('mine 3');
  await node.connect(peer);
  await node.run('resolve');
  await node.run('mine 4');
  await node.run('tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.5 --fee 0.01');
  await node.run('record pallet 17 has arrived at gate 4');
  await node.run('record {"celsius": 4.5, "gate": 4}');
  await node.run('mine 6');
  await node.run('record this one still waits');
  await node.run('record so does this');
  await node.run('tx 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0.25 --fee 0.02');
  return node;
}

test(
  'no view has a serious fault for anybody, in light and in dark, wide and narrow',
  { timeout: 20 * DEADLINE_MILLIS },
  async () => {
    const node = await liveWorld();
    const views = await everyView(node);
    for (const colorScheme of ['light', 'dark']) {
      for (const [width, name] of [
        [1280, 'wide'],
        [360, 'phone'],
      ]) {
        const { page, faults, context } = await visit(node, '', {
          colorScheme,
          viewport: { width, height: 850 },
          reducedMotion: 'reduce',
        });
        for (const [view, place] of Object.entries(views)) {
          await page.goto(`${node.url}/#/${place}`);
          await settled(page, view, place);
          await picture(page, `${view}-${colorScheme}-${name}`);
          const where = `${view}, ${colorScheme}, ${name}`;
          await noSeriousFault(page, where);
          for (const least of name === 'phone' && colorScheme === 'light' ? [width, 320] : [width]) {
            if (least !== width) await page.setViewportSize({ width: least, height: 850 });
            await noOverflow(page, `${where}, ${least}`);
            if (least !== width) await page.setViewportSize({ width, height: 850 });
          }
        }
        assert.deepEqual(
          faults.filter((fault) => !fault.includes('404')),
          [],
        );
        await context.close();
      }
    }
  },
);

/** Waits for a view, and for what it fetches after its first sight. */
async function settled(page, view, place) {
  await page.locator(`#main[data-place="#/${place}"] h1`).waitFor();
  if (view === 'now') await page.locator('.block.best').first().waitFor();
  if (view === 'lesson-fork') await page.locator('.block.best').first().waitFor();
}
