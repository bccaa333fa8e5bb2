// Targets, work and retargeting: sections 5 and 6 of the specification, in whole numbers.

const HARDEST = 1n << 160n;
const LIMIT = 1n << 256n;
/** A shift beyond this leaves nothing, or more than any bound. */
const SHIFT_MAX = 1000n;

/** The largest target whose bound does not exceed this one. */
export function compress(bound) {
  let length = Math.ceil(bound.toString(16).length / 2);
  let mantissa = Number(bound >> BigInt(8 * (length - 3)));
  if (mantissa & 0x800000) {
    mantissa >>= 8;
    length += 1;
  }
  return length * 2 ** 24 + mantissa;
}

/** The bound of a compact target, or null if it is none. */
export function expand(compact) {
  const exponent = compact >>> 24;
  const mantissa = compact & 0x7fffff;
  if (compact & 0x800000 || exponent < 3 || exponent > 33) return null;
  const bound = BigInt(mantissa) << BigInt(8 * (exponent - 3));
  return bound >= HARDEST && bound < LIMIT && compress(bound) === compact ? bound : null;
}

/** How many hashes a block with this target takes on average. */
export function work(compact) {
  return LIMIT / (expand(compact) + 1n);
}

/** A target as it is written. */
export function targetText(compact) {
  return `0x${compact.toString(16).padStart(8, '0')}`;
}

/**
 * The target of a block that comes `since` its parent, which has this target and came `before` since its own. Times in
 * milliseconds, all of them BigInt.
 */
export function targetAfter(network, parentTarget, before, since) {
  const { target_spacing: spacing, half_life: halfLife, grace, easiest_target: easiest } = network;
  if (halfLife === 0n) return easiest;
  const late = (before < grace ? before : grace) - spacing + (since > grace ? since - grace : 0n);
  const x = floorDivide(late * 65536n, halfLife);
  const shift = floorDivide(x, 65536n);
  const f = x - shift * 65536n;
  const cubic = 195766423245049n * f + 971821376n * f ** 2n + 5127n * f ** 3n + (1n << 47n);
  const product = expand(parentTarget) * (65536n + (cubic >> 48n));
  const by = clamp(shift - 16n, -SHIFT_MAX, SHIFT_MAX);
  const bound = by >= 0n ? product << by : product >> -by;
  return compress(clamp(bound, HARDEST, expand(easiest)));
}

function floorDivide(number, by) {
  const quotient = number / by;
  return number % by < 0n ? quotient - 1n : quotient;
}

function clamp(value, low, high) {
  return value < low ? low : value > high ? high : value;
}
