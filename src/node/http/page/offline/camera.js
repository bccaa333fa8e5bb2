// A QR code in front of the camera.

import { el, fill } from '../app/dom.js';
import { button, problem } from '../app/pieces.js';
import { decoded } from './picture.js';

/** Receipts make large codes: each of up to 177 modules a side needs a few pixels. */
const WANTED = { facingMode: 'environment', width: { ideal: 2560 }, height: { ideal: 1440 } };
/** Beyond that a frame takes too long. */
const FRAME_SIDE_MAX = 1440;
/** For the attempts at one frame; the next one comes soon. */
const FRAME_MILLIS_MAX = 60;
const INSTEAD = 'Take a picture of the code with another app, and choose it above.';
/** By the name of the browser's error. */
const REFUSALS = {
  NotAllowedError: 'The camera was refused to this page.',
  NotFoundError: 'There is no camera.',
  OverconstrainedError: 'There is no camera.',
  NotReadableError: 'The camera cannot be used: another program may have it.',
};

/** A button that looks at the camera's pictures until there is a code in one. `take` gets its text. */
export function cameraReader(take) {
  const place = el('div', { class: 'camera' });
  const start = button('Scan a QR code', () => look());
  const look = async () => {
    start.disabled = true;
    try {
      const text = await codeInView(place);
      fill(place);
      if (text !== null) take(text);
    } catch (error) {
      fill(place, problem(error));
    } finally {
      start.disabled = false;
    }
  };
  return el('div', {}, el('p', { class: 'buttons' }, start), place);
}

/** The text of the first code that comes into view, or null if the reader stops looking. */
async function codeInView(place) {
  const stream = await openCamera();
  const video = el('video', { playsinline: true, muted: true, 'aria-label': 'What the camera sees' });
  let isStopped = false;
  const stop = button('Stop the camera', () => (isStopped = true));
  try {
    video.muted = true;
    video.srcObject = stream;
    fill(
      place,
      video,
      el('p', { class: 'hint', role: 'status' }, 'Hold the code still, so that it fills the square.'),
      el('p', { class: 'buttons' }, stop),
    );
    await video.play();
    const canvas = document.createElement('canvas');
    while (!isStopped) {
      const text = codeInFrame(video, canvas);
      if (text !== null) return text;
      if (stream.getVideoTracks().every(({ readyState }) => readyState === 'ended')) {
        throw new Error(`The camera was taken away. ${INSTEAD}`);
      }
      await new Promise(requestAnimationFrame);
    }
    return null;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }
}

async function openCamera() {
  // Browsers give no camera to pages that they call insecure: those of a node at another machine's address.
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error(`This browser gives no camera to a page that is opened like this. ${INSTEAD}`);
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video: WANTED });
  } catch (error) {
    throw new Error(`${REFUSALS[error.name] ?? 'The camera cannot be used.'} ${INSTEAD}`);
  }
}

/** Looks at the square in the middle, which is what the page shows of the film. */
function codeInFrame(video, canvas) {
  const { videoWidth: width, videoHeight: height } = video;
  const square = Math.min(width, height);
  if (!square) return null;
  const side = Math.min(square, FRAME_SIDE_MAX);
  Object.assign(canvas, { width: side, height: side });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(video, (width - square) / 2, (height - square) / 2, square, square, 0, 0, side, side);
  return decoded(context.getImageData(0, 0, side, side), { timeLimit: FRAME_MILLIS_MAX });
}
