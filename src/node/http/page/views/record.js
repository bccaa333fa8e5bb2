// A record on the node's page: its content, with links to the records of the same tags.

import { el, foreign } from '../app/dom.js';
import { query } from '../app/api.js';
import { contentOf } from './content.js';

export { recordLine } from './content.js';

/** A link to all records with a tag. */
export function tagLink(tag) {
  return el('a', { class: 'tag', href: `#/records${query({ tag })}` }, foreign(tag));
}

/** All of a record. */
export function recordContent(record) {
  return contentOf(record, tagLink);
}
