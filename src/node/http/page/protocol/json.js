// JSON (RFC 8259) as a receipt needs it: whole numbers stay whole, as BigInt, and no key may be repeated.
//
// `JSON.parse` rounds numbers above 2^53 and lets the last of two keys win, so it can't tell what a text says.

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORDS = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);
/** More arrays and objects inside each other are refused; what is read here has four. */
const DEPTH_MAX = 32;

/** The value that a text says. Throws `SyntaxError`. */
export function readJson(text) {
  const reader = { text, at: 0 };
  const value = read(reader, 0);
  token(reader, SPACE);
  if (reader.at !== text.length) throw new SyntaxError('there is more behind it');
  return value;
}

function read(reader, depth) {
  token(reader, SPACE);
  const first = reader.text[reader.at];
  if (depth > DEPTH_MAX) throw new SyntaxError('nested too deeply');
  if (first === '{') return readObject(reader, depth);
  if (first === '[') return readArray(reader, depth);
  if (first === '"') return JSON.parse(needed(reader, STRING));
  for (const [word, value] of WORDS) {
    if (reader.text.startsWith(word, reader.at)) {
      reader.at += word.length;
      return value;
    }
  }
  const digits = needed(reader, NUMBER);
  return /^[0-9]+$/.test(digits) ? BigInt(digits) : Number(digits);
}

function readArray(reader, depth) {
  const elements = [];
  listed(reader, ']', () => elements.push(read(reader, depth + 1)));
  return elements;
}

function readObject(reader, depth) {
  const entries = new Map();
  listed(reader, '}', () => {
    token(reader, SPACE);
    const key = JSON.parse(needed(reader, STRING));
    if (entries.has(key)) throw new SyntaxError('a key is repeated');
    punctuation(reader, ':');
    entries.set(key, read(reader, depth + 1));
  });
  return Object.fromEntries(entries);
}

/** Elements with commas between them, up to the bracket that closes. */
function listed(reader, close, one) {
  reader.at += 1;
  token(reader, SPACE);
  if (reader.text[reader.at] === close) {
    reader.at += 1;
    return;
  }
  do one();
  while (punctuation(reader, close, ',') === ',');
}

/** The next character that is not white space, which must be one of these. */
function punctuation(reader, ...allowed) {
  token(reader, SPACE);
  const found = reader.text[reader.at];
  if (!allowed.includes(found)) throw new SyntaxError(`${allowed.join(' or ')} is missing at ${reader.at}`);
  reader.at += 1;
  return found;
}

function token(reader, pattern) {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text)?.[0];
  if (found !== undefined) reader.at += found.length;
  return found;
}

function needed(reader, pattern) {
  const found = token(reader, pattern);
  if (found === undefined) throw new SyntaxError(`no value at ${reader.at}`);
  return found;
}
