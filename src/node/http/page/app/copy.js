// The clipboard. Browsers give it to pages that they call secure alone, which one at another machine's address is not.

/** Copies a text, or throws. */
export async function copyText(text) {
  if (navigator.clipboard && globalThis.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden';
  document.body.append(area);
  const focused = document.activeElement;
  area.select();
  // The only way there is on such a page.
  const isDone = document.execCommand('copy');
  area.remove();
  focused?.focus();
  if (!isDone) throw new Error('the browser does not give its clipboard');
}
