// A QR code in a picture.

import { decodeQR } from '../vendor/qr/decode.js';

/** Longest sides to try, in pixels: a photograph of a printed code is often found better when it is smaller. */
const SIDES = [1600, 3200, 800];
/** How long to look at each size. */
const LOOK_MILLIS = 4_000;
const PICTURE_BYTES_MAX = 64 << 20;

/** Whether a file is a picture, by what the system calls it. */
export function isPicture(file) {
  return file.type.startsWith('image/');
}

/** The text of the QR code in a picture's file. Throws an error in words. */
export async function readPicture(file) {
  if (file.size > PICTURE_BYTES_MAX) throw new Error('That picture is too large.');
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error('This browser cannot read that picture: try PNG or JPEG.');
  }
  const text = sizes(bitmap).reduce((found, side) => found ?? codeAt(bitmap, side), null);
  bitmap.close();
  if (text === null) {
    throw new Error('There is no QR code to be seen in that picture: take it from straight above, in even light, and sharp.');
  }
  return text;
}

/** The picture's own size first, if it is small. */
function sizes({ width, height }) {
  const longest = Math.max(width, height);
  const fitting = SIDES.filter((side) => side < longest);
  return longest <= SIDES[1] ? [longest, ...fitting] : fitting;
}

function codeAt(bitmap, side) {
  const scale = side / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.round(length * scale));
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  // Shows through where the picture is transparent.
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return decoded(context.getImageData(0, 0, width, height), { effort: Infinity, timeLimit: LOOK_MILLIS });
}

/** The text of the code in these pixels, or null. */
export function decoded(pixels, options) {
  try {
    return decodeQR(pixels, options);
  } catch {
    return null;
  }
}
