// A QR code as a picture, made by the library `qr`.

import { svg } from '../app/dom.js';
import { encodeQR } from '../vendor/qr/index.js';

/** The light frame that readers need, in modules (ISO/IEC 18004, section 6.3.8). */
const BORDER = 4;

/** The code of a text. `title` names it for those who do not see it. Throws if the text is too long for one. */
export function qrPicture(text, title) {
  const rows = encodeQR(text, 'raw', { ecc: 'low', border: BORDER });
  const side = rows.length;
  return svg(
    'svg',
    { class: 'qr', viewBox: `0 0 ${side} ${side}`, role: 'img', 'aria-label': title, 'shape-rendering': 'crispEdges' },
    svg('rect', { width: side, height: side, fill: '#fff' }),
    svg('path', { d: rows.map(rowPath).join(''), fill: '#000' }),
  );
}

/** The dark runs of a row, as rectangles. */
function rowPath(row, y) {
  let path = '';
  for (let x = 0; x < row.length; x += 1) {
    if (!row[x]) continue;
    const from = x;
    while (row[x + 1]) x += 1;
    const width = x + 1 - from;
    path += `M${from} ${y}h${width}v1h-${width}z`;
  }
  return path;
}
