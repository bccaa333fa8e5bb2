// Requests to the node. Errors are its own problem documents (RFC 9457), so the page shows the prompt's words.
//
// Where the node cannot tell that its own user asks, it wants a bearer token. The address on the node's terminal has it;
// otherwise it is asked for once. It is kept for this tab alone.

const API = '/api/v1';
/** Sends coins of one of the node's wallets. */
export const TUTORIAL_SEND = '/transactions/new';
const TOKEN_KEY = 'quipu-token';
/** A node that is silent for so long, before an answer or in the middle of it, hangs. */
export const ANSWER_MILLIS_MAX = 5_000;
/** The address on the node's terminal ends with this and the token. */
const TOKEN_IN_ADDRESS = '#token=';

/** A request that was refused or did not work. `code` is stable, the message is for people. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Asks for the token; set by the page. Gives the typed text. */
let askForToken = async () => '';
let asking = null;
/** A user without a token is not asked again and again. */
let hasNone = false;

/** Sets the way to ask for the token. */
export function onTokenWanted(ask) {
  askForToken = ask;
}

/** Takes the token out of the page's address, so that no bookmark and no glance at the screen has it. Whether it was there. */
export function takeToken() {
  if (!location.hash.startsWith(TOKEN_IN_ADDRESS)) return false;
  sessionStorage.setItem(TOKEN_KEY, location.hash.slice(TOKEN_IN_ADDRESS.length));
  history.replaceState(null, '', location.pathname + location.search);
  hasNone = false;
  return true;
}

/** The token may be asked for once more. */
export function askAgain() {
  hasNone = false;
}

/**
 * A response that worked. `path` follows `/api/v1`, or begins with `/api`, or is `/transactions/new`, a route of tutorials; `body` is the text of JSON, sent as it is.
 * `quiet` asks nobody for a token. The answer begins within `millis`, or the node is unreachable; `patient` waits for ever: for a block, or for peers.
 */
export async function request(
  path,
  { method = 'GET', body, headers = {}, signal, patient = false, quiet = false, millis = ANSWER_MILLIS_MAX } = {},
) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const wait = patient ? null : millis;
    const url = path.startsWith('/api/') || path === TUTORIAL_SEND ? path : API + path;
    const response = await send(url, { method, body, headers, signal, token, wait });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (response.status !== 401 || quiet) throw problem;
    await renewToken(token, problem);
  }
}

async function send(url, { method, body, headers, signal, token, wait }) {
  const late = new AbortController();
  const timer = wait === null ? null : setTimeout(() => late.abort(), wait);
  const all = { ...headers };
  if (token) all.authorization = `Bearer ${token}`;
  if (body !== undefined) all['content-type'] = 'application/json';
  try {
    return await fetch(url, {
      method,
      headers: all,
      signal: signal ? AbortSignal.any([signal, late.signal]) : late.signal,
      body,
    });
  } catch (error) {
    if (late.signal.aborted) throw silent(wait);
    if (error.name === 'AbortError') throw error;
    throw gone();
  } finally {
    clearTimeout(timer);
  }
}

function silent(millis) {
  return new Problem(0, 'unreachable', `the node has not answered for ${millis / 1000} s: it hangs, or has too much to do`);
}

function gone() {
  return new Problem(0, 'unreachable', 'the node does not answer: see whether it still runs');
}

/** All of an answer. It may take long, but no pause in it may. */
export async function whole(response, millis = ANSWER_MILLIS_MAX) {
  const chunks = [];
  const reader = response.body?.getReader();
  while (reader) {
    const { value, done } = await next(reader, millis);
    if (done) break;
    chunks.push(value);
  }
  return new Blob(chunks);
}

async function next(reader, millis) {
  let timer;
  const late = new Promise((_, refuse) => {
    timer = setTimeout(() => refuse(silent(millis)), millis);
  });
  try {
    return await Promise.race([reader.read(), late]);
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof Problem || error.name === 'AbortError') throw error;
    throw gone();
  } finally {
    clearTimeout(timer);
  }
}

async function problemOf(response) {
  const said = await response.json().catch(() => ({}));
  return new Problem(response.status, said.code ?? 'unknown', said.detail ?? `the node answered ${response.status}`);
}

/** One dialog at a time; a token that another request has got meanwhile is tried first. */
async function renewToken(tried, problem) {
  if (sessionStorage.getItem(TOKEN_KEY) !== tried) return;
  if (hasNone) throw problem;
  asking ??= askForToken(tried ? 'That token is not this node’s.' : '').finally(() => {
    asking = null;
  });
  const token = (await asking).trim();
  // The page's address has brought one meanwhile.
  if (sessionStorage.getItem(TOKEN_KEY) !== tried) return;
  hasNone = !token;
  if (hasNone) throw problem;
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** The JSON at a path. */
export async function get(path, options) {
  return json(await request(path, options), options);
}

/** The JSON that an answer is. */
export async function json(response, { millis } = {}) {
  return JSON.parse(await (await whole(response, millis)).text());
}

/** Sends JSON, gives the JSON that comes back. */
export async function post(path, body, options) {
  return json(await request(path, { ...options, method: 'POST', body: JSON.stringify(body) }), options);
}

/** The bytes at a path. */
export async function getBytes(path) {
  return new Uint8Array(await (await whole(await request(path))).arrayBuffer());
}

/** The JSON at a path, or null if there is no such thing. */
export async function find(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Problem && (error.status === 404 || error.status === 400)) return null;
    throw error;
  }
}

/** A path's question mark and arguments; empty values are left out. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length ? `?${new URLSearchParams(given)}` : '';
}
