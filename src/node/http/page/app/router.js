// The choice of the view. Addresses are `#/name/argument?key=value`; each visit gets a signal that ends with it.

import { el, fill } from './dom.js';
import { live } from './live.js';
import { harmless } from './harmless.js';
import { problem } from './parts.js';
import { account } from '../views/account.js';
import { api } from '../views/api.js';
import { block } from '../views/block.js';
import { blocks } from '../views/blocks.js';
import { lessons } from '../views/lessons.js';
import { now } from '../views/now.js';
import { peers } from '../views/peers.js';
import { print } from '../views/print.js';
import { put } from '../views/put.js';
import { records } from '../views/records.js';
import { search } from '../views/search.js';
import { send } from '../views/send.js';
import { transaction } from '../views/transaction.js';
import { verify } from '../views/verify.js';
import { waiting } from '../views/waiting.js';

/** Views by the first word of their address: `(arguments, { query, signal, again }) => { title, element }`. */
const VIEWS = { '': now, account, api, block, blocks, lessons, peers, print, put, records, search, send, transaction, verify, waiting };

let visit = new AbortController();

/** Shows the view of the address, now and whenever it changes. */
export function route(main, navigation) {
  const go = () => show(main, navigation);
  addEventListener('hashchange', go);
  go();
}

async function show(main, navigation) {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  const shown = location.hash;
  const { name, args, query } = place();
  const again = () => signal.aborted || show(main, navigation);
  markCurrent(navigation, name);
  main.setAttribute('aria-busy', 'true');
  const isBusy = busyPerson(signal);
  let page;
  try {
    const view = Object.hasOwn(VIEWS, name) ? VIEWS[name] : nothingHere;
    page = await view(args, { query, signal, again });
  } catch (error) {
    const title = failure(error);
    page = { title, element: el('div', {}, el('h1', {}, title), problem(error)) };
    // A missing object may come with the next block, and a node that is gone may come back.
    live.on('tip', again, signal);
    live.on('connection', ({ isConnected }) => isConnected && again(), signal);
  }
  if (signal.aborted) return;
  document.title = harmless(`${page.title} · quipu`);
  fill(main, page.element);
  main.removeAttribute('aria-busy');
  main.dataset.place = shown;
  scrollTo(0, 0);
  // A screen reader announces the new view; the focus does not move at the first view, nor while typing.
  if (document.activeElement !== document.body && !isBusy()) main.focus({ preventScroll: true });
}

/** A heading for what went wrong. */
function failure(error) {
  if (error.code === 'unreachable') return 'The node is gone';
  if (error.status === 404 || error.status === 400) return 'Not found';
  return error.status === 401 ? 'Token needed' : 'That did not work';
}

/** Returns whether a key was pressed since. */
function busyPerson(signal) {
  let pressed = false;
  addEventListener('keydown', () => (pressed = true), { signal, once: true });
  return () => pressed;
}

/** The parts of the address. */
function place() {
  const [path, search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, ...args] = path.split('/').map(decode);
  return { name, args, query: new URLSearchParams(search) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function markCurrent(navigation, name) {
  for (const link of navigation.querySelectorAll('a')) {
    const isHere = link.getAttribute('href').split('/')[1] === name;
    if (isHere) link.setAttribute('aria-current', 'page');
    // On a narrow screen the list scrolls.
    if (isHere) link.scrollIntoView({ block: 'nearest', inline: 'center' });
    else link.removeAttribute('aria-current');
  }
}

function nothingHere() {
  const home = el('a', { href: '#/' }, 'What happens now');
  return { title: 'Nothing here', element: el('div', {}, el('h1', {}, 'Nothing here'), el('p', {}, home)) };
}
