// A place to drop a file on, or to choose one with the keyboard.

import { el, fill } from '../app/dom.js';
import { problem } from '../app/pieces.js';

/** `take(file, say)` gets the chosen file; its messages are shown, and its errors. */
export function fileDrop(text, take, { accept } = {}) {
  const answer = el('p', { class: 'hint', role: 'status' });
  const input = el('input', { type: 'file', class: 'hidden', accept });
  const choose = async (file) => {
    if (!file) return;
    try {
      fill(answer, '');
      await take(file, (words) => fill(answer, words));
    } catch (error) {
      fill(answer, problem(error));
    }
  };
  input.addEventListener('change', () => {
    const [file] = input.files;
    input.value = '';
    choose(file);
  });
  const label = el('label', { class: 'file-button' }, 'Choose a file', input);
  const zone = el('div', { class: 'drop' }, el('p', {}, text), label, answer);
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.add('over');
  });
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    zone.classList.remove('over');
    choose(event.dataTransfer.files[0]);
  });
  return zone;
}
