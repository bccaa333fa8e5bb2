// The choice of the view. Addresses are `#/name/argument?key=value`; each visit gets a signal that ends with it.

import { el, fill } from './dom.js';
import { live } from './live.js';
import { harmless } from './harmless.js';
import { problem } from './parts.js';
import { account } from '../views/account.js';
import { api } from '../views/api.js';
import { block } from '../views/block.js';
import { lessons } from '../views/lessons.js';
import { now } from '../views/now.js';
import { peers } from '../views/peers.js';
import { put } from '../views/put.js';
import { records } from '../views/records.js';
import { send } from '../views/send.js';
import { transaction } from '../views/transaction.js';
import { verify } from '../views/verify.js';

/** Views by the first word of their address: `(arguments, { query, signal }) => { title, element }`. */
const VIEWS = { '': now, account, api, block, lessons, peers, put, records, send, transaction, verify };

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
  markCurrent(navigation, name);
  main.setAttribute('aria-busy', 'true');
  const isBusy = busyPerson(signal);
  let page;
  try {
    const view = Object.hasOwn(VIEWS, name) ? VIEWS[name] : nothingHere;
    page = await view(args, { query, signal });
  } catch (error) {
    page = { title: 'Not found', element: el('div', {}, el('h1', {}, 'Not found'), problem(error)) };
    // A missing object may come with the next block.
    live.on('tip', () => signal.aborted || show(main, navigation), signal);
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
