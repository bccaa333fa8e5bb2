// Real nodes and a real browser for the tests of the page.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const BINARY = resolve(process.env.QUIPU ?? join(ROOT, 'target/debug/quipu'));
/** Where pictures of every view go, if anywhere. */
const SCREENSHOTS = process.env.QUIPU_SCREENSHOTS;
/** A folder whose files stand for those in the binary, to try the page without a build. */
const PAGE = process.env.QUIPU_PAGE;
/** How long anything may take on a machine that is busy. */
export const DEADLINE_MILLIS = 60_000;
/** The browser speaks to nobody but the node. */
const BROWSER_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const FOLDERS = [];

/** A folder that is gone after the tests. */
export function folder() {
  const made = mkdtempSync(join(tmpdir(), 'quipu-browser-'));
  FOLDERS.push(made);
  return made;
}

process.on('exit', () => FOLDERS.forEach((made) => rmSync(made, { recursive: true, force: true })));

/** A node of the network `dev` that is spoken to in JSON. */
export class Node {
  #waiting = [];
  #events = [];

  /** Starts one; `data` is an older one's folder, `http` where to serve, `more` further options. */
  static async start({ name = 'test', data = folder(), http = '127.0.0.1:0', more = [] } = {}) {
    const node = new Node();
    node.data = data;
    const options = ['--data-dir', data, '--name', name, '--network', 'dev', '--no-mdns', '--json', '--threads', '1'];
    node.process = spawn(BINARY, [...options, '--listen', '/ip4/127.0.0.1/tcp/0', '--http', http, ...more], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
    });
    const ready = new Promise((resolve, reject) => {
      node.ended = new Promise((ended) =>
        node.process.on('exit', () => (ended(), reject(new Error('the node ended')))),
      );
      createInterface({ input: node.process.stdout }).on('line', (line) => {
        const said = JSON.parse(line);
        if (said.event === 'ready') resolve(said);
        else if (said.event) node.#events.push(said);
        else node.#waiting.shift()(said);
      });
    });
    node.ready = await ready;
    node.url = node.ready.http.replace('0.0.0.0', '127.0.0.1');
    return node;
  }

  /** What a command answers. */
  async run(command) {
    const answer = new Promise((resolve) => this.#waiting.push(resolve));
    this.process.stdin.write(`${command}\n`);
    const { ok, result, error } = await answer;
    if (!ok) throw new Error(`${command}: ${error.message}`);
    return result;
  }

  /** Connects to another one. */
  async connect(other) {
    await this.run(`connect ${other.ready.listen[0]}`);
  }

  /** Stops it without its knowledge, as a machine that hangs. A signal is only on its way when it was sent. */
  async freeze() {
    this.process.kill('SIGSTOP');
    const threads = () => execFileSync('ps', ['-L', '-o', 'state=', '-p', String(this.process.pid)]).toString();
    while (/[^T\s]/.test(threads())) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets it go on. */
  thaw() {
    this.process.kill('SIGCONT');
  }

  /** Ends it as a power cut would. */
  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }
}

/** The first program of that name. */
function program(name) {
  for (const place of process.env.PATH.split(delimiter)) {
    try {
      accessSync(join(place, name), constants.X_OK);
      return join(place, name);
    } catch {
      // The next place may have it.
    }
  }
  throw new Error(`${name} is not installed`);
}

/** A browser. `CHROMIUM` names its program; `more` are further arguments. */
export function launch(more = []) {
  const executablePath = process.env.CHROMIUM ?? program('chromium');
  return chromium.launch({ executablePath, args: [...BROWSER_ARGUMENTS, ...more] });
}

/** A page at a node, and everything that went wrong in it. */
export async function open(browser, node, place = '', options = {}) {
  const { script, ...more } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MILLIS);
  if (script) await page.addInitScript(script);
  const faults = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (said) => ['error', 'warning'].includes(said.type()) && faults.push(said.text()));
  page.on(
    'request',
    (request) =>
      request.url().startsWith(node.url) ||
      /^(data|blob):/.test(request.url()) ||
      faults.push(`asked for ${request.url()}`),
  );
  if (PAGE) await page.route(/\/(page\/.*)?$/, fromFolder);
  await page.goto(`${node.url}/#/${place}`);
  return { page, faults, context };
}

/** Answers with the folder's file, under the headers of the node. */
async function fromFolder(route) {
  const path = join(PAGE, new URL(route.request().url()).pathname.replace(/^\/(page\/)?$/, '/index.html').replace(/^\/page/, ''));
  if (!existsSync(path)) return route.continue();
  const { headers } = await fetch(new URL('/', route.request().url()));
  const csp = headers.get('content-security-policy');
  await route.fulfill({ path, headers: { 'content-security-policy': csp, 'cache-control': 'no-store' } });
}

/** Waits until `selector` says `text`. */
export async function says(page, selector, text) {
  await page.locator(selector).filter({ hasText: text }).first().waitFor();
}

/** Waits until the cord's newest bead of the best chain has this height. */
export async function tipIs(page, height) {
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll('.block.best')].at(-1)?.dataset.height === String(wanted),
    height,
  );
}

/** What a file of tests needs, gone after them: `start` makes a node, `visit` opens a page at one, in `browser()`. */
export function world() {
  const nodes = [];
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await Promise.all(nodes.map((node) => node.kill()));
  });
  const start = async (options) => {
    const node = await Node.start(options);
    nodes.push(node);
    return node;
  };
  return { start, visit: (...given) => open(browser, ...given), browser: () => browser };
}

/** Keeps a picture, if somebody wants them. */
export async function picture(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** No fault that keeps somebody from reading or using the page, as axe finds them. */
export async function noSeriousFault(page, where) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const told = serious.map(
    ({ id, nodes: places }) =>
      `${id}: ${places.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`,
  );
  assert.deepEqual(told, [], where);
}

/** Nothing reaches beyond the right edge. */
export async function noOverflow(page, where) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${where}: ${overflow} pixels too wide`);
}

/** The output of `quipu` with these arguments. */
export function quipu(...parameters) {
  return execFileSync(BINARY, parameters, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } }).toString();
}

/** OpenSSL's output. */
export function openssl(...parameters) {
  return execFileSync('openssl', parameters, { stdio: ['ignore', 'pipe', 'pipe'] });
}
