// A small chart of one series: a line with its area, or bars. The newest value is at the right.

import { el, fill, svg } from '../app/dom.js';

const HEIGHT = 96;
const PAD = 6;

/** A figure with a title, the newest value, a chart, and a word about any point under the pointer. */
export class Chart {
  #points = [];
  #show;

  /** `show(value)` gives a value's text. `kind` is `line` or `bars`. */
  constructor({ title, explain, kind, show }) {
    this.#show = show;
    this.kind = kind;
    this.value = el('p', { class: 'chart-value' }, '—');
    this.picture = svg('svg', { class: 'chart', role: 'img', 'aria-label': title, height: HEIGHT });
    this.note = el('p', { class: 'chart-note' }, explain);
    this.explain = explain;
    this.title = title;
    this.picture.addEventListener('pointermove', (event) => this.#point(event));
    this.picture.addEventListener('pointerleave', () => fill(this.note, this.explain));
    this.element = el(
      'figure',
      { class: 'card figure' },
      el('figcaption', {}, title),
      this.value,
      this.picture,
      this.note,
    );
  }

  /** Draws points `{ label, value }`; `summary` is shown in large. */
  draw(points, summary) {
    this.#points = points;
    fill(this.value, summary);
    const width = Math.max(120, this.picture.clientWidth || 260);
    this.picture.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const most = points.reduce((all, { value }) => Math.max(all, value), 0) || 1;
    const x = (at) => PAD + (at * (width - 2 * PAD)) / Math.max(1, points.length - 1);
    const y = (value) => HEIGHT - PAD - (value * (HEIGHT - 2 * PAD)) / most;
    this.picture.setAttribute('aria-label', `${this.title}: ${summary}; most: ${this.#show(most)}`);
    this.picture.replaceChildren(...(this.kind === 'bars' ? bars(points, width, y) : line(points, x, y)));
  }

  #point(event) {
    const box = this.picture.getBoundingClientRect();
    const at = Math.round(((event.clientX - box.left) / box.width) * (this.#points.length - 1));
    const point = this.#points[at];
    if (point) fill(this.note, `${point.label}: ${this.#show(point.value)}`);
  }
}

function line(points, x, y) {
  if (points.length < 2)
    return [svg('text', { class: 'faint', x: PAD, y: HEIGHT / 2 }, 'A few more blocks are needed.')];
  const path = points.map(({ value }, at) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
  const floor = HEIGHT - PAD;
  return [
    svg('path', { class: 'chart-area', d: `M${x(0)} ${floor}L${path}L${x(points.length - 1)} ${floor}Z` }),
    svg('path', { class: 'chart-line', d: `M${path}` }),
  ];
}

function bars(points, width, y) {
  const step = (width - 2 * PAD) / Math.max(1, points.length);
  return points.map(({ value }, at) =>
    svg('rect', {
      class: 'chart-bar',
      x: (PAD + at * step).toFixed(1),
      y: y(value).toFixed(1),
      width: Math.max(1, step - 1).toFixed(1),
      height: Math.max(0.5, HEIGHT - PAD - y(value)).toFixed(1),
    }),
  );
}
