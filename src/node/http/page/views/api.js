// The API, to be read and tried: made from the description that the node makes of its own code.

import { get, request } from '../app/api.js';
import { el, fill } from '../app/dom.js';
import { indented } from '../app/format.js';
import { field, problem } from '../app/parts.js';

const PREFIX = '/api/v1';
const METHODS = ['get', 'post', 'put', 'delete'];
/** More of an answer is left out, in characters. */
const SHOWN_CHARS_MAX = 20_000;
/** Of a body's example: schemas inside each other. */
const DEPTH_MAX = 6;

/** The view. */
export async function api() {
  const description = await get('/api/openapi.json');
  const groups = new Map(description.tags.map((tag) => [tag.name, { ...tag, operations: [] }]));
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const operation = { ...methods[method], method, path };
      groups.get(operation.tags?.[0])?.operations.push(operation);
    }
  }
  const section = ({ name, description: about, operations }) =>
    el(
      'section',
      { class: 'operations' },
      el('h2', {}, name),
      el('p', { class: 'faint' }, about),
      operations.map((one) => card(one, description)),
    );
  const element = el(
    'div',
    {},
    el('h1', {}, 'API'),
    el(
      'p',
      {},
      'What programs on this machine can ask the node. Each can be tried here, and does what it says. ',
      el('a', { href: '/api/openapi.json' }, 'The description for programs (OpenAPI)'),
    ),
    [...groups.values()].filter(({ operations }) => operations.length).map(section),
  );
  return { title: 'API', element };
}

function card(operation, description) {
  const details = el('details', { class: 'card operation' });
  const head = [
    el('code', { class: `method ${operation.method}` }, operation.method.toUpperCase()),
    ' ',
    el('code', {}, operation.path),
  ];
  details.append(el('summary', {}, head, ' ', el('span', { class: 'faint' }, operation.summary)));
  // Forms are made on demand: there are many.
  details.addEventListener('toggle', () => details.append(tryForm(operation, description)), { once: true });
  return details;
}

function tryForm(operation, description) {
  const inputs = (operation.parameters ?? []).filter((one) => one.in !== 'header').map(parameterField);
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  const body = schema ? el('textarea', { rows: '6', spellcheck: 'false' }) : null;
  if (body) body.value = JSON.stringify(example(schema, description), null, 2);
  const answer = el('div', { role: 'status' });
  const isStream = Boolean(operation.responses?.['200']?.content?.['text/event-stream']);
  const act = async (event) => {
    event.preventDefault();
    const path = pathOf(operation.path, inputs);
    fill(answer, curlLine(operation.method, path, body?.value));
    if (!isStream) answer.append(await tried(operation.method, path, body?.value));
  };
  return el(
    'form',
    { on: { submit: act } },
    operation.description ? el('p', {}, operation.description) : null,
    inputs.map(({ element }) => element),
    body ? field(`Body of ${operation.operationId}`, body) : null,
    el('p', { class: 'buttons' }, el('button', { class: 'main' }, isStream ? 'Show the command' : 'Try it')),
    answer,
  );
}

function parameterField({ name, in: place, description, schema }) {
  const input = el('input', { autocomplete: 'off', spellcheck: 'false', placeholder: schema?.default ?? '' });
  return { name, place, input, element: field(name, input, description) };
}

function pathOf(template, inputs) {
  const query = new URLSearchParams();
  let path = template;
  for (const { name, place, input } of inputs) {
    const value = input.value.trim();
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value) query.set(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

function curlLine(method, path, body) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const how = method === 'get' ? '' : ` -X ${method.toUpperCase()}`;
  const data = body === undefined ? '' : ` -H 'content-type: application/json' -d ${quoted(body)}`;
  return el('pre', { class: 'says' }, `curl${how} ${quoted(location.origin + path)}${data}`);
}

/** The response. */
async function tried(method, path, body) {
  try {
    const response = await request(path.slice(PREFIX.length), { method: method.toUpperCase(), body, patient: true });
    const isText = /json|text/.test(response.headers.get('content-type') ?? '');
    const text = isText ? shown(await response.text()) : `${(await response.blob()).size} bytes`;
    return el('pre', { class: 'says', tabindex: '0' }, `${response.status}\n${text}`);
  } catch (error) {
    return problem(error);
  }
}

function shown(text) {
  const pretty = indented(text);
  return pretty.length > SHOWN_CHARS_MAX ? `${pretty.slice(0, SHOWN_CHARS_MAX)}\n…` : pretty;
}

/** A value that fits a schema, with the required fields. */
function example(schema, description, depth = 0) {
  if (!schema || depth > DEPTH_MAX) return null;
  if (schema.example !== undefined) return schema.example;
  if (schema.$ref) return example(description.components.schemas[schema.$ref.split('/').pop()], description, depth + 1);
  if (!schema.properties) return { integer: 0, array: [], boolean: false }[schema.type] ?? '';
  const needed = schema.required ?? [];
  const entries = Object.entries(schema.properties).filter(([name]) => needed.includes(name));
  return Object.fromEntries(entries.map(([name, one]) => [name, example(one, description, depth + 1)]));
}
