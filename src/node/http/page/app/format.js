// Values as people read them: times in the reader's zone, short ids, numbers with units.

import { el } from './dom.js';

/** The zone is said: the prompt shows UTC. */
const DATE_TIME = new Intl.DateTimeFormat(undefined, {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: 'numeric',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});
/** How often relative times are renewed. */
const AGE_MILLIS = 5_000;
const NUMBER = new Intl.NumberFormat('en');
const DIGITS = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const WORDS = new Intl.NumberFormat('en', {
  notation: 'compact',
  compactDisplay: 'long',
  maximumSignificantDigits: 3,
});
/** Steps of a thousand: hashes, and bytes by the SI. */
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** A large number in words: `17.8 million`. */
export function roughly(number) {
  return WORDS.format(number);
}

/** A moment, in Unix milliseconds. */
function dateTime(millis) {
  return DATE_TIME.format(new Date(millis));
}

/** A moment as an element: the reader's time, the exact one for machines. */
export function time(millis) {
  const moment = new Date(millis);
  const exact = Number.isNaN(moment.getTime()) ? '' : moment.toISOString();
  return el('time', { datetime: exact, title: exact }, exact ? dateTime(millis) : String(millis));
}

/** A moment as its distance from now, which `renewAges` keeps true. The moment itself is for who hovers. */
export function ago(millis) {
  const moment = new Date(millis);
  if (Number.isNaN(moment.getTime())) return el('span', {}, String(millis));
  const properties = { class: 'ago', datetime: moment.toISOString(), title: dateTime(millis) };
  return el('time', properties, distance(moment, Date.now()));
}

/** A moment, and how long ago that is. */
export function timeAndAge(millis) {
  return el('span', {}, time(millis), ' (', ago(millis), ')');
}

function distance(moment, now) {
  const past = now - moment;
  if (past < -1000) return `in ${wholeSpan(-past)}`;
  return past < 1000 ? 'now' : `${wholeSpan(past)} ago`;
}

/** Without tenths, which a text that is renewed now and then does not keep. */
function wholeSpan(millis) {
  return millis < 10_000 ? `${Math.floor(millis / 1000)} s` : span(millis);
}

/** Keeps the relative times of the document true. */
export function renewAges() {
  setInterval(() => {
    for (const element of document.querySelectorAll('time.ago')) {
      const text = distance(new Date(element.dateTime), Date.now());
      if (element.textContent !== text) element.textContent = text;
    }
  }, AGE_MILLIS);
}

/** How long, in milliseconds: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 days`. */
export function span(millis) {
  const seconds = Math.max(0, millis) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** The eight digits of an id by which the prompt names it: those after the leading zeros. */
export function short(id) {
  const zeros = Math.min(id.length - id.replace(/^0+/, '').length, id.length - 8);
  return id.slice(zeros, zeros + 8);
}

/** Both ends of an address, as the prompt shows it. */
export function shortAddress(address) {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

/** The end of a peer's id, where they differ. */
export function shortPeer(id) {
  return `…${id.slice(-8)}`;
}

/** A whole number with groups of three. */
export function count(number) {
  return NUMBER.format(number);
}

/** `one thing`, `12 things`. */
export function counted(number, thing, things = `${thing}s`) {
  return `${count(number)} ${Number(number) === 1 ? thing : things}`;
}

/** Three digits and a prefix: `4.21 M`. */
export function scaled(number, unit) {
  let value = Number(number);
  let step = 0;
  while (value >= 1000 && step < PREFIXES.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${DIGITS.format(value)} ${PREFIXES[step]}${unit}`.trim();
}

/** A size in bytes. */
export function bytes(size) {
  return scaled(size, 'B');
}

const JSON_TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** JSON with line breaks, its tokens as they are: read as numbers, long ones would lose digits. Other text stays. */
export function indented(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  let before = '';
  let shown = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const [token] of text.matchAll(JSON_TOKEN)) {
    const opens = '{['.includes(before);
    const closes = '}]'.includes(token);
    if (closes) depth -= 1;
    if (before && (opens ? !closes : closes || before === ',')) shown += line();
    shown += token === ':' ? ': ' : token;
    if ('{['.includes(token)) depth += 1;
    before = token;
  }
  return shown;
}
