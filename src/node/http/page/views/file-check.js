// Whether a file is the one that was recorded.

import { el, fill, foreign } from '../app/dom.js';
import { hashFile } from '../app/file.js';
import { problem } from '../app/pieces.js';
import { fileDrop } from './drop.js';

/** A place to drop the file on. `content_hash` is that of a record. */
export function fileCheck({ content_hash: hash }) {
  const answer = el('div', { role: 'status' });
  const drop = fileDrop('Drop the file to see whether it is the recorded one', async (file, say) => {
    const sha256 = await hashFile(file, (percent) => say(`Hashing: ${percent} %`));
    say('');
    if (sha256 === hash) fill(answer, el('p', { class: 'good-news' }, '“', foreign(file.name), '” is what was recorded.'));
    else fill(answer, problem(new Error(`“${file.name}” is something else: its SHA-256 is ${sha256}`)));
  });
  return [drop, answer];
}
