// The meaning of a record's data: section 16 of the specification.

import { hex, utf8 } from './bytes.js';
import { sha256 } from './sha256.js';

/** Of a record's data. */
export const RECORD_BYTES_MAX = 4096;
const TAGS_MAX = 8;
const TAG_BYTES_MAX = 32;
const NAME_BYTES_MAX = 255;
const JSON_DEPTH_MAX = 64;
const SIZE_LIMIT = 1n << 64n;
/** The property White_Space of Unicode, control characters, and the comma. */
const NOT_IN_TAG = /[\p{White_Space}\p{Cc},]/u;
const NOT_IN_NAME = /[/\\\p{Cc}]/u;

/** The reason why data can't be recorded. `code` is stable. */
export class RecordError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The meaning of data: `{ tags, content, content_hash }`. Reading never fails. */
export function readRecord(data) {
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return { tags: [], content: { bytes: hex(data) }, content_hash: hex(sha256(data)) };
  }
  const { tags, content } = openEnvelope(text) ?? { tags: [], content: { text } };
  const hash = content.file ? content.file.sha256 : hex(sha256(utf8(content.json ?? content.text)));
  return { tags, content, content_hash: hash };
}

/** The data for tags and one of `text`, `json`, `file` (`sha256`, `name`, `size`) and `bytes`. Throws `RecordError`. */
export function writeRecord(tags, content) {
  if (tags.length > TAGS_MAX) throw new RecordError('too_many_tags', `a record has at most ${TAGS_MAX} tags`);
  if (new Set(tags).size < tags.length) throw new RecordError('repeated_tag', 'a tag is there twice');
  const wrong = tags.find((tag) => !isTag(tag));
  if (wrong !== undefined) {
    throw new RecordError('tag', `“${wrong}” is no tag: 1 to ${TAG_BYTES_MAX} bytes, no space, no comma`);
  }
  const data = content.bytes === undefined ? utf8(written(tags, content)) : rawBytes(tags, content.bytes);
  if (data.length > RECORD_BYTES_MAX) {
    throw new RecordError('too_long', `that has ${data.length} bytes, a record has at most ${RECORD_BYTES_MAX}`);
  }
  return data;
}

function rawBytes(tags, bytes) {
  if (tags.length) throw new RecordError('tagged_bytes', 'raw bytes have no tags');
  return Uint8Array.from(bytes.match(/../g) ?? [], (two) => parseInt(two, 16));
}

function written(tags, content) {
  if (content.file && !isFileName(content.file.name)) {
    throw new RecordError('file_name', 'a file’s name has 1 to 255 bytes, without slashes and control characters');
  }
  if (content.json !== undefined && !isJson(content.json)) {
    if (depth(content.json) > JSON_DEPTH_MAX) throw new RecordError('json_too_deep', 'that JSON is nested too deeply');
    throw new RecordError('json', 'that is no JSON, or there is white space around it');
  }
  const isPlain = content.text !== undefined && !tags.length && openEnvelope(content.text) === null;
  return isPlain ? content.text : envelope(tags, content);
}

/** The envelope's text, whatever its content is. */
function envelope(tags, { text, json, file }) {
  const head = `{"quipu":1,${tags.length ? `"tags":[${tags.map(quoted).join(',')}],` : ''}`;
  if (json !== undefined) return `${head}"json":${json}}`;
  if (!file) return `${head}"text":${quoted(text)}}`;
  return `${head}"file":{"sha256":"${file.sha256}","name":${quoted(file.name)},"size":${file.size}}}`;
}

/** `JSON.stringify` escapes what the specification escapes, and lone surrogates, which UTF-8 has none of. */
function quoted(text) {
  return JSON.stringify(text);
}

const ENVELOPE =
  /^\{"quipu":1,(?:"tags":(\[(?:"(?:[^"\\]|\\.)*")(?:,"(?:[^"\\]|\\.)*")*\]),)?"(text|file|json)":(.*)\}$/su;
const FILE = /^\{"sha256":"([0-9a-f]{64})","name":("(?:[^"\\]|\\.)*"),"size":(0|[1-9][0-9]{0,19})\}$/su;

/** Tags and content, or null: found with a pattern, then written again and compared. */
function openEnvelope(text) {
  const found = ENVELOPE.exec(text);
  if (!found) return null;
  try {
    const tags = found[1] ? JSON.parse(found[1]) : [];
    const content = contentOf(found[2], found[3]);
    const isFine = content && tags.length <= TAGS_MAX && new Set(tags).size === tags.length && tags.every(isTag);
    return isFine && envelope(tags, content) === text ? { tags, content } : null;
  } catch {
    return null;
  }
}

function contentOf(kind, value) {
  if (kind === 'json') return isJson(value) ? { json: value } : null;
  if (kind === 'text') {
    const text = JSON.parse(value);
    return typeof text === 'string' && text.isWellFormed() ? { text } : null;
  }
  const file = FILE.exec(value);
  if (!file || BigInt(file[3]) >= SIZE_LIMIT) return null;
  const name = JSON.parse(file[2]);
  return isFileName(name) ? { file: { sha256: file[1], name, size: file[3] } } : null;
}

function isTag(text) {
  const length = utf8(text).length;
  return length >= 1 && length <= TAG_BYTES_MAX && !NOT_IN_TAG.test(text) && text.isWellFormed();
}

function isFileName(text) {
  const length = utf8(text).length;
  return (
    length >= 1 &&
    length <= NAME_BYTES_MAX &&
    !NOT_IN_NAME.test(text) &&
    text.isWellFormed() &&
    text !== '.' &&
    text !== '..'
  );
}

function isJson(text) {
  if (text !== text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '') || depth(text) > JSON_DEPTH_MAX) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** How many arrays and objects are inside each other at most. */
function depth(text) {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/gs, '');
  let [levels, deepest] = [0, 0];
  for (const character of bare) {
    if (character === '[' || character === '{') levels += 1;
    if (character === ']' || character === '}') levels -= 1;
    deepest = Math.max(deepest, levels);
  }
  return deepest;
}
