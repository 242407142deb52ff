/**
 * Deviations between what we compute and the golden numbers, and how large they may be.
 *
 * Used by every case of the verification. The tolerances are those that the golden files' README derives from the
 * measured difference of PyTorch's float32 and float64.
 */

/** Largest deviations that are ok. Relative ones are to the largest value, or to the norm, of the golden tensor. */
export const TOLERANCE = {
  /** Activations, hidden states and logits: largest difference / largest value. */
  activation: 3e-5,
  /** Gradients: largest difference / largest value. */
  gradientMax: 1e-4,
  /** Gradients: norm of the difference / norm. */
  gradientL2: 5e-5,
  /** The mean loss, absolute. */
  loss: 1e-5,
  /**
   * Losses of single tokens: largest difference / largest value, as for logits, from which they are subtractions. The mean
   * loss's tolerance is no measure: PyTorch's own float32 is up to 9e-6 off here, and up to 7e-7 in the mean.
   */
  tokenLoss: 3e-5,
  /** The first FIRST_STEPS losses of a training run, absolute. */
  firstLosses: 5e-4,
  /** All losses of a training run, absolute. */
  losses: 2e-3,
  /** Gradient norms of a training run, relative. */
  gradientNorms: 5e-3,
  /** Weights after training: norm of the difference / norm. */
  finalWeights: 2e-3,
} as const;

/** Training losses that have the tighter tolerance. */
export const FIRST_STEPS = 6;

type Numbers = ArrayLike<number>;

function requireSameLength(found: Numbers, expected: Numbers): void {
  if (found.length === expected.length && found.length > 0) return;
  throw new RangeError(
    `Cannot compare ${found.length} values: the golden file has ${expected.length}, expected as many, and some`,
  );
}

/** The largest absolute difference; NaN if there is any NaN. @throws {RangeError} where lengths differ. */
export function largestDifference(found: Numbers, expected: Numbers): number {
  requireSameLength(found, expected);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs((found[i] ?? NaN) - (expected[i] ?? NaN)));
  }
  return largest;
}

/** The largest absolute value. */
export function largest(values: Numbers): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] ?? NaN));
  return most;
}

/** The largest difference over the largest golden value. @throws {RangeError} where lengths differ. */
export function relativeToMax(found: Numbers, expected: Numbers): number {
  return ratio(largestDifference(found, expected), largest(expected));
}

/** The norm of the difference over the golden norm. @throws {RangeError} where lengths differ. */
export function relativeL2(found: Numbers, expected: Numbers): number {
  requireSameLength(found, expected);
  let squares = 0;
  for (let i = 0; i < expected.length; i++) {
    squares += ((found[i] ?? NaN) - (expected[i] ?? NaN)) ** 2;
  }
  return ratio(Math.sqrt(squares), l2(expected));
}

/** The Euclidean norm. */
export function l2(values: Numbers): number {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] ?? NaN) ** 2;
  return Math.sqrt(squares);
}

/** The largest of the relative differences, one by one. @throws {RangeError} where lengths differ. */
export function relativeEach(found: Numbers, expected: Numbers): number {
  requireSameLength(found, expected);
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    const value = expected[i] ?? NaN;
    most = Math.max(most, ratio(Math.abs((found[i] ?? NaN) - value), Math.abs(value)));
  }
  return most;
}

/** How many values differ; a value that one side lacks differs. NaN differs from everything. */
export function differing(found: ArrayLike<unknown>, expected: ArrayLike<unknown>): number {
  const common = Math.min(found.length, expected.length);
  let count = Math.max(found.length, expected.length) - common;
  for (let i = 0; i < common; i++) if (found[i] !== expected[i]) count++;
  return count;
}

/** A golden value of exactly zero allows no difference at all. */
function ratio(difference: number, scale: number): number {
  if (scale > 0 || Number.isNaN(scale)) return difference / scale;
  return difference === 0 ? 0 : Infinity;
}

/** Some rows, `width` values each. */
export function selectRows(
  values: Float32Array,
  width: number,
  rows: readonly number[],
): Float32Array {
  const selected = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    selected.set(values.subarray(row * width, (row + 1) * width), i * width);
  });
  return selected;
}

const QKV_BIAS = /\.qkv_proj\.bias$/;

/**
 * A parameter's values, or its gradient's, that can be compared: without the key third of a vision block's qkv bias, whose
 * gradient is zero but for rounding noise, which AdamW makes steps of.
 */
export function comparable(name: string, values: Float32Array): Float32Array {
  if (!QKV_BIAS.test(name)) return values;
  const third = values.length / 3;
  const kept = new Float32Array(2 * third);
  kept.set(values.subarray(0, third));
  kept.set(values.subarray(2 * third), third);
  return kept;
}

/** Whether comparable() leaves a part of this parameter out. */
export function hasNoise(name: string): boolean {
  return QKV_BIAS.test(name);
}
