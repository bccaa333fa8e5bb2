// Put data on the chain: a text, a file's fingerprint, or JSON.

import { el, fill, foreign } from '../app/dom.js';
import { bytes, counted } from '../app/format.js';
import { hashFile } from '../app/file.js';
import { field, section } from '../app/parts.js';
import { hex } from '../protocol/bytes.js';
import { RECORD_BYTES_MAX, readRecord, writeRecord } from '../protocol/record.js';
import { fileDrop } from './drop.js';
import { recordContent } from './record.js';
import { signing } from './signing.js';

/** The view. */
export async function put(_, { signal }) {
  const what = whatFields();
  const tags = el('input', { autocomplete: 'off', placeholder: 'lot-17, arrived' });
  const room = el('p', { class: 'hint', role: 'status' });
  const data = () => writeRecord(tagsOf(tags.value), what.content());
  const makeAction = () => ({ record: { data: hex(data()) } });
  const describe = ({ record }) => [
    ['What', el('div', {}, recordContent(readRecord(data())))],
    ['Length', counted(record.data.length / 2, 'byte')],
  ];
  const askNode = ({ wallet, fee }) => {
    const said = { ...what.content(), tags: tagsOf(tags.value), wallet, fee };
    return { path: '/records', body: bodyOf(said) };
  };
  const signer = await signing({ makeAction, describe, askNode, signal });
  const measure = () => {
    try {
      fill(room, `${data().length} of ${RECORD_BYTES_MAX} bytes`);
    } catch (error) {
      fill(room, error.message);
    }
  };
  const element = el(
    'form',
    { on: { submit: signer.review, input: measure, change: measure } },
    el('h1', {}, 'Put data on the chain'),
    el(
      'p',
      {},
      'What you write here is public and stays: everybody on the network can read it, and nobody can take it back.',
    ),
    el(
      'div',
      { class: 'halves' },
      section(
        'Data',
        what.element,
        field('Tags', tags, 'Words by which it can be found, with commas between them'),
        room,
      ),
      signer.form,
    ),
    signer.outcome,
  );
  return { title: 'Put data', element };
}

/** A body in JSON. Recorded JSON goes in as it was typed: read as numbers, long ones would lose digits. */
function bodyOf({ json, file, ...rest }) {
  const members = Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)]);
  if (json !== undefined) members.push(['json', json]);
  if (file) members.push(['file', `{"sha256":"${file.sha256}","name":${JSON.stringify(file.name)},"size":${file.size}}`]);
  return `{${members.filter(([, text]) => text !== undefined).map(([name, text]) => `"${name}":${text}`).join(',')}}`;
}

function tagsOf(text) {
  return text
    .split(',')
    .map((tag) => tag.trim().normalize('NFC'))
    .filter(Boolean);
}

/** A choice of three, and the field of the chosen one. */
function whatFields() {
  let file = null;
  const text = el('textarea', { rows: '4', spellcheck: 'true' });
  const json = el('textarea', { rows: '4', spellcheck: 'false', placeholder: '{"celsius": 4.5}' });
  const chosen = el('p', { class: 'says' }, 'No file yet.');
  const drop = fileDrop(
    'Drop a file: its SHA-256, its name and its size are recorded, never what is in it',
    async (one, say) => {
      const sha256 = await hashFile(one, (percent) => say(`Hashing: ${percent} %`));
      file = { sha256, name: one.name, size: String(one.size) };
      fill(chosen, el('strong', {}, foreign(one.name)), ` ${bytes(one.size)} `, el('code', {}, sha256));
      chosen.dispatchEvent(new Event('change', { bubbles: true }));
    },
  );
  const kinds = {
    text: { label: 'A text', element: field('Text', text), content: () => ({ text: text.value }) },
    file: {
      label: 'A file’s fingerprint',
      element: el('div', {}, drop, chosen),
      content: () => ({ file: needed(file) }),
    },
    json: { label: 'JSON', element: field('JSON value', json), content: () => ({ json: json.value.trim() }) },
  };
  let kind = 'text';
  const place = el('div');
  const choose = (name) => {
    kind = name;
    fill(place, kinds[name].element);
  };
  const radio = ([name, { label }]) =>
    el(
      'label',
      {},
      el('input', {
        type: 'radio',
        name: 'kind',
        value: name,
        checked: name === kind,
        on: { change: () => choose(name) },
      }),
      label,
    );
  choose(kind);
  const choices = el(
    'fieldset',
    {},
    el('legend', {}, 'What'),
    el('div', { class: 'choices' }, Object.entries(kinds).map(radio)),
  );
  return { element: el('div', {}, choices, place), content: () => kinds[kind].content() };
}

function needed(file) {
  if (!file) throw new Error('choose a file first');
  return file;
}
