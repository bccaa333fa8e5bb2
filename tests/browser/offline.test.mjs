// Receipts where there is no node: the one file that verifies them, opened from a disk without a network, and paper.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'node:test';

import { forgedReceipt } from './forge.mjs';
import { DEADLINE_MILLIS, folder, launch, noOverflow, noSeriousFault, picture, quipu, says, world } from './harness.mjs';

const OPTIONS = { timeout: 4 * DEADLINE_MILLIS };
const SAID = 'pallet 17 has arrived at gate 4 \u202e<b>now</b>';
const PLAIN = SAID.replace('\u202e', '\ufffd');
const SHEET_PIXELS = { width: 703, height: 1032 };
const CAMERA_PIXELS = { width: 1280, height: 960 };

const { start, visit, browser } = world();

/** An id as it is printed. */
const grouped = (id) => id.match(/.{8}/g).join(' ');

/** A node with a record under some blocks: its receipts, and where the file is that verifies them. */
async function recorded() {
  const node = await start();
  await node.run('mine 3');
  const { id } = await node.run(`record ${SAID} --tag lot-17`);
  await node.run('mine 20');
  const receipt = async (form) => {
    const answer = await fetch(`${node.url}/api/v1/transactions/${id}/receipt?form=${form}`);
    assert.equal(answer.status, 200, form);
    return answer.text();
  };
  const { tip } = await node.run('status');
  return { node, id, tip, receipt };
}

/** The file in a fresh folder, where other files can be put with `put`. */
function verifier() {
  const place = folder();
  quipu('verify-page', join(place, 'verify.html'));
  const put = (name, content) => {
    writeFileSync(join(place, name), content);
    return join(place, name);
  };
  return { url: pathToFileURL(join(place, 'verify.html')).href, put };
}

/** The file in a browser without a network, and everything that went wrong in it. */
async function opened(url, options = {}, from = browser()) {
  const context = await from.newContext({ offline: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MILLIS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (said) => ['error', 'warning'].includes(said.type()) && faults.push(said.text()));
  page.on('request', (request) => /^(file|data|blob):/.test(request.url()) || faults.push(`asked for ${request.url()}`));
  await page.goto(url);
  await page.locator('h1').waitFor();
  const choose = (file) => page.locator('#main input[type=file]').first().setInputFiles(file);
  return { page, faults, context, choose };
}

test('the command line and a node give the same file, which works at the node’s address, too', OPTIONS, async () => {
  const { node, receipt } = await recorded();
  const place = folder();
  const file = join(place, 'verify.html');
  quipu('verify-page', file);
  const answer = await fetch(`${node.url}/verify.html`);
  assert.equal(await answer.text(), readFileSync(file, 'utf8'));
  assert.match(answer.headers.get('content-security-policy'), /^default-src 'none'; script-src 'sha256-.*frame-ancestors 'none'$/);
  assert.throws(() => quipu('verify-page', file), /is there already/);

  const { page, faults } = await visit(node, '');
  await page.goto(`${node.url}/verify.html`);
  writeFileSync(join(place, 'receipt.json'), await receipt('full'));
  await page.locator('#main input[type=file]').first().setInputFiles(join(place, 'receipt.json'));
  await says(page, '.good-news', 'The receipt holds');
  assert.deepEqual(faults, []);
});

test('without a network, the file says what a receipt proves, or why it proves nothing', OPTIONS, async () => {
  const { receipt, tip } = await recorded();
  const { url, put } = verifier();
  const { page, faults, choose } = await opened(url);
  const text = await receipt('full');
  const good = put('receipt.json', text);
  await choose(good);
  await says(page, '.good-news', 'The receipt holds. All work of 20 blocks');
  await says(page, '.says bdi', PLAIN);
  await says(page, '.outcome', 'dev, the built-in one');
  assert.equal(await page.locator('.says b').count(), 0);

  await page.getByLabel('Published block id').fill('0'.repeat(64));
  await says(page, '.problem', 'it witnesses nothing');
  await page.getByLabel('Published block id').fill(tip.slice(1));
  await says(page, '.hint', 'An id has 64 digits; these are 63');
  assert.equal(await page.locator('.problem:not(:empty)').count(), 0);
  await page.getByLabel('Published block id').fill(grouped(tip).toUpperCase());
  await says(page, '.good-news', 'its publisher is a witness');

  const compared = page.locator('.outcome input[type=file]');
  await compared.setInputFiles(put('other.txt', 'another pallet'));
  await says(page, '.problem', '“other.txt” is something else');
  await compared.setInputFiles(put('same.txt', SAID));
  await says(page, '.good-news', '“same.txt” is what was recorded');

  const { transaction } = JSON.parse(text);
  const at = transaction.length - 8;
  const other = transaction[at] === 'a' ? 'b' : 'a';
  await choose(put('forged.json', text.replace(transaction, transaction.slice(0, at) + other + transaction.slice(at + 1))));
  await says(page, '.outcome', 'Refuted: it proves nothing');
  await says(page, '.problem', 'somebody has changed the transaction');
  assert.equal(await page.locator('.outcome .good-news').count(), 0);
  await choose(put('wrong.pdf', '%PDF-1.7 is no receipt'));
  await says(page, '.problem', 'It is not a receipt');
  await choose(put('wrong.png', 'no picture'));
  await says(page, '.problem', 'cannot read that picture');

  await page.getByText('Paste a receipt’s text').click();
  await page.getByLabel('Text of the receipt').fill(text.replace(/\s/g, ''));
  await page.getByRole('button', { name: 'Verify' }).click();
  await says(page, '.good-news', 'The receipt holds');
  assert.deepEqual(faults, []);
});

test('a receipt with samples of the work says what they are worth', OPTIONS, async () => {
  const { receipt } = await recorded();
  const { url, put } = verifier();
  const { page, faults, choose } = await opened(url);
  await choose(put('sampled.json', await receipt('sampled')));
  await says(page, '.good-news', 'but for a chance of 2⁻⁴⁸');
  assert.deepEqual(faults, []);
});

test('coins are told, and a network that only calls itself like a built-in one is not believed', OPTIONS, async () => {
  const { url, put } = verifier();
  const { page, faults, choose } = await opened(url);
  await choose(put('lab.json', forgedReceipt('lab')));
  await says(page, '.good-news', 'The receipt holds. All work of 1 block is');
  await says(page, '.outcome', '1.5 coins to 0x2222222222222222222222222222222222222222');
  await says(page, '.outcome', 'Anybody can make one of that name');
  await choose(put('dev.json', forgedReceipt('dev')));
  await says(page, '.problem', 'calls itself like a built-in one, and is another');
  assert.equal(await page.locator('.good-news').count(), 0);
  assert.deepEqual(faults, []);
});

test('the file can ask for nothing and runs nothing that is put into it', OPTIONS, async () => {
  const node = await start();
  const { url } = verifier();
  const { page } = await opened(url, { offline: false });
  await page.evaluate((place) => {
    globalThis.refused = [];
    addEventListener('securitypolicyviolation', ({ effectiveDirective }) => refused.push(effectiveDirective));
    fetch(`${place}/healthz`).catch(() => {});
    document.createElement('img').src = `${place}/page/icon.svg`;
    const script = document.createElement('script');
    try {
      script.src = 'data:text/javascript,globalThis.isRun=true';
      document.body.append(script);
    } catch {
      // A text is no script here.
    }
  }, node.url);
  const directives = ['connect-src', 'img-src', 'require-trusted-types-for'];
  await page.waitForFunction((all) => all.every((one) => refused.includes(one)), directives);
  assert.equal(await page.evaluate(() => globalThis.isRun), undefined);
});

test('a printed receipt is read from a picture, and is worth what its reader knows', OPTIONS, async () => {
  const { node, id, tip } = await recorded();
  const { url, put } = verifier();
  const { page: sheet, faults: troubles } = await visit(node, `transaction/${id}`, { colorScheme: 'dark' });
  await sheet.getByRole('link', { name: 'Print' }).click();
  await says(sheet, '.sheet', PLAIN);
  await says(sheet, '.sheet-id', grouped(tip));
  const pages = (await sheet.pdf({ preferCSSPageSize: true })).toString('latin1').match(/\/Type \/Page\b/g);
  assert.equal(pages.length, 1);
  await sheet.setViewportSize(SHEET_PIXELS);
  await sheet.emulateMedia({ media: 'print' });
  const ground = await sheet.evaluate(() => getComputedStyle(document.body).backgroundColor);
  assert.equal(ground, 'rgb(255, 255, 255)');
  await picture(sheet, 'sheet');
  const printed = put('sheet.png', await sheet.screenshot());

  const { page, faults, choose } = await opened(url);
  await choose(printed);
  await says(page, '.half-news', 'Only the signature is proven');
  await says(page, '.half-news code', grouped(tip));
  await says(page, '.outcome', 'What it says of its place, unproven');
  await says(page, '.says bdi', PLAIN);
  await page.getByLabel('Published block id').fill('0'.repeat(64));
  await says(page, '.problem', 'it witnesses nothing');
  await page.locator('.half-news').waitFor();
  await page.getByLabel('Published block id').fill(tip);
  await says(page, '.good-news', 'The receipt holds as far as the published id goes');
  await says(page, '.outcome', 'Its place in the ledger');
  assert.equal(await page.locator('.half-news').count(), 0);
  assert.deepEqual([faults, troubles], [[], []]);
});

/** A film of one picture, in the form that the browser takes for a camera (YUV4MPEG2, grey). */
async function film(page, png) {
  const grey = await page.evaluate(
    async ([data, { width, height }]) => {
      const image = new Image();
      image.src = `data:image/png;base64,${data}`;
      await image.decode();
      const context = new OffscreenCanvas(width, height).getContext('2d');
      context.fillStyle = '#777';
      context.fillRect(0, 0, width, height);
      const wide = (height * image.width) / image.height;
      context.drawImage(image, (width - wide) / 2, 0, wide, height);
      const { data: pixels } = context.getImageData(0, 0, width, height);
      let text = '';
      for (let at = 0; at < pixels.length; at += 4) text += String.fromCharCode(16 + Math.round((pixels[at] * 219) / 255));
      return btoa(text);
    },
    [png.toString('base64'), CAMERA_PIXELS],
  );
  const { width, height } = CAMERA_PIXELS;
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`);
  const frame = [Buffer.from('FRAME\n'), Buffer.from(grey, 'base64'), Buffer.alloc((width * height) / 2, 128)];
  return Buffer.concat([head, ...frame, ...frame]);
}

test('the camera reads a code, and what it cannot do is said', OPTIONS, async () => {
  const { node, id, tip } = await recorded();
  const { url, put } = verifier();
  const { page: sheet } = await visit(node, `print/${id}`);
  const code = await sheet.locator('.qr').screenshot();
  const video = put('camera.y4m', await film(sheet, code));

  const scan = (page) => page.getByRole('button', { name: 'Scan a QR code' }).click();
  const none = await opened(url);
  await scan(none.page);
  await says(none.page, '.camera .problem', 'Take a picture of the code with another app');

  const fake = ['--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${video}`];
  const shy = await launch(fake);
  try {
    const { page } = await opened(url, {}, shy);
    await scan(page);
    await says(page, '.camera .problem', 'The camera was refused to this page');
  } finally {
    await shy.close();
  }
  const open = await launch([...fake, '--use-fake-ui-for-media-stream']);
  try {
    const { page, faults } = await opened(url, {}, open);
    await scan(page);
    await says(page, '.half-news code', grouped(tip));
    assert.equal(await page.locator('video').count(), 0);
    assert.deepEqual(faults, []);
  } finally {
    await open.close();
  }
});

test('no serious fault for anybody, in light and in dark, wide and narrow', OPTIONS, async () => {
  const { node, id, receipt } = await recorded();
  const { url, put } = verifier();
  const files = { full: put('full.json', await receipt('full')), witnessed: put('witnessed.json', await receipt('witnessed')) };
  files.wrong = put('wrong.json', '{}');
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 320]) {
      const view = { colorScheme, viewport: { width, height: 800 } };
      const { page, choose, context } = await opened(url, view);
      const judged = async (name) => {
        const where = `${name}, ${colorScheme}, ${width}`;
        await picture(page, `offline-${name}-${colorScheme}-${width}`);
        await noSeriousFault(page, where);
        await noOverflow(page, where);
      };
      await page.getByText('Paste a receipt’s text').click();
      await judged('empty');
      for (const [name, file] of Object.entries(files)) {
        await choose(file);
        await page.locator('.outcome section').first().waitFor();
        await judged(name);
      }
      await context.close();
      const { page: sheet, context: other } = await visit(node, `print/${id}`, view);
      await sheet.locator('.sheet').waitFor();
      const where = `print, ${colorScheme}, ${width}`;
      await picture(sheet, `print-${colorScheme}-${width}`);
      await noSeriousFault(sheet, where);
      await noOverflow(sheet, where);
      await other.close();
    }
  }
});
