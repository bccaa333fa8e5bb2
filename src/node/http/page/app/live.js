// The page's knowledge of the node. Views listen; nothing is requested twice.
//
// Events come in bursts (a thousand blocks in a second on a test network), so each of them only marks something as old,
// and what is old is fetched at most a few times a second.

import { get } from './api.js';
import { follow } from './events.js';

/** Between two fetches of the same thing. */
const PAUSE_MILLIS = 300;
/** Blocks on side branches, hash rates and pings change without an event. */
const POLL_MILLIS = 2_000;
/** With the pause between two polls, a node that hangs is told of within five seconds. */
const STATUS_MILLIS_MAX = 2_500;

/**
 * Its events: `status`, `connection`, `tip`, `transaction`, `peers`, `rolled_back`, `watch`, `warning`. Views add `again`:
 * something lost was sent again.
 */
class Live extends EventTarget {
  /** The answer of `/status`, once there is one. */
  status = null;
  /** Names of accounts, by address. */
  aliases = new Map();
  /** Whether events flow and questions are answered; null before the first answer. */
  isConnected = null;
  /** Whether the stream of events is open. */
  #isFollowing = false;
  #due = new Map();

  /** Begins to follow the node. Done when its status and its names for accounts are known, or when it is gone. */
  async start() {
    this.retry = follow({
      heard: (kind, data) => this.#heard(kind, data),
      connected: (yes, why) => {
        this.#isFollowing = yes;
        this.#connection(yes, why);
      },
    });
    setInterval(() => this.#isFollowing && this.renew(), POLL_MILLIS);
    await Promise.allSettled([this.#fetchStatus(), this.learnNames()]);
  }

  /** Calls `listener(detail)` for each of these until `signal` aborts. */
  on(kinds, listener, signal) {
    for (const kind of kinds.split(' ')) {
      this.addEventListener(kind, (event) => listener(event.detail), { signal });
    }
  }

  /** Asks for the status soon. */
  renew() {
    this.#later('status', () => this.#fetchStatus());
  }

  #say(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #connection(yes, why) {
    if (this.isConnected === yes) return;
    this.isConnected = yes;
    this.#say('connection', { isConnected: yes, wantsToken: why?.status === 401 });
  }

  #heard(kind, data) {
    if (kind === 'hello' || kind === 'reset') {
      this.renew();
      this.#later('names', () => this.learnNames());
      this.#say('tip', { height: null, reorg_depth: 0 });
      return;
    }
    if (kind === 'peer_connected' || kind === 'peer_disconnected') this.#say('peers', data);
    else this.#say(kind, data);
    this.renew();
  }

  /** Asks for the node's names for accounts. Its user may change them at any time, and there is no event for that. */
  async learnNames() {
    const rows = await get('/aliases');
    this.aliases = new Map(rows.map(({ name, address }) => [address, name]));
    this.#say('status', this.status);
  }

  async #fetchStatus() {
    try {
      this.status = await get('/status', { millis: STATUS_MILLIS_MAX });
    } catch (error) {
      // The stream of a node that hangs stays open.
      if (error.code === 'unreachable') this.#connection(false, error);
      throw error;
    }
    if (this.#isFollowing) this.#connection(true);
    this.#say('status', this.status);
  }

  #later(name, work) {
    soon(this.#due, name, work);
  }
}

/** Does some work soon, and not again before it is done and a pause is over. `due` remembers, by name. */
function soon(due, name, work) {
  const state = due.get(name) ?? { running: false, again: false };
  due.set(name, state);
  if (state.running) {
    state.again = true;
    return;
  }
  state.running = true;
  state.again = false;
  // What is asked for the status, and the stream of events, report a node that does not answer.
  Promise.resolve()
    .then(work)
    .catch(() => {})
    .then(() => {
      setTimeout(() => {
        state.running = false;
        if (state.again) soon(due, name, work);
      }, PAUSE_MILLIS);
    });
}

/** A function that does `work` at most once in a period, however often it is called. */
export function calmly(work) {
  const due = new Map();
  return () => soon(due, 'it', work);
}

/** The only instance. */
export const live = new Live();
