// The node's events, read as a stream. `EventSource` can send no token, so this is a small reader of its own.
//
// It always comes back: after each loss it asks again, later each time up to a limit, with the id of the last event it
// has seen. The node then sends what was missed, or `reset` if that is too much.

import { request } from './api.js';

const RETRY_MILLIS_MIN = 500;
const RETRY_MILLIS_MAX = 5_000;
/** The node greets at once. */
const GREETING_MILLIS_MAX = 5_000;
/** It says something at least every 15 s; a stream that is silent for longer is dead. */
const SILENCE_MILLIS_MAX = 40_000;
/** No line of ours is longer. */
const LINE_CHARS_MAX = 4 << 20;

/** Splits a stream of server-sent events (WHATWG HTML, 9.2.6) into events. Feed it texts as they come. */
export class EventParser {
  #rest = '';
  #kind = '';
  #data = [];
  #id = '';

  /** The events that are complete now. */
  push(text) {
    // A carriage return at the end may be half of a line's end.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?=.)/s);
    this.#rest = lines.pop();
    if (this.#rest.length > LINE_CHARS_MAX) throw new Error('a line without end');
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line) {
    if (line === '') return this.#flush();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#kind = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id') this.#id = value;
    return [];
  }

  #flush() {
    const [kind, data] = [this.#kind, this.#data];
    this.#kind = '';
    this.#data = [];
    return data.length ? [{ kind: kind || 'message', id: this.#id, data: data.join('\n') }] : [];
  }
}

/**
 * Follows the events for ever. `heard(kind, data)` gets each one, `connected(yes, why)` hears when the node is lost,
 * with the error if there was one, and when it is back. Gives a function that tries again at once.
 */
export function follow({ heard, connected }) {
  let last = '';
  let wake = () => {};
  const run = async () => {
    let why = null;
    for (let pause = RETRY_MILLIS_MIN; ; pause = Math.min(pause * 2, RETRY_MILLIS_MAX)) {
      try {
        await readOnce(last, (event) => {
          pause = RETRY_MILLIS_MIN;
          last = event.id;
          if (event.kind === 'hello' || event.kind === 'reset') connected(true);
          heard(event.kind, JSON.parse(event.data));
        });
        why = null;
      } catch (error) {
        // The stream is opened again after any error.
        why = error;
      }
      connected(false, why);
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause);
      });
    }
  };
  run();
  return () => wake();
}

async function readOnce(last, each) {
  const stop = new AbortController();
  const silence = { timer: 0 };
  const listen = (millis) => {
    clearTimeout(silence.timer);
    silence.timer = setTimeout(() => stop.abort(), millis);
  };
  try {
    const headers = last ? { accept: 'text/event-stream', 'last-event-id': last } : { accept: 'text/event-stream' };
    const response = await request('/events', { headers, signal: stop.signal });
    listen(GREETING_MILLIS_MAX);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      listen(SILENCE_MILLIS_MAX);
      for (const event of parser.push(value)) each(event);
    }
  } finally {
    clearTimeout(silence.timer);
    stop.abort();
  }
}
