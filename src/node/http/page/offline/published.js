// The id of a block that the reader knows from elsewhere. Printed ids have blanks, and may be in upper case.

const DIGITS = 64;

/** The id that was typed, or null if that is none. */
export function published(typed) {
  const digits = plain(typed);
  return publishedProblem(typed) || digits === '' ? null : digits;
}

/** What is wrong with it, or nothing. */
export function publishedProblem(typed) {
  const digits = plain(typed);
  if (digits === '' || /^[0-9a-f]{64}$/.test(digits)) return '';
  if (/[^0-9a-f]/.test(digits)) return 'An id has the digits 0 to 9 and a to f alone.';
  return `An id has ${DIGITS} digits; these are ${digits.length}.`;
}

function plain(typed) {
  return typed.replace(/\s/g, '').toLowerCase();
}
