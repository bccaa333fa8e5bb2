// Foreign text made harmless: the same table and rule as at the prompt (`protocol/src/harmless.rs`, where its source is
// named). A test compares the two.

/** Ranges of characters that steer, reorder or hide text. */
export const CONFUSING = [
  [0x0, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x61c, 0x61c],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0x3164, 0x3164],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xffa0, 0xffa0],
  [0xfff0, 0xfffb],
  [0x1bca0, 0x1bca3],
  [0x1d173, 0x1d17a],
  [0xe0000, 0xe0fff],
];

/** What the page lays out itself: a record has lines and tabs. */
const LAYOUT = /[\n\t]/;
const RANGES = CONFUSING.map((range) => range.map((code) => `\\u{${code.toString(16)}}`).join('-')).join('');
const CONFUSES = new RegExp(`[${RANGES}]`, 'gu');

/** A text with U+FFFD in place of each such character; line feeds and tabs stay. */
export function harmless(text) {
  return text.replace(CONFUSES, (found) => (LAYOUT.test(found) ? found : '\ufffd'));
}
