// Which work a sampled receipt must show: section 17.1 of the specification, "Samples".
//
// The tip's id chooses points in the work of the whole chain. The remaining work is halved again and again, and each half
// gets as many points: so a chain that has too little work is caught, from whatever block on it is another one.

import { concat, littleEndian, toLittleEndian } from './bytes.js';
import { tagged } from './sha256.js';

const SAMPLES_PER_OCTAVE = 24;

/** The points, of which each is a number below the total. `tail` is the work that is shown whole. */
export function* samplePoints(tip, total, tail) {
  for (let octave = 0n; total >> octave > tail; octave += 1n) {
    const left = total - (total >> octave);
    const width = (total >> octave) - (total >> (octave + 1n));
    for (let at = 0; at < SAMPLES_PER_OCTAVE; at += 1) {
      const random = tagged('quipu sample 2', concat(tip, toLittleEndian(octave, 4), toLittleEndian(at, 4)));
      yield left + ((littleEndian(random.subarray(0, 16)) * width) >> 128n);
    }
  }
}
