// Mining from the page: one block, while something waits, and the end of either.
//
// A request for a block goes on while its user looks at other views, so its state is kept here, once for the page.

import { post, request } from '../app/api.js';
import { el, fill, foreign } from '../app/dom.js';
import { count, scaled } from '../app/format.js';
import { live } from '../app/live.js';
import { blockLink, button } from '../app/parts.js';

/** What this page has asked for, and what came of it. Its event: `change`. */
const asked = new EventTarget();
Object.assign(asked, { isMining: false, found: null, problem: null });

/** Buttons that say what the miner does. They follow the node until `signal` aborts. */
export function miningControls(signal) {
  const buttons = {
    one: button('Mine a block', mineOne, { kind: 'main' }),
    pending: button('Mine while something waits', () => setMode('pending')),
    stop: button('Stop mining', stop),
  };
  const state = el('p', { class: 'hint', role: 'status' });
  const trouble = el('div');
  const draw = () => {
    const mining = live.status?.mining;
    buttons.one.disabled = asked.isMining;
    buttons.pending.disabled = mining?.mode === 'pending';
    buttons.stop.disabled = !asked.isMining && !isBusy(mining);
    fill(state, stateOf(mining));
    fill(trouble, asked.problem ? el('p', { class: 'problem', role: 'alert' }, foreign(asked.problem)) : []);
  };
  asked.addEventListener('change', draw, { signal });
  live.on('status', draw, signal);
  draw();
  return el('div', { class: 'mining' }, el('p', { class: 'buttons' }, Object.values(buttons)), state, trouble);
}

/** Whether the miner has something to do, or will have. */
function isBusy(mining) {
  return Boolean(mining && (mining.mode !== 'off' || mining.job || mining.hash_rate));
}

function stateOf(mining) {
  if (!mining) return '';
  const { mode, hash_rate: rate, waits_for: waits, job } = mining;
  const speed = rate ? `, ${scaled(rate, 'H/s')}` : '';
  if (asked.isMining || job) {
    const many = job && job.wanted > 1 ? ` ${count(job.done + 1)} of ${count(job.wanted)}` : '';
    return `Mining a block${many}${speed} …`;
  }
  if (waits === 'account') return 'It does not mine: the reward has no room in its account.';
  if (waits === 'chain') return 'It mines as soon as it has fetched the better chain.';
  if (waits === 'transactions') return [lastFound(), 'It mines as soon as something waits.'];
  if (mode !== 'off') return `Mining ${mode === 'on' ? 'block after block' : 'what waits'}${speed} …`;
  if (live.status.height === 0) return 'The chain has only its first block, genesis: mine the next one.';
  return [lastFound(), 'This node does not mine now.'];
}

function lastFound() {
  return asked.found ? ['Mined block ', blockLink(asked.found.id, count(asked.found.height)), '. '] : null;
}

async function mineOne() {
  change({ isMining: true, problem: null });
  try {
    const { blocks } = await post('/mining/blocks', { count: 1 }, { patient: true });
    change({ isMining: false, found: blocks.at(-1) ?? asked.found });
  } catch (error) {
    change({ isMining: false, problem: error.message });
  }
}

async function setMode(mode) {
  await tried(() => request('/mining', { method: 'PUT', body: JSON.stringify({ mode }) }));
}

/** Ends what was asked for, here or at the prompt, and mining by itself. */
async function stop() {
  await tried(async () => {
    await request('/mining', { method: 'PUT', body: JSON.stringify({ mode: 'off' }) });
    await request('/mining/blocks', { method: 'DELETE' });
  });
}

async function tried(work) {
  change({ problem: null });
  try {
    await work();
  } catch (error) {
    change({ problem: error.message });
  }
  live.renew();
}

function change(values) {
  Object.assign(asked, values);
  asked.dispatchEvent(new Event('change'));
}
